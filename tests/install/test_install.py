"""What is installed, moved to another folder: programs, headers, find_package, pkg-config.

Needs BUILD, a build folder with everything in it, and CC and CXX in the environment.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import onnx
from onnx import TensorProto, helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["BUILD"])
CC, CXX = os.environ["CC"], os.environ["CXX"]
DIGITS = ROOT / "examples" / "digits"
CLASSIFY = [DIGITS / "digits.onnx", DIGITS / "images.npy", DIGITS / "labels.npy"]


def run(*command, **environment):
    """The standard output of a command that must succeed (what it says of a busy machine is not in it)."""
    done = subprocess.run([str(word) for word in command], env={**os.environ, **environment},
                          text=True, capture_output=True, timeout=240)
    if done.returncode:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        run("cmake", "--install", BUILD, "--prefix", cls.folder / "first")
        cls.prefix = cls.folder / "moved" / "here"
        cls.prefix.parent.mkdir()
        shutil.move(cls.folder / "first", cls.prefix)
        cls.library = cls.prefix / "lib"

    def test_program(self):
        self.assertIn("quern ", run(self.prefix / "bin/quern", "version"))
        self.assertIn("--nn-infer-shapes", run(self.prefix / "bin/quern-opt", "--help"))
        for path in ("share/man/man1/quern.1.gz", "share/bash-completion/completions/quern",
                     "share/fish/vendor_completions.d/quern.fish",
                     "share/zsh/vendor-completions/_quern"):
            self.assertGreater((self.prefix / path).stat().st_size, 1000)

    def test_needs_no_llvm(self):
        """LLVM is linked in: the shared library of it would double the time of a start."""
        for path in (self.prefix / "bin/quern", self.library / "libquern.so"):
            needed = re.findall(r"Shared library: \[(.*)\]", run("readelf", "-d", path))
            self.assertIn("libc.so.6", needed)
            self.assertFalse([name for name in needed if "LLVM" in name or "MLIR" in name])

    def test_memory(self):
        """Functions that a first run calls lie beside each other: with LLVM's all over the program
        it would have 72 MB, with the shared libLLVM 104."""
        order = BUILD / "functions.order"
        if not order.exists() or not order.stat().st_size:
            self.skipTest("programs may not be traced here, or the build is none for users")
        found = json.loads(run(self.prefix / "bin/quern", "bench", DIGITS / "digits.onnx", "--dim=N=1",
                               "--runs=10", "--no-kernel-cache", "--json", "-q"))
        self.assertLess(found["peak_rss_mb"], 60)

    def test_runtime_archive(self):
        """Models with reference kernels are linked with it."""
        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                 for name, shape in (("x", [2, 3, 3]), ("y", [2]))]
        graph = helper.make_graph([helper.make_node("Det", ["x"], ["y"])], "det", ports[:1], ports[1:])
        model, library = self.folder / "det.onnx", self.folder / "det.so"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)],
                                    ir_version=8), str(model))
        run(self.prefix / "bin/quern", "compile", model, "-o", library)
        self.assertIn("y: float32 2", run(self.prefix / "bin/quern", "run", library,
                                          "--input=random"))

    def test_soname(self):
        names = sorted(path.name for path in self.library.glob("libquern.so*"))
        self.assertEqual(len(names), 3)
        self.assertEqual((self.library / "libquern.so").resolve().name, names[-1])

    def test_headers_need_nothing_else(self):
        headers = sorted((self.prefix / "include").rglob("*.h"))
        self.assertIn("Model.h", [header.name for header in headers])
        source = self.folder / "user.cpp"
        source.write_text("".join(f"#include <{header.relative_to(self.prefix / 'include')}>\n"
                                  for header in headers * 2))
        run(CXX, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
            "-I", self.prefix / "include", source)

    def test_headers_for_c(self):
        folder = self.prefix / "include"
        for header in [folder / "quern/model_abi.h", *folder.glob("*.h")]:
            include = header.relative_to(folder)
            source = self.folder / "user.c"
            source.write_text(f"#include <{include}>\n#include <{include}>\nint unused;\n")
            run(CC, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                "-I", folder, source)

    def test_nothing_says_where_it_was_built(self):
        for path in self.prefix.rglob("*"):
            if path.suffix in (".cmake", ".pc", ".h"):
                text = path.read_text()
                for folder in (str(ROOT), str(BUILD), str(self.folder)):
                    self.assertNotIn(folder, text, path)

    def test_find_package(self):
        """In the build folder, examples.cpp does the same."""
        build = self.folder / "installed"
        run("cmake", "-S", ROOT / "examples/cpp", "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_CXX_COMPILER={CXX}")
        found = run("grep", "quern_DIR", build / "CMakeCache.txt")
        self.assertIn(str(self.prefix), found)
        run("cmake", "--build", build)
        self.assertEqual(run(build / "classify", *CLASSIFY), "358 of 360 right\n")

    def test_other_versions_are_refused(self):
        project = self.folder / "newer"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.16)\nproject(newer LANGUAGES C)\n"
            "find_package(quern 99.0 REQUIRED)\n")
        with self.assertRaisesRegex(AssertionError, r'(?s)requested\s+version\s+"99.0"'):
            run("cmake", "-S", project, "-B", project / "build",
                f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def test_pkg_config(self):
        if not shutil.which("pkg-config"):
            self.skipTest("there is no pkg-config")
        self.check_pkg_config(self.library, self.prefix / "include")

    def test_pkg_config_in_the_build_folder(self):
        if not shutil.which("pkg-config"):
            self.skipTest("there is no pkg-config")
        self.check_pkg_config(BUILD / "lib", ROOT / "api/include")

    def check_pkg_config(self, library, headers):
        paths = {"PKG_CONFIG_PATH": str(library / "pkgconfig")}
        version = run("pkg-config", "--modversion", "quern", **paths).strip()
        self.assertIn(f"quern {version}\n", run(self.prefix / "bin/quern", "version"))
        flags = run("pkg-config", "--cflags", "--libs", "quern", **paths).split()
        included = [pathlib.Path(flag[2:]).resolve() for flag in flags if flag.startswith("-I")]
        self.assertIn(headers.resolve(), included)
        self.assertTrue(all(folder.is_dir() for folder in included), included)
        source, program = self.folder / "version.cpp", self.folder / "version"
        source.write_text("#include <cstdio>\n#include <quern/Version.h>\n"
                          "int main() { std::puts(quern::versionString()); }\n")
        run(CXX, "-std=c++20", source, *flags, "-o", program)
        self.assertEqual(run(program, LD_LIBRARY_PATH=str(library)), version + "\n")


if __name__ == "__main__":
    unittest.main()
