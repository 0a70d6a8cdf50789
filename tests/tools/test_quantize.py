"""quern quantize: what it writes, what it refuses, and that nothing is left behind."""

import json
import signal
import subprocess
import time
import unittest

import numpy as np
import onnx
from onnx import helper, numpy_helper

from cli import (INTERRUPTED, INVALID_INPUT, INVALID_MODEL, IO, MISMATCH, QUERN, TOO_SLOW,
                 UNSUPPORTED, USAGE, CliTest, make_model, value)

# Neither too slow nor too inaccurate, and measured in no time.
ALL_WELL = ("--min-speedup", "0", "--max-error", "0.5")


def network():
    """y = relu(x @ w1) @ w2, x float32 Nx16."""
    random = np.random.default_rng(1)
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["h"], "first"),
             helper.make_node("Relu", ["h"], ["r"], "relu"),
             helper.make_node("MatMul", ["r", "w2"], ["y"], "second")]
    weights = [numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
               for name, shape in (("w1", (16, 32)), ("w2", (32, 4)))]
    return make_model(nodes, [value("x", ["N", 16])], [value("y", ["N", 4])], weights)


class Quantizing(CliTest):
    def setUp(self):
        super().setUp()
        onnx.save(network(), str(self.folder / "net.onnx"))

    def quantize(self, *arguments, exits=0):
        return self.quern("quantize", "net.onnx", "-o", "q.onnx", "--data", "random", "--duration",
                          "0s", *arguments, exits=exits)

    def written(self):
        return (self.folder / "q.onnx").exists()

    def ops(self):
        return [node.op_type for node in onnx.load(str(self.folder / "q.onnx")).graph.node]

    def test_table(self):
        out, err = self.quantize(*ALL_WELL)
        self.assertRegex(out, r"output +max abs error +% of magnitude +SQNR dB +within bound\ny ")
        self.assertRegex(out, r"\nlayer +op +quantized +SQNR dB +alone dB\nfirst +MatMul +yes ")
        self.assertRegex(out, r"\nmodel +median ms +bytes\nbefore ")
        self.assertRegex(out, r"times as fast, 0\.\d\d of the bytes; 2 of 2 layers quantized; "
                              r"calibrated with 12 inputs, measured on 4 others\n$")
        self.assertIn("quern: note: wrote q.onnx\n", err)
        self.assertEqual(self.ops().count("QuantizeLinear"), 2)
        onnx.checker.check_model(str(self.folder / "q.onnx"))

    def test_modes(self):
        for mode, op in {"static": "QuantizeLinear", "dynamic": "MatMulInteger",
                         "weights-int8": "DequantizeLinear", "weights-int4": "DequantizeLinear",
                         "float16": "Cast"}.items():
            self.quantize("--mode", mode, *ALL_WELL)
            self.assertIn(op, self.ops())
            found = self.quern_json("run", "q.onnx", "--dim=N=2", "--input=random")
            wanted = self.quern_json("run", "net.onnx", "--dim=N=2", "--input=random")
            for a, b in zip(found["outputs"], wanted["outputs"]):
                np.testing.assert_allclose(a["values"], b["values"], atol=5, rtol=0.2)

    def test_json(self):
        out, _ = self.quantize("--json", *ALL_WELL)
        report = json.loads(out)
        self.assertEqual(report["schema"], "quern.quantize/1")
        self.assertTrue(report["written"])
        self.assertEqual(report["refusal"], "")
        self.assertEqual([layer["node"] for layer in report["layers"]], ["first", "second"])
        self.assertEqual(report["samples"], {"calibration": 12, "held_back": 4, "shared": False})
        self.assertEqual(report["after"]["bytes"], (self.folder / "q.onnx").stat().st_size)
        self.assertLess(report["outputs"][0]["error"], 0.1)
        self.assertGreater(report["outputs"][0]["sqnr_db"], 20)
        self.assertIsNone(report["layers"][0]["alone_db"])

    def test_refused_for_error(self):
        out, err = self.quantize("--max-error", "1e-9", "--min-speedup", "0", exits=MISMATCH)
        self.assertIn("FAIL", out)
        self.assertRegex(err, "error: the quantized model is outside the bound of 1e-07 %: output 'y' "
                              "differs by .* % of its largest magnitude; nothing is written without --force")
        self.assertFalse(self.written())
        # The layers were ranked.
        self.assertRegex(out, r"first +MatMul +yes +[\d.]+ +[\d.]+\n")

    def test_refused_for_speed(self):
        out, err = self.quantize("--max-error", "0.5", "--min-speedup", "1000", exits=TOO_SLOW)
        self.assertIn("times as fast", out)
        self.assertRegex(err, r"error: the quantized model is \d+\.\d\d times as fast as the float "
                              r"model, wanted 1000\.00; nothing is written without --force")
        self.assertFalse(self.written())
        report = json.loads(self.quantize("--max-error", "0.5", "--min-speedup", "1000", "--json",
                                          exits=TOO_SLOW)[0])
        self.assertFalse(report["written"])
        self.assertIn("wanted 1000.00", report["refusal"])

    def test_force(self):
        _, err = self.quantize("--min-speedup", "1000", "--force")
        self.assertIn("quern: warning: the quantized model is ", err)
        self.assertTrue(self.written())

    def test_layers_stay_in_float(self):
        out, _ = self.quantize("--keep", "second", *ALL_WELL)
        self.assertRegex(out, r"second +MatMul +no: kept, as asked for")
        self.fails(USAGE, "quantize", "net.onnx", "-o", "q.onnx", "--data", "random", "--keep", "secund",
                   says="there is no node 'secund' to keep; did you mean 'second'?")

    def test_data(self):
        random = np.random.default_rng(2)
        (self.folder / "data").mkdir()
        for i in range(3):
            np.savez(self.folder / f"data/{i}.npz", x=random.normal(size=(1, 16)).astype(np.float32))
        self.save("data/3.npy", random.normal(size=(1, 16)).astype(np.float32))
        (self.folder / "data/test_data_set_0").mkdir()
        self.save("data/test_data_set_0/input_0.pb", random.normal(size=(1, 16)).astype(np.float32))
        (self.folder / "data/README").write_text("no input")
        base = ("quantize", "net.onnx", "-o", "q.onnx", "--duration", "0s", *ALL_WELL, "--data")
        samples = self.quern_json(*base, "data")["samples"]
        self.assertEqual(samples, {"calibration": 4, "held_back": 1, "shared": False})
        samples = self.quern_json(*base, "data", "--samples", "1")["samples"]
        self.assertEqual(samples, {"calibration": 1, "held_back": 1, "shared": True})
        self.assertIn("calibrated with and measured on the only input", self.quern(*base, "data/3.npy")[0])
        # A batch is cut.
        self.save("batch.npy", random.normal(size=(40, 16)).astype(np.float32))
        self.assertEqual(self.quern_json(*base, "batch.npy")["samples"]["calibration"], 6)

    def test_wrong_data(self):
        base = ("quantize", "net.onnx", "-o", "q.onnx", "--data")
        (self.folder / "empty").mkdir()
        self.fails(INVALID_INPUT, *base, "empty", says="folder 'empty' has no inputs: no .npz, .npy or .pb")
        self.fails(IO, *base, "missing.npz", says="missing.npz")
        self.save("wide.npy", np.zeros((1, 17), np.float32))
        self.fails(INVALID_INPUT, *base, "wide.npy", says=["--data 'wide.npy'", "input 'x'"])
        self.assertFalse(self.written())

    def test_wrong_usage(self):
        self.fails(USAGE, "quantize", "net.onnx", "--data", "random", says="--output is required")
        self.fails(USAGE, "quantize", "net.onnx", "-o", "q.onnx", says="--data is required")
        base = ("quantize", "net.onnx", "-o", "q.onnx", "--data", "random")
        self.fails(USAGE, *base, "--mode", "int3", says="--mode")
        self.fails(USAGE, *base, "--calibration", "median", says="--calibration")
        self.fails(USAGE, *base, "--mode", "weights-int4", "--block-size", "48",
                   says="a block of 48 is no power of two from 16 on")
        self.fails(USAGE, *base, "--percentile", "101", says="a percentile of 101 is not above 50")
        self.fails(USAGE, *base, "--max-error", "-1", says="--max-error")
        self.fails(USAGE, *base, "--duration", "soon", says="--duration")
        self.fails(USAGE, "quantize", "net.onnx", "-o", "net.onnx", "--data", "random", says="net.onnx")
        self.fails(IO, "quantize", "net.onnx", "-o", "no/folder/q.onnx", "--data", "random", says="no/folder")
        self.assertFalse(self.written())

    def test_wrong_models(self):
        self.fails(IO, "quantize", "missing.onnx", "-o", "q.onnx", "--data", "random", says="missing.onnx")
        (self.folder / "bad.onnx").write_bytes(b"\xff" * 40)
        self.fails(INVALID_MODEL, "quantize", "bad.onnx", "-o", "q.onnx", "--data", "random", says="bad.onnx")
        self.fails(UNSUPPORTED, "quantize", "add.onnx", "-o", "q.onnx", "--data", "random",
                   says="nothing to quantize: the model has no Conv")
        self.assertEqual(self.files(), [])

    def test_ctrl_c(self):
        for delay in (0.05, 0.5, 1.5):
            process = subprocess.Popen(
                [QUERN, "quantize", "net.onnx", "-o", "q.onnx", "--data", "random", "--duration", "60s"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            self.assertIn("note: dimension N", process.stderr.readline())
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
            self.assertEqual(process.returncode, INTERRUPTED, err)
            self.assertEqual(out, "")
            self.assertFalse(self.written())
            self.assertEqual([p.name for p in self.folder.iterdir() if p.name.startswith(".")], [])

    def test_external_data(self):
        onnx.save(network(), str(self.folder / "big.onnx"), save_as_external_data=True,
                  location="big.bin", size_threshold=0)
        self.quern("quantize", "big.onnx", "-o", "q.onnx", "--data", "random", "--duration", "0s", *ALL_WELL)
        (self.folder / "big.bin").unlink()
        self.quern("run", "q.onnx", "--dim=N=1", "--input=random")

    def test_timeout(self):
        self.fails(9, "quantize", "net.onnx", "-o", "q.onnx", "--data", "random", "--timeout", "1ms",
                   says="time")


if __name__ == "__main__":
    unittest.main()
