"""Disks that are full, have no room for another file or are read-only: exit code 10, the reason,
nothing left, and what was there stays.

Needs QUERN, the program, in the environment. The disks are small file systems in memory in a
mount namespace of its own; where a user may not make one the test ends with exit code 77.
"""

import os
import shutil
import subprocess
import sys
import unittest

from cli import IO, OK, QUERN, CliTest
from test_interrupts import DIGITS

EXIT_SKIPPED = 77
PAGE = 4096
COMPILE = ["compile", "digits.onnx", "--dim=N=1", "-q", "--prefix=m"]
IMAGES = ["--dim=N=360", "--input", f"image={DIGITS.parent / 'images.npy'}"]
KEPT = b"an older file\n"
# Pages or files that there is room for; compiling needs a hundred and twenty or, on CPUs where
# Winograd's algorithm takes its larger tiles, two hundred and more.
AMOUNTS = (0, 1, 2, 5, 10, 15, 22, 37, 48, 63, 78, 99, 120, 141, 200, 400)
# What compiling does in all its forms is tried with all of these in one of them.
FEW = (0, 1, 5, 22, 63, 120, 200, 400)


class DiskTest(CliTest):
    def setUp(self):
        super().setUp()
        shutil.copy(DIGITS, self.folder)
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.addCleanup(subprocess.run, ["umount", "-q", self.disk])

    def mount(self, options):
        """A new, empty disk."""
        subprocess.run(["umount", "-q", self.disk])
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.disk], check=True)

    def content(self):
        return {path.name: path.read_bytes() for path in self.disk.iterdir()}

    def mount_with_room(self, kind, amount, names):
        """A disk with room for so many pages or files. On each other one the files `names` are
        there already; what is there."""
        self.mount(f"size={(amount + 1) * PAGE}" if kind == "pages" else
                   f"size=16m,nr_inodes={amount + 2}")
        there = {"taken": b"x" * PAGE}
        if amount % 2 and amount >= len(names):
            there.update((name, KEPT) for name in names)
        for name, content in there.items():
            (self.disk / name).write_bytes(content)
        return there

    def fills(self, arguments, *names, least=1, amounts=FEW):
        """Runs on larger and larger disks until there is room for the files `names`; `least`
        disks must be too small."""
        for kind in ("pages", "files"):
            too_small = 0
            for amount in amounts:
                there = self.mount_with_room(kind, amount, names)
                _, err = self.quern(*arguments, exits=(OK, IO))
                found = self.content()
                if "error" not in err:
                    break
                too_small += 1
                self.assertIn("quern: error: cannot write ", err)
                self.assertIn(": No space left on device\n", err)
                self.assertNotIn(".quern-", err)
                self.assertEqual(found, there, (kind, amount, err))
            self.assertEqual(set(found), {"taken", *names}, (kind, amount))
            self.assertNotIn(KEPT, found.values())
            self.assertGreaterEqual(too_small, least, kind)


class FullDisk(DiskTest):
    def test_artefact(self):
        for suffix in ("so", "o", "a", "s", "ll"):
            name = f"m.{suffix}"
            self.fills([*COMPILE, "-o", self.disk / name], name, least=3,
                       amounts=AMOUNTS if suffix == "so" else FEW)

    def test_weights(self):
        self.fills([*COMPILE, "--weights=file", "-o", self.disk / "m.so"], "m.so", "m.weights",
                   least=3)

    def test_header(self):
        self.fills([*COMPILE, "-o", "m.so", "--header", self.disk / "m.h"], "m.h")

    def test_both(self):
        self.fills([*COMPILE, "-o", self.disk / "m.so", "--header", self.disk / "m.h"],
                   "m.so", "m.h", least=3)

    def test_phase(self):
        self.fills([*COMPILE, "--compile-to=fused", "-o", self.disk / "m.mlir"], "m.mlir")

    def test_results(self):
        for name in ("y.npz", "y.npy", "y.pb"):
            self.fills(["run", "digits.onnx", *IMAGES, "-o", self.disk / name], name)

    def test_json(self):
        self.fills(["check", "digits.onnx", f"--json={self.disk / 'x.json'}"], "x.json")
        self.fills(["bench", "gemm.onnx", "--runs=1", "-q", f"--json={self.disk / 'x.json'}"],
                   "x.json")

    def test_dumped_phases(self):
        self.mount(f"size={PAGE}")
        self.fails(IO, "run", "digits.onnx", *IMAGES, "--dump-phases-to", self.disk,
                   says=["cannot write the phase dump", "No space left on device"])

    def test_limit_of_the_user(self):
        def limit():
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, PAGE))
        for arguments in ([*COMPILE, "-o", "disk/m.so"], [*COMPILE, "-o", "disk/m.a"],
                          ["run", "digits.onnx", *IMAGES, "-o", "disk/y.npz"]):
            done = subprocess.run([QUERN, *arguments], cwd=self.folder, preexec_fn=limit,
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, IO, done.stderr)
            self.assertIn("File too large", done.stderr)
            self.assertEqual(self.content(), {})

    def test_read_only(self):
        self.mount("ro")
        for arguments in ([*COMPILE, "-o", "disk/m.so"],
                          [*COMPILE, "-o", "m.so", "--header", "disk/m.h"],
                          [*COMPILE, "--compile-to=fused", "-o", "disk/m.mlir"],
                          ["run", "digits.onnx", *IMAGES, "-o", "disk/y.npz"],
                          ["inspect", "digits.onnx", "--json=disk/x.json"]):
            self.fails(IO, *arguments, says=["cannot write 'disk/", "Read-only file system"])
        self.assertEqual(self.files(), ["disk"])


if __name__ == "__main__":
    if "QUERN_PRIVATE_MOUNTS" not in os.environ:
        if subprocess.run(["unshare", "-Urm", "true"], stderr=subprocess.DEVNULL).returncode:
            print("skipped: this user may not make mount namespaces")
            sys.exit(EXIT_SKIPPED)
        os.environ["QUERN_PRIVATE_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-Urm", sys.executable, *sys.argv])
    unittest.main()
