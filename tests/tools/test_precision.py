"""--precision: what is taken, what is refused, and who says what was computed in."""

import unittest

import numpy as np
import onnx
from cli import UNSUPPORTED, USAGE, CliTest, make_model, value
from onnx import TensorProto, helper, numpy_helper

FAST = ("--duration", "20ms")


class Precision(CliTest):
    def test_not_there(self):
        """Said with what to use instead."""
        for precision, says in (("f16", "there is no native code that multiplies in f16: bf16 has "
                                 "the same size, and float32's range"),
                                ("int8", "quantize the model with quern quantize, which measures "
                                 "what that costs")):
            for verb, *rest in (("run", "--input=zeros"), ("bench",), ("compare",), ("check",),
                                ("compile", "--dim=N=1", "-o", "m.so")):
                self.fails(UNSUPPORTED, verb, "gemm.onnx", f"--precision={precision}", *rest,
                           says=says)
        self.assertEqual(self.files(), [])

    def test_bound(self):
        for verb, *rest in (("run", "--input=zeros"), ("bench",), ("compare",), ("check",),
                            ("compile", "--dim=N=1", "-o", "m.so")):
            self.fails(USAGE, verb, "gemm.onnx", "--max-error=0.1", *rest,
                       says="a bound on the error is for precision auto, which lowers what keeps "
                            "it; found precision f32")
            for bound in ("0", "-1", "1.5", "nan"):
                self.fails(USAGE, verb, "gemm.onnx", "--precision=auto", f"--max-error={bound}",
                           *rest, says="wanted a share of an output's largest magnitude, above 0 "
                           "and at most 1, as in 0.01")
        self.fails(USAGE, "check", "gemm.onnx", "--input=zeros",
                   says="--input is what --precision auto and --tune measure on: give one of these, "
                   "too")

    def test_auto(self):
        """One line says what was chosen; with a bound that binds a table says why."""
        rng = np.random.default_rng(1)
        nodes, weights = [], []
        for i in range(3):
            nodes += [helper.make_node("MatMul", [f"t{i}", f"w{i}"], [f"p{i}"], f"product{i}"),
                      helper.make_node("Relu", [f"p{i}"], [f"t{i + 1}"], f"relu{i}")]
            weights.append(numpy_helper.from_array(
                rng.standard_normal((64, 64)).astype(np.float32) / 6, f"w{i}"))
        model = make_model(nodes, [value("t0", ["N", 64])], [value("t3", ["N", 64])], weights)
        onnx.save(model, str(self.folder / "mlp.onnx"))
        onnx.save(make_model(nodes[-1:], [value("p2", [2])], [value("t3", [2])]),
                  str(self.folder / "relu.onnx"))
        x = rng.standard_normal((4, 64)).astype(np.float32)
        np.save(self.folder / "x.npy", x)
        auto = ("--precision=auto", "--max-error=0.5")
        given = "--input=t0=x.npy"
        report = self.quern_json("check", "mlp.onnx", *auto, given)
        choice = report["choice"]
        self.assertEqual((choice["max_error"], choice["random_inputs"]), (0.5, False))
        lowers = bool(choice["layers"])  # a CPU with instructions for bfloat16
        if lowers:
            self.assertEqual([(layer["nodes"], layer["precision"]) for layer in choice["layers"]],
                             [(f"product{i}", "bf16") for i in range(3)])
        self.assertTrue(self.quern_json("check", "mlp.onnx", *auto)["choice"]["random_inputs"])
        says = ("precision auto: 3 of 3 products and convolutions that it pays for in bf16; outputs "
                "are off by " if lowers else
                "precision auto: no product or convolution has native code of a lower precision "
                "that pays")
        self.assertIn(says, self.quern("run", "mlp.onnx", given, *auto)[1])
        for verb, *rest in (("bench", "--runs=1"), ("compare", *FAST), ("check",)):
            self.assertIn(says, self.quern(verb, "mlp.onnx", given, *auto, *rest)[0], verb)
        _, err = self.quern("compile", "mlp.onnx", "--dim=N=4", "-o", "m.so", given, *auto)
        self.assertIn(says, err)
        facts = self.quern_json("inspect", "m.so")
        self.assertEqual((facts["precision"], facts["choice"]["max_error"]), ("auto", 0.5))
        self.assertEqual(self.quern_json("run", "m.so", given)["choice"], facts["choice"])
        self.assertIn(says, self.quern("run", "m.so", given)[1])
        self.quern("compare", "m.so", "--reference=mlp.onnx", given, *FAST)
        self.fails(USAGE, "run", "m.so", given, *auto, says="the bound on the error of a compiled "
                   "library is part of it; give the model for another")
        # A model without products has nothing to lower, here or elsewhere.
        self.assertIn("no product or convolution has native code of a lower precision that pays",
                      self.quern("check", "relu.onnx", "--precision=auto")[0])
        if lowers:
            self.check_bound_that_binds(given)

    def check_bound_that_binds(self, given):
        tight = ("--precision=auto", "--max-error=0.0005", given)
        choice = self.quern_json("check", "mlp.onnx", *tight)["choice"]
        self.assertLessEqual(choice["error"], 0.0005)
        self.assertGreater(choice["error_of_all"], 0.0005)
        self.assertIn("f32", [layer["precision"] for layer in choice["layers"]])
        self.assertTrue(all(layer["error"] > 0 for layer in choice["layers"]))
        out, _ = self.quern("check", "-v", "mlp.onnx", *tight)
        self.assertIn("; with all of them output 't3' ", out)
        self.assertRegex(out, r"\nlayer +precision  alone % of largest  saves us\n")
        self.assertIn("not at the lower precision: product", out)
        self.assertIn("it alone would change an output by ", out)
        report = self.quern_json("compare", "mlp.onnx", *tight, *FAST)
        self.assertEqual(report["tolerance_of_largest"], 0.0005)
        self.assertEqual(report["explanation"]["choice"], choice)

    def test_weights(self):
        """Weights of few bits are said where they are, and what stays float32 with the reason."""
        rng = np.random.default_rng(2)
        arrays = [rng.standard_normal((64, 32)), rng.standard_normal((32, 32)),
                  rng.standard_normal((12, 5))]
        weights = [numpy_helper.from_array(array.astype(np.float32), f"w{i}")
                   for i, array in enumerate(arrays)]
        nodes = [helper.make_node("MatMul", ["x", "w0"], ["h"], "wide"),
                 helper.make_node("Gemm", ["h", "w1"], ["y"], "square"),
                 helper.make_node("MatMul", ["u", "w2"], ["z"], "narrow")]
        model = make_model(nodes, [value("x", [2, 64]), value("u", [2, 12])],
                           [value("y", [2, 32]), value("z", [2, 5])], weights)
        onnx.save(model, str(self.folder / "w.onnx"))
        for weights_type in ("int8", "int4"):
            option = f"--weights={weights_type}"
            out, _ = self.quern("check", "-v", "w.onnx", option)
            self.assertIn(f"products and convolutions: 1 in f32, 2 in f32 by {weights_type}", out)
            self.assertIn(f"\nin f32 by {weights_type}: wide, square\n", out)
            self.assertIn("not at the lower precision: narrow: its weights stay float32: the "
                          "columns of its weights are no multiple of ", out)
            _, err = self.quern("run", "w.onnx", "--input=random", option)
            self.assertIn(f"constant weights of matrix products are kept as {weights_type}", err)
            self.quern("compile", "w.onnx", "-o", "w.so", f"--weights=file,{weights_type}")
            self.assertLess((self.folder / "w.weights").stat().st_size, 4 * 64 * 32)
        report = self.quern_json("compare", "w.onnx", "--weights=int8", *FAST)
        self.assertEqual(report["tolerance_of_largest"], 0.04)
        self.assertGreater(report["outputs"][0]["max_of_largest"], 1e-4)
        self.assertLess(report["outputs"][1]["max_abs"], 1e-5)
        self.fails(USAGE, "run", "w.onnx", "--input=zeros", "--weights=int8",
                   "--backend=interpreter", says="weights of int8 are for native code")
        self.fails(USAGE, "run", "w.so", "--input=zeros", "--weights=int8",
                   says="the weights of a compiled library are part of it")
        self.fails(USAGE, "run", "w.onnx", "--weights=int3", says="int3 not in {given,int8,int4}")

    def test_half_weights(self):
        """Weights that a model has in float16 stay so, unless bfloat16 is asked for."""
        rng = np.random.default_rng(3)
        weights = [numpy_helper.from_array(rng.standard_normal((128, 96)).astype(np.float16), "w")]
        nodes = [helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
                 helper.make_node("MatMul", ["x", "wide"], ["y"], "product")]
        model = make_model(nodes, [value("x", [2, 128])], [value("y", [2, 96])], weights)
        onnx.save(model, str(self.folder / "h.onnx"))
        out, _ = self.quern("check", "-v", "h.onnx")
        self.assertIn("1 of 1 steps run as native code\n", out)
        self.assertIn("products and convolutions: 1 in f32 by float16\nin f32 by float16: product\n",
                      out)
        self.quern("compile", "h.onnx", "-o", "h.so", "--weights=file")
        self.assertLess((self.folder / "h.weights").stat().st_size, 3 * 128 * 96)
        self.quern("compare", "h.onnx", *FAST)
        out, _ = self.quern("check", "h.onnx", "--weights=int8")
        self.assertIn("products and convolutions: 1 in f32 by int8\n", out)

    def test_half_results(self):
        """Between ops in float16 results are not rounded, but where bits matter, and at -O0."""
        half = TensorProto.FLOAT16
        nodes, step = [], numpy_helper.from_array(np.float16([1]), "one")
        back = numpy_helper.from_array(np.float16([-2048]), "back")
        for x, y in ("ac", "bd"):  # 2048 + 1 is 2048 in float16
            nodes += [helper.make_node("Add", [x, "one"], [x + "1"]),
                      helper.make_node("Add", [x + "1", "one"], [x + "2"]),
                      helper.make_node("Add", [x + "2", "back"], ["c" if y == "c" else "rest"])]
        nodes.append(helper.make_node("Floor", ["rest"], ["d"]))
        model = make_model(nodes, [value(name, [3], half) for name in "ab"],
                           [value(name, [3], half) for name in "cd"], [step, back])
        onnx.save(model, str(self.folder / "sums.onnx"))
        np.savez(self.folder / "sums.npz", a=np.float16([2048] * 3), b=np.float16([2048] * 3))
        for options, c in ([], 2), (["-O0"], 0), (["--backend=interpreter"], 0):
            self.quern("run", "sums.onnx", "--input=sums.npz", "-o", "out.npz", *options)
            out = np.load(self.folder / "out.npz")
            self.assertEqual((out["c"].tolist(), out["d"].tolist()), ([c] * 3, [0] * 3))
        out, _ = self.quern("check", "sums.onnx")
        self.assertIn("2 results of float16 are read before they are rounded\n", out)
        self.assertEqual(self.quern_json("check", "sums.onnx")["unrounded"], {"float16": 2})
        out, _ = self.quern("check", "-O0", "sums.onnx")
        self.assertNotIn("rounded", out)
        out, _ = self.quern("compare", "sums.onnx", "--input=random", *FAST)
        self.assertIn("an output may differ by 2 % of its largest magnitude", out)

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
        lowered = ("up.onnx", "--precision=bf16", "--target-cpu=haswell")
        report = self.quern_json("check", *lowered)
        self.assertEqual(report["products"], {"f32": 1})
        self.assertIn("f32", [step.get("precision") for step in report["plan"]])
        self.assertEqual([refusal for refusal in report["refusals"]
                          if refusal["kind"] == "precision"],
                         [{"kind": "precision", "nodes": ["up1"], "code": "no-kernel",
                           "reason": "this CPU has no instruction for products of bfloat16"}])
        out, _ = self.quern("check", "-v", *lowered)
        self.assertIn("products and convolutions: 1 in f32\nin f32: up1\n", out)
        self.assertIn("not at the lower precision: up1: this CPU has no instruction for products of "
                      "bfloat16\n", out)
        out, _ = self.quern("bench", *lowered, "--runs=1")
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
        self.assertEqual((report["rtol"], report["tolerance_of_largest"]), (0, 0.04))
        self.assertLess(report["outputs"][0]["max_of_largest"], 0.01)
        report = self.quern_json(*lowered, "--rtol=0.5")
        self.assertEqual((report["rtol"], report["tolerance_of_largest"]), (0.5, 0))
        out, _ = self.quern(*lowered)
        self.assertIn("precision bf16: an output may differ by 4 % of its largest magnitude", out)

    def test_winograd(self):
        """Who goes by Winograd's algorithm, what that costs, and nobody where it is off."""
        weights = np.random.default_rng(3).standard_normal((2, 32, 32, 3, 3)).astype(np.float32)
        weights /= 17  # images keep their magnitude
        nodes = [helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"x{i + 1}"], f"conv{i}",
                                  pads=[1, 1, 1, 1]) for i in range(2)]
        model = make_model(nodes, [value("x0", [1, 32, 32, 32])], [value("x2", [1, 32, 32, 32])],
                           [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)])
        onnx.save(model, str(self.folder / "conv.onnx"))
        says = "2 convolutions by Winograd's algorithm"
        self.assertIn(f"{says}\n", self.quern("check", "conv.onnx")[0])
        out, _ = self.quern("check", "-v", "conv.onnx")
        self.assertIn(f"{says}: conv0 (winograd4), conv1 (winograd4)\n", out)
        report = self.quern_json("check", "conv.onnx")
        self.assertEqual([step["way"] for step in report["plan"] if step["nodes"]],
                         ["winograd4", "winograd4"])
        out, _ = self.quern("compare", "conv.onnx", *FAST)
        self.assertRegex(out, r"\nmax abs error without Winograd's algorithm: 'x2' [0-9.e-]+\n")
        self.assertIn(says, out)
        output = self.quern_json("compare", "conv.onnx", *FAST)["outputs"][0]
        self.assertNotEqual(output["max_abs"], output["max_abs_without_winograd"])
        off = "--winograd=off"
        out, _ = self.quern("compare", "conv.onnx", *FAST, off)
        self.assertNotIn("Winograd", out)
        direct = self.quern_json("compare", "conv.onnx", *FAST, off)["outputs"][0]
        self.assertEqual(direct["max_abs"], output["max_abs_without_winograd"])
        self.assertIsNone(direct["max_abs_without_winograd"])
        # Ahead of time, too; there it is no longer to be chosen.
        self.quern("compile", "conv.onnx", "-o", "direct.so", off)
        self.quern("compile", "conv.onnx", "-o", "own.so")
        for library, error in (("direct.so", direct["max_abs"]), ("own.so", output["max_abs"])):
            report = self.quern_json("compare", library, "--reference=conv.onnx", *FAST)
            self.assertEqual(report["outputs"][0]["max_abs"], error)
        self.fails(USAGE, "run", "own.so", "--input=zeros", off,
                   says="how a compiled library convolves is part of it")
        self.fails(USAGE, "run", "conv.onnx", "--winograd=on", says="on not in {auto,off}")

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
                      "differ by 4 % of its largest magnitude", out)


if __name__ == "__main__":
    unittest.main()
