"""Kernels that are kept between runs, and quern cache."""

import os
import shutil
import unittest

from cli import IO, CliTest


class Cache(CliTest):
    def setUp(self):
        super().setUp()
        self.cache = self.folder / "cache"
        for name, text in (("QUERN_CACHE_DIR", str(self.cache)), ("QUERN_KERNEL_CACHE", "")):
            before = os.environ.get(name)
            os.environ[name] = text
            self.addCleanup(os.environ.pop if before is None else os.environ.__setitem__, name,
                            *([] if before is None else [before]))

    def run_model(self, *options):
        return self.quern("run", "gemm.onnx", "--input=zeros", "--dim=N=2", *options)

    def kernels(self):
        return {path.name: path.stat().st_mtime_ns for path in self.cache.glob("kernels/*")}

    def use(self, *options):
        report = self.quern_json("cache", *options)
        self.assertEqual((report["schema"], report["folder"]), ("quern.cache/1", str(self.cache)))
        return report

    def test_kernels_are_kept(self):
        out, _ = self.run_model()
        kept = self.kernels()
        self.assertEqual({name[40:] for name in kept}, {".kernel"})
        self.assertEqual(self.run_model()[0], out)
        self.assertEqual(self.kernels(), kept)
        self.assertEqual(self.use()["kernels"], len(kept))
        # Nothing in them is believed.
        for path in self.cache.glob("kernels/*"):
            path.write_bytes(path.read_bytes()[:-1] + b"x")
        self.assertEqual(self.run_model()[0], out)
        self.assertEqual(set(self.kernels()), set(kept))
        self.assertNotEqual(self.kernels(), kept)

    def test_other_verbs_and_artefacts(self):
        self.quern("compile", "gemm.onnx", "--dim=N=2", "-o", "m.so")
        kept = self.kernels()
        self.assertTrue(kept)
        self.quern("compile", "gemm.onnx", "--dim=N=2", "-o", "again.so")
        self.quern("bench", "gemm.onnx", "--dim=N=2", "--duration=1ms")
        self.quern("compare", "gemm.onnx", "--dim=N=2", "--duration=1ms")
        self.assertEqual(self.kernels(), kept)
        self.quern("compile", "gemm.onnx", "--dim=N=2", "-o", "m.o", "--target-cpu=haswell")
        self.assertGreater(len(self.kernels()), len(kept))

    def test_switched_off(self):
        for verb in (["run", "--input=zeros"], ["bench", "--duration=1ms"], ["compare", "--duration=1ms"],
                     ["check"], ["compile", "-o", "m.so"]):
            self.quern(verb[0], "gemm.onnx", "--dim=N=2", "--no-kernel-cache", *verb[1:])
        os.environ["QUERN_KERNEL_CACHE"] = "off"
        self.run_model()
        self.assertFalse(self.cache.exists())
        _, err = self.quern("cache")
        self.assertIn("quern: note: no kernels are kept: QUERN_KERNEL_CACHE is off", err)

    def test_shows_and_clears(self):
        self.run_model()
        (self.cache / "model.so").write_bytes(b"1234")
        number = len(self.kernels())
        out, err = self.quern("cache")
        self.assertEqual(err, "")
        self.assertRegex(out, f"(?m)^folder +{self.cache}$")
        self.assertRegex(out, rf"(?m)^kernels +{number}, [0-9.]+ KiB$")
        self.assertRegex(out, r"(?m)^artefacts +1, 4 B$")
        report = self.use()
        self.assertGreater(report["kernel_bytes"], 1000)
        self.assertEqual((report["artefacts"], report["artefact_bytes"], report["cleared"]),
                         (1, 4, False))
        out, _ = self.quern("cache", "--clear")
        self.assertRegex(out, rf"(?m)^kernels +{number} removed, [0-9.]+ KiB$")
        self.assertEqual((self.use()["kernels"], self.use()["artefacts"]), (0, 0))
        self.run_model()
        self.assertEqual(self.use("--clear")["kernels"], number)
        self.assertEqual(self.kernels(), {})

    def test_folders_that_cannot_be_used(self):
        self.cache.write_text("a file")
        out, err = self.run_model()
        self.assertIn("y: float32 2x3", out)
        self.assertEqual(err, "")
        _, err = self.run_model("-v")
        self.assertEqual(err.count("no kernels are kept: cannot make folder"), 1)
        self.cache.unlink()
        self.run_model()
        (self.cache / "kernels").chmod(0o777)
        _, err = self.run_model("-v")
        self.assertEqual(err.count("is not this user's alone"), 1)
        shutil.rmtree(self.cache)

    @unittest.skipIf(os.geteuid() == 0, "root can write anywhere")
    def test_read_only(self):
        self.run_model()
        (self.cache / "kernels").chmod(0o500)
        _, err = self.run_model("-v")
        self.assertEqual(err.count("cannot be written"), 1)
        self.fails(IO, "cache", "--clear", says="cannot remove")


if __name__ == "__main__":
    unittest.main()
