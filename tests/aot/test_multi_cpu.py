"""Code for several CPUs in one library: which one a machine takes, and that it runs.

Needs QUERN (the program), QUERN_ARTEFACT_RUNNER (run_artefact.c for this machine) and
QUERN_EMULATOR (qemu-x86_64) in the environment.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"
QUERN, RUNNER = os.environ["QUERN"], os.environ["QUERN_ARTEFACT_RUNNER"]
EMULATOR = os.environ["QUERN_EMULATOR"]
INCOMPATIBLE = 7


class MultiCpu(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        subprocess.run([QUERN, "compile", DIGITS / "digits.onnx", "--dim", "N=1", "-q",
                        "--multi-cpu=v3,x86-64-v2", "--prefix", "m", "-o", cls.folder / "m.so"],
                       check=True)
        images = np.load(DIGITS / "images.npy").astype(np.float32)
        cls.labels = np.load(DIGITS / "labels.npy")
        cls.images = images.reshape(len(images), -1)

    def run_on(self, cpu, *files):
        return subprocess.run([EMULATOR, "-cpu", cpu, RUNNER, self.folder / "m.so", "m", *files],
                              capture_output=True, text=True)

    def test_each_takes_the_best_it_can_run(self):
        for cpu, wanted in (("Nehalem", "x86-64-v2"), ("Haswell", "x86-64-v3")):
            done = self.run_on(cpu)
            self.assertEqual((done.stdout.strip(), done.returncode), (wanted, 0), cpu)

    def test_what_can_run_none_is_told_so(self):
        done = self.run_on("qemu64,-sse4.2,-popcnt,-ssse3")
        self.assertEqual(done.returncode, INCOMPATIBLE, done.stderr)

    def test_both_are_right(self):
        for cpu in ("Nehalem", "Haswell"):
            right = 0
            for image, label in zip(self.images[:20], self.labels[:20]):
                (self.folder / "in").write_bytes(image.tobytes())
                done = self.run_on(cpu, self.folder / "in", self.folder / "out")
                self.assertEqual(done.returncode, 0, done.stderr)
                right += np.fromfile(self.folder / "out", np.float32).argmax() == label
            self.assertGreaterEqual(right, 19, cpu)

    def test_one_public_interface(self):
        names = subprocess.run(["nm", "-D", "--defined-only", self.folder / "m.so"], check=True,
                               capture_output=True, text=True).stdout.split()[2::3]
        self.assertEqual(sorted(names), sorted(
            f"{prefix}_{name}" for prefix in ("m", "quern_model")
            for name in ("cpu_ok", "run", "run_parallel", "info")))


if __name__ == "__main__":
    unittest.main()
