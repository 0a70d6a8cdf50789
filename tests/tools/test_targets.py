"""Places for results that are odd or not there: exit code, message, and what becomes of them.

Needs QUERN, the program, in the environment.
"""

import ctypes
import os
import shutil
import subprocess
import unittest

from cli import IO, QUERN, USAGE, CliTest
from test_interrupts import DIGITS

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
COMPILE = ["compile", "digits.onnx", "--dim=N=1", "-q"]
# The file written to, with a %s for its path.
WRITERS = {
    "artefact.so": [*COMPILE, "-o", "%s"],
    "artefact.o": [*COMPILE, "-o", "%s"],
    "artefact.a": [*COMPILE, "-o", "%s"],
    "header.h": [*COMPILE, "-o", "m.so", "--header", "%s"],
    "phase.mlir": [*COMPILE, "--compile-to=fused", "-o", "%s"],
    "results.npz": ["run", "gemm.onnx", "--input=zeros", "-q", "-o", "%s"],
    "result.npy": ["run", "gemm.onnx", "--input=zeros", "-q", "-o", "y=%s"],
    "result.pb": ["run", "gemm.onnx", "--input=zeros", "-q", "-o", "y=%s"],
    "inspect.json": ["inspect", "gemm.onnx", "--json=%s"],
    "check.json": ["check", "gemm.onnx", "--json=%s"],
    "bench.json": ["bench", "gemm.onnx", "--runs=1", "-q", "--json=%s"],
    "compare.json": ["compare", "gemm.onnx", "--duration=1ms", "-q", "--json=%s"],
    "doctor.json": ["doctor", "--json=%s"],
}
# Before the work, a place is asked whether it can be written.
QUICK = {name: arguments for name, arguments in WRITERS.items() if not name.startswith("doctor")}
LONGEST_NAME, LONGEST_PATH = 255, 4096


def respect_permissions():
    """Root may write everywhere, unless it lets go of that."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


class Targets(CliTest):
    def setUp(self):
        super().setUp()
        shutil.copy(DIGITS, self.folder)

    def write(self, arguments, path):
        return [argument.replace("%s", str(path)) for argument in arguments]

    def refused(self, make, says, exits=IO, writers=QUICK):
        """Every writer refuses the place that `make` makes for its file; what lies in the folder
        stays as it is."""
        for name, arguments in writers.items():
            with self.subTest(name=name):
                path = make(name)
                before = sorted(os.listdir(self.folder))
                self.fails(exits, *self.write(arguments, path), says=says)
                self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_folder(self):
        def make(name):
            (self.folder / name).mkdir()
            return name
        self.refused(make, "it is a directory")

    def test_link_to_a_folder(self):
        def make(name):
            (self.folder / name).symlink_to(self.folder)
            return name
        self.refused(make, "it is a directory")

    def test_pipe(self):
        def make(name):
            os.mkfifo(self.folder / name)
            return name
        self.refused(make, "not a regular file")

    def test_loop_of_links(self):
        def make(name):
            (self.folder / name).symlink_to(name)
            return name
        self.refused(make, "Too many levels of symbolic links")

    def test_beneath_a_file(self):
        self.refused(lambda name: f"gemm.onnx/{name}", "Not a directory")

    def test_no_such_folder(self):
        self.refused(lambda name: f"no/{name}", "No such file or directory")

    def test_names_and_paths_that_are_too_long(self):
        self.refused(lambda name: "n" * LONGEST_NAME + name, "File name too long")
        self.refused(lambda name: "./" * (LONGEST_PATH // 2) + name, "File name too long")

    def test_longest_name(self):
        for name, arguments in QUICK.items():
            long = name.rjust(LONGEST_NAME, "n")
            self.quern(*self.write(arguments, long))
            self.assertTrue((self.folder / long).stat().st_size)

    def test_no_permission(self):
        closed = self.folder / "closed"
        closed.mkdir()
        (closed / "old").write_text("kept")
        closed.chmod(0o555)
        self.addCleanup(closed.chmod, 0o755)
        for name, arguments in QUICK.items():
            done = subprocess.run([QUERN, *self.write(arguments, f"closed/{name}")],
                                  cwd=self.folder, capture_output=True, text=True, timeout=60,
                                  preexec_fn=respect_permissions)
            self.assertEqual(done.returncode, IO, done.stderr)
            self.assertIn(f"cannot write 'closed/{name}': Permission denied", done.stderr)
            self.assertEqual(os.listdir(closed), ["old"])

    def test_links_are_replaced(self):
        """And not what they lead to, or nothing."""
        for name, arguments in WRITERS.items():
            for there in (True, False):
                target, link = self.folder / "target", self.folder / name
                if there:
                    target.write_text("kept")
                link.unlink(missing_ok=True)
                link.symlink_to("target")
                self.quern(*self.write(arguments, name))
                self.assertFalse(link.is_symlink(), name)
                self.assertTrue(link.stat().st_size, name)
                self.assertEqual(target.exists() and target.read_text(), there and "kept")
                target.unlink(missing_ok=True)

    def test_the_model_is_not_replaced(self):
        for name, arguments in QUICK.items():
            with self.subTest(name=name):
                original = next(each for each in arguments if each.endswith(".onnx"))
                shutil.copy(self.folder / original, self.folder / name)
                given = [name if each == original else each for each in arguments]
                for path in (name, self.folder / name, f"./../{self.folder.name}/{name}"):
                    self.fails(USAGE, *self.write(given, path), says="would replace the model")
                self.assertEqual((self.folder / name).read_bytes(),
                                 (self.folder / original).read_bytes())

    def test_header_and_artefact_are_two_files(self):
        self.fails(USAGE, *COMPILE, "-o", "m.so", "--header", "m.so",
                   says="the header 'm.so' would replace the artefact 'm.so'")
        self.fails(USAGE, *COMPILE, "-o", "x.so", "--weights=file", "--header", "x.weights",
                   says="the header 'x.weights' would replace the weights 'x.weights'")
        self.fails(USAGE, *COMPILE, "-o", "x.so", "--header", "x.h", "--emit-main", "x.h",
                   says="the main program 'x.h' would replace the header 'x.h'")
        self.assertEqual(self.files(), [])


if __name__ == "__main__":
    unittest.main()
