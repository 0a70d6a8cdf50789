"""--precision: what is taken, what is refused, and who says what was computed in."""

import unittest

import numpy as np
import onnx
from cli import UNSUPPORTED, USAGE, CliTest, make_model, value
from onnx import helper, numpy_helper

FAST = ("--duration", "20ms")
THERE = "cannot be asked for yet: there are f32, the model's own, and bf16"


class Precision(CliTest):
    def test_not_there_yet(self):
        for precision in ("f16", "int8", "auto"):
            for verb, *rest in (("run", "--input=zeros"), ("bench",), ("compare",), ("check",),
                                ("compile", "--dim=N=1", "-o", "m.so")):
                self.fails(UNSUPPORTED, verb, "gemm.onnx", f"--precision={precision}", *rest,
                           says=f"precision {precision} {THERE}")
        self.assertEqual(self.files(), [])

    def test_unknown(self):
        self.fails(USAGE, "run", "gemm.onnx", "--precision=f8", says="--precision: f8 not in {f32,")

    def test_interpreter(self):
        self.fails(USAGE, "run", "gemm.onnx", "--input=zeros", "--backend=interpreter",
                   "--precision=bf16", says="the interpreter computes as the model says: "
                   "precision bf16 is for native code")

    def test_who_says_it(self):
        for options, precision in (((), "f32"), (("--precision=bf16",), "bf16")):
            for verb, *rest in (("run", "--input=zeros"), ("bench", "--runs=1"), ("compare", *FAST),
                                ("check",), ("compile", "--dim=N=1", "-o", "m.so")):
                report = self.quern_json(verb, "gemm.onnx", *rest, *options)
                self.assertEqual(report["precision"], precision, verb)
            _, err = self.quern("run", "gemm.onnx", "--input=zeros", *options)
            self.assertEqual("are computed in bf16 where there are kernels for it" in err,
                             precision == "bf16")
            out, _ = self.quern("bench", "gemm.onnx", "--runs=1", "--threads=1", *options)
            self.assertIn(f"native, {precision}, 1 thread, 1 runs\n", out)
            out, _ = self.quern("check", "gemm.onnx", *options)
            self.assertIn(f"\nprecision {precision}\n", out)
            out, _ = self.quern("compare", "gemm.onnx", *FAST, *options)
            self.assertTrue(out.startswith(f"precision {precision}"), out)
            _, err = self.quern("compile", "gemm.onnx", "--dim=N=1", "-o", "m.so", *options)
            self.assertIn(f", precision {precision}, in ", err)

    def test_library(self):
        self.quern("compile", "gemm.onnx", "--dim=N=1", "-o", "m.so", "--header=m.h",
                   "--precision=bf16")
        self.assertIn('#define M_PRECISION "bf16"\n', (self.folder / "m.h").read_text())
        self.assertEqual(self.quern_json("inspect", "m.so")["precision"], "bf16")
        self.assertIn(", precision bf16, interface version ", self.quern("inspect", "m.so")[0])
        # A library says what it was compiled for, asked or not, and is nothing else.
        for options in ((), ("--precision=bf16",)):
            report = self.quern_json("run", "m.so", "--input=zeros", *options)
            self.assertEqual(report["precision"], "bf16")
        self.quern("compile", "gemm.onnx", "--dim=N=1", "-o", "own.so")
        self.fails(USAGE, "run", "own.so", "--input=zeros", "--precision=bf16",
                   says="the library was compiled with precision f32, which is no longer to be "
                        "chosen; give the model for bf16")

    def test_explanation(self):
        """How many products are computed in what, which steps they are, and why not lower."""
        nodes = [helper.make_node("ConvTranspose", ["x", "w"], ["t"], "up1"),
                 helper.make_node("Relu", ["t"], ["y"], "relu1")]
        weights = numpy_helper.from_array(np.ones((4, 2, 3, 3), np.float32), "w")
        onnx.save(make_model(nodes, [value("x", [1, 4, 5, 5])], [value("y", [1, 2, 7, 7])],
                             [weights]), str(self.folder / "up.onnx"))
        report = self.quern_json("check", "up.onnx", "--precision=bf16")
        self.assertEqual(report["products"], {"f32": 1})
        self.assertIn("f32", [step.get("precision") for step in report["plan"]])
        self.assertEqual([refusal for refusal in report["refusals"]
                          if refusal["kind"] == "precision"],
                         [{"kind": "precision", "nodes": ["up1"], "code": "no-kernel",
                           "reason": "ops of its kind are computed in float32"}])
        out, _ = self.quern("check", "-v", "up.onnx", "--precision=bf16")
        self.assertIn("products and convolutions: 1 in f32\nin f32: up1\n", out)
        self.assertIn("not at the lower precision: up1: ops of its kind are computed in float32\n",
                      out)
        out, _ = self.quern("bench", "up.onnx", "--precision=bf16", "--runs=1")
        self.assertIn("products and convolutions: 1 in f32\n", out)
        # Of what was not asked for nothing is said.
        out, _ = self.quern("check", "-v", "up.onnx")
        self.assertNotIn("lower precision", out)
        self.assertNotIn("products and convolutions", out)

    def test_tolerance(self):
        """At a lower precision an output may differ by a share of its largest magnitude, unless
        a tolerance is given."""
        lowered = ("compare", "gemm.onnx", *FAST, "--precision=bf16")
        report = self.quern_json(*lowered)
        self.assertEqual((report["rtol"], report["tolerance_of_largest"]), (0, 0.01))
        self.assertLess(report["outputs"][0]["max_of_largest"], 0.01)
        report = self.quern_json(*lowered, "--rtol=0.5")
        self.assertEqual((report["rtol"], report["tolerance_of_largest"]), (0.5, 0))
        out, _ = self.quern(*lowered)
        self.assertIn("precision bf16: an output may differ by 1 % of its largest magnitude", out)

    def test_quantized_products(self):
        """Products of what is dequantized are computed on integers, which round once."""
        def constant(name, array):
            return numpy_helper.from_array(np.array(array), name)
        weights = np.random.default_rng(0).integers(-127, 128, (16, 8)).astype(np.int8)
        nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
                 helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
                 helper.make_node("DequantizeLinear", ["w", "t"], ["v"]),
                 helper.make_node("MatMul", ["d", "v"], ["y"], "product")]
        constants = [constant("s", np.float32(0.02)), constant("z", np.uint8(100)),
                     constant("w", weights), constant("t", np.float32(0.01))]
        model = make_model(nodes, [value("x", [3, 16])], [value("y", [3, 8])], constants)
        onnx.save(model, str(self.folder / "qdq.onnx"))
        self.assertEqual(self.quern_json("check", "qdq.onnx")["products"], {"uint8": 1})
        out, _ = self.quern("compare", "qdq.onnx", *FAST)
        self.assertIn("precision f32, products of quantized tensors on integers: an output may "
                      "differ by 1 % of its largest magnitude", out)


if __name__ == "__main__":
    unittest.main()
