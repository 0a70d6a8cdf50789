"""quern tune and --tune: what is measured, kept, used and said. Never how fast anything is: there is
always more time than it takes, but on the busiest machine."""

import os
import signal
import subprocess
import time
import unittest

import numpy as np
import onnx
from cli import INCOMPATIBLE, INTERRUPTED, IO, QUERN, USAGE, CliTest, make_model, value
from onnx import helper, numpy_helper


def convolutions(channels, size, layers=2):
    """Convolutions of 3 x 3, which have several ways, with a Relu each."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []
    for i in range(layers):
        nodes += [helper.make_node("Conv", [f"t{i}", f"w{i}"], [f"c{i}"], f"conv{i}",
                                   kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
                  helper.make_node("Relu", [f"c{i}"], [f"t{i + 1}"], f"relu{i}")]
        weights.append(numpy_helper.from_array(
            (rng.standard_normal((channels, channels, 3, 3)) / 10).astype(np.float32), f"w{i}"))
    shape = ["N", channels, size, size]
    return make_model(nodes, [value("t0", shape)], [value(f"t{layers}", shape)], weights)


class Tune(CliTest):
    def setUp(self):
        super().setUp()
        self.cache = self.folder / "cache"
        before = os.environ.get("QUERN_CACHE_DIR")
        os.environ["QUERN_CACHE_DIR"] = str(self.cache)
        self.addCleanup(os.environ.pop if before is None else os.environ.__setitem__,
                        "QUERN_CACHE_DIR", *([] if before is None else [before]))
        onnx.save(convolutions(32, 28), str(self.folder / "conv.onnx"))

    def tune(self, *options):
        report = self.quern_json("tune", "conv.onnx", "--dim=N=1", "--threads=1", *options)
        self.assertEqual((report["schema"], report["model"]), ("quern.tune/1", "conv.onnx"))
        return report

    def test_measures_and_keeps(self):
        report = self.tune("--budget=20s")
        self.assertIsNone(report["trouble"])
        problems = report["problems"]
        self.assertEqual([len(problems), problems[0]["nodes"], problems[0]["op"]],
                         [1, ["conv0+relu0", "conv1+relu1"], "nn.conv"])
        ways = {way["way"]: way for way in problems[0]["ways"]}
        self.assertIn(problems[0]["chosen"], ways)
        self.assertGreaterEqual(len(ways), 2)
        self.assertFalse(problems[0]["known"])
        for way in ways.values():
            self.assertGreater(way["expected_ns"], 0)
            self.assertGreater(way["measured_ns"], 0)
        cache = self.quern_json("cache")
        self.assertEqual(cache["tuning_files"], 1)
        self.assertGreater(cache["tuning_bytes"], 0)

        # The next one has it.
        again = self.tune("--budget=20s")
        self.assertTrue(again["problems"][0]["known"])
        self.assertEqual(again["problems"][0]["chosen"], problems[0]["chosen"])
        self.assertLess(again["seconds"], report["seconds"])
        self.assertIsNone(again["before_ms"])
        out, _ = self.quern("tune", "conv.onnx", "--dim=N=1", "--threads=1")
        self.assertRegex(out, r"(?m)^conv0\+relu0 and 1 more  ")
        self.assertRegex(out, r"known\n")
        self.assertRegex(out, r"(?m)^1 problems with several ways, [01] of them in another than")

        out, _ = self.quern("cache", "--clear")
        self.assertRegex(out, r"(?m)^tuning +1 removed, [0-9.]+ K?i?B$")
        self.assertFalse(self.tune("--budget=20s")["problems"][0]["known"])

    def test_used_where_asked(self):
        """The same way with --tune 0 wherever a model is compiled, and that of the cost model
        without."""
        np.save(self.folder / "x.npy", np.ones((1, 32, 28, 28), np.float32))
        given = ("conv.onnx", "--dim=N=1", "--threads=1")
        report = self.tune("--budget=20s")
        kernels = [step["kernel"] for step in
                   self.quern_json("check", *given, "--tune=0")["plan"]]
        self.assertEqual(any(kernel.startswith(report["problems"][0]["chosen"])
                             for kernel in kernels),
                         report["problems"][0]["chosen"] != "blocked")
        self.quern("run", *given, "--input=x.npy", "--tune=0", "--output=tuned.npz")
        self.quern("compile", *given, "--tune=0", "-o", "tuned.so")
        self.quern("run", "tuned.so", "--threads=1", "--input=x.npy", "--output=library.npz")
        tuned, library = (np.load(self.folder / name)["t2"] for name in ("tuned.npz", "library.npz"))
        self.assertTrue(np.array_equal(tuned, library), "the same kernels")
        self.quern("run", *given, "--input=x.npy", "--output=plain.npz")
        plain = np.load(self.folder / "plain.npz")["t2"]
        self.assertLess(np.abs(plain - tuned).max(), 1e-4 * np.abs(plain).max())

    def test_measures_where_asked(self):
        given = ("conv.onnx", "--dim=N=1", "--threads=1", "--tune=20")
        self.quern("run", *given, "--input=zeros")
        kept = self.quern_json("cache")
        self.assertEqual(kept["tuning_files"], 1)
        self.quern("bench", *given, "--duration=1ms")
        self.quern("compare", *given, "--duration=1ms")
        self.quern("check", *given)
        self.quern("compile", *given, "-o", "m.so")
        self.assertEqual(self.quern_json("cache"), kept | {
            "kernels": self.quern_json("cache")["kernels"],
            "kernel_bytes": self.quern_json("cache")["kernel_bytes"]})

    def test_what_makes_no_sense(self):
        for verb, *rest in (("run", "--input=zeros"), ("bench",), ("compare",), ("check",),
                            ("compile", "--dim=N=1", "-o", "m.so")):
            self.fails(USAGE, verb, "conv.onnx", "--tune=-1", *rest,
                       says="cannot tune for -1 seconds; wanted 0 or more")
        self.fails(USAGE, "tune", "conv.onnx", "--budget=0s", says="wanted more than 0")
        self.fails(USAGE, "tune", "conv.onnx", "--budget=soon", says="soon")
        self.fails(USAGE, "run", "conv.onnx", "--input=zeros", "--backend=interpreter", "--tune=1",
                   says="the interpreter has one way for each op")
        self.fails(INCOMPATIBLE, "compile", "conv.onnx", "--dim=N=1", "--tune=1", "-o", "m.o",
                   "--target=aarch64-linux-gnu", says="aarch64")
        self.fails(USAGE, "compile", "conv.onnx", "--dim=N=1", "--tune=1", "-o", "m.so",
                   "--multi-cpu=haswell,baseline", says="a file for several CPUs cannot be tuned")
        self.quern("compile", "conv.onnx", "--dim=N=1", "-o", "plain.so")
        self.fails(USAGE, "run", "plain.so", "--input=zeros", "--tune=1",
                   says="the ways of a compiled library are part of it; give the model to tune")

    def test_nowhere_to_keep_it(self):
        self.cache.write_text("a file")
        out, err = self.quern("tune", "conv.onnx", "--dim=N=1", "--budget=20s")
        self.assertIn("quern: warning: what is measured is not kept: ", err)
        self.assertIn("1 problems with several ways", out)

    def test_interrupt(self):
        """Ctrl-C ends it; nothing is kept."""
        onnx.save(convolutions(64, 112, 6), str(self.folder / "large.onnx"))
        process = subprocess.Popen([QUERN, "tune", "large.onnx", "--dim=N=1", "--budget=60s"],
                                   cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, INTERRUPTED, err)
        self.assertIn("interrupted", err)
        self.assertEqual([out, list(self.cache.glob("tuning/*"))], ["", []])

    def test_what_is_damaged(self):
        """It is not believed, and that is said; the next one replaces it."""
        self.tune("--budget=20s")
        path, = self.cache.glob("tuning/*.tuning")
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        warning = (f"quern: warning: nothing that was measured before is used: '{path}' is not as it "
                   "was written\n")
        _, err = self.quern("run", "conv.onnx", "--dim=N=1", "--input=zeros", "--tune=0")
        self.assertIn(warning, err)
        self.assertEqual(self.quern("run", "conv.onnx", "--dim=N=1", "--input=zeros")[1].count(
            "warning"), 0, "who does not tune does not look")
        out, err = self.quern("tune", "conv.onnx", "--dim=N=1", "--budget=20s")
        self.assertIn(warning, err)
        self.assertNotIn("known", out)
        _, err = self.quern("run", "conv.onnx", "--dim=N=1", "--input=zeros", "--tune=0")
        self.assertNotIn("warning", err)

    def test_two_at_once(self):
        """Neither loses what the other one finds."""
        names = ["a.onnx", "b.onnx"]
        for name, channels in zip(names, (32, 48)):
            onnx.save(convolutions(channels, 14), str(self.folder / name))
        given = ("--dim=N=1", "--threads=1", "--budget=20s")
        processes = [subprocess.Popen([QUERN, "tune", name, *given], cwd=self.folder,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                     for name in names]
        for process in processes:
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, err)
        for name in names:
            report = self.quern_json("tune", name, "--dim=N=1", "--threads=1", "--budget=20s")
            self.assertEqual([p["known"] for p in report["problems"]], [True])


if __name__ == "__main__":
    unittest.main()
