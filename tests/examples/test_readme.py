"""Does what README.md says: its commands, its programs in C and C++, its lines of Python.

Needs QUERN, the program, BUILD, the build folder, and CC and CXX in the environment.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from run_readme import read_steps

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
QUERN, BUILD = os.environ["QUERN"], pathlib.Path(os.environ["BUILD"])

CPP = """#include <quern/Model.h>
#include <cstdio>
#include <vector>
static int fail(const quern::Status &status) {
  std::fprintf(stderr, "%%s\\n", status.message().c_str());
  return static_cast<int>(status.code());
}
int main() {
  std::vector<float> pixels(64);
  std::vector<quern::AnyValue> inputs = {
      quern::Tensor::allocate(quern::DType::Float32, {1, 1, 8, 8}).take()};
%s
  std::printf("%%s\\n", outputs->front().describe().c_str());
  return 0;
}
"""
UNCHECKED = """#include <quern/Model.h>
int main() { return quern::Model::load("model.onnx")->inputs().size() == 1 ? 0 : 1; }
"""
C = """#include <quern.h>
#include <stdio.h>
int main(void) {
%s
  quern_model_release(model);
  return 0;
}
"""


def block(heading):
    """The first indented block below a heading."""
    section = README[README.index(f"\n## {heading}\n"):]
    return re.search(r"(?:^    .*\n)+", section, re.M).group(0)


class Readme(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_in_folder(self, *command, **keywords):
        return subprocess.run([str(word) for word in command], cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=240, **keywords)

    def program(self, compiler, name, text):
        """Compiles a program with what pkg-config says in the build folder."""
        if not shutil.which("pkg-config"):
            self.skipTest("there is no pkg-config")
        environment = {**os.environ, "PKG_CONFIG_PATH": str(BUILD / "lib/pkgconfig")}
        flags = self.run_in_folder("pkg-config", "--cflags", "--libs", "quern", env=environment)
        self.assertEqual(flags.stderr, "")
        (self.folder / name).write_text(text)
        standard = ["-std=c++20"] if name.endswith(".cpp") else []
        done = self.run_in_folder(os.environ[compiler], *standard, "-Wall", "-Wextra", "-Werror",
                                  "-Wno-unused-variable", name, *flags.stdout.split(),
                                  f"-Wl,-rpath,{BUILD / 'lib'}", "-o", "program")
        self.assertEqual(done.returncode, 0, done.stderr)

    def add_model(self):
        shutil.copy(ROOT / "examples/digits/digits.onnx", self.folder / "model.onnx")

    def test_cpp(self):
        self.program("CXX", "snippet.cpp", CPP % block("From C++"))
        missing = self.run_in_folder("./program")
        self.assertEqual((missing.returncode, missing.stderr),
                         (10, "model.onnx: cannot open: No such file or directory\n"))
        self.add_model()
        done = self.run_in_folder("./program")
        self.assertEqual((done.returncode, done.stdout), (0, "float32 1x10\n"), done.stderr)

    def test_unchecked_errors_say_what_they_are(self):
        self.program("CXX", "unchecked.cpp", UNCHECKED)
        done = self.run_in_folder("./program")
        self.assertEqual((done.returncode, done.stderr),
                         (-6, "quern: unchecked error: model.onnx: cannot open: No such file or "
                              "directory\n"))

    def test_c(self):
        self.program("CC", "snippet.c", C % block("From C"))
        missing = self.run_in_folder("./program")
        self.assertEqual((missing.returncode, missing.stderr),
                         (1, "model.onnx: cannot open: No such file or directory\n"))
        self.add_model()
        self.assertEqual(self.run_in_folder("./program").returncode, 0)

    def test_python(self):
        if subprocess.run([sys.executable, "-c", "import quern"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("Python has no module quern")
        code = re.sub(r"^    ", "", block("Five lines of Python"), flags=re.M)
        self.assertEqual(len(code.splitlines()), 5)
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True,
                              stdout=subprocess.PIPE, check=True)
        self.assertGreater(len(done.stdout.split()), 300)

    def test_commands(self):
        """Times and kernels depend on the machine: lines without digits must be as printed."""
        shutil.copytree(ROOT / "examples", self.folder / "examples",
                        ignore=shutil.ignore_patterns("build"))
        tools = self.folder / "bin"
        tools.mkdir()
        for name, path in (("quern", QUERN), ("python3", sys.executable)):
            (tools / name).write_text(f'#!/bin/sh\nexec {path} "$@"\n')
            (tools / name).chmod(0o755)
        blocks = re.findall(r"(?:^    .*\n)+", README, re.M)
        steps = [step for each in blocks if each.startswith("    $ ") for step in read_steps(each)]
        self.assertGreaterEqual(len(steps), 4)
        for command, wanted in steps:
            done = self.run_in_folder("bash", "-eo", "pipefail", "-c", command,
                                      env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
            self.assertEqual(done.returncode, 0, f"{command}\n{done.stderr}")
            printed = [line.split() for line in done.stdout.splitlines()]
            for line in wanted:
                if line != "..." and not re.search(r"\d[.]\d", line):
                    self.assertIn(line.split(), printed, command)

    def test_exit_codes(self):
        said = self.run_in_folder(QUERN, "--help").stdout
        codes = dict(re.findall(r"^  (\d+) +(.+)$", said[said.index("Exit codes:"):], re.M))
        table = dict(re.findall(r"\| (\d+) \| ([^|]+?) (?=\|)", README))
        self.assertEqual(table, codes)


if __name__ == "__main__":
    unittest.main()
