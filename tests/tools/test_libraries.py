"""Models compiled to libraries: run, measured, compared and shown."""

import unittest

import numpy as np
import onnx
from cli import (INCOMPATIBLE, INVALID_INPUT, INVALID_MODEL, IO, LIMIT, USAGE, CliTest,
                 links_archive, make_model, value)
from onnx import TensorProto, helper

FAST = ("--duration", "50ms")


class Libraries(CliTest):
    def setUp(self):
        super().setUp()
        self.quern("compile", "gemm.onnx", "--dim", "N=2", "-o", "gemm.so")

    def test_run(self):
        self.save("x.npy", np.arange(8, dtype=np.float32).reshape(2, 4))
        self.quern("run", "gemm.so", "--input", "x=x.npy", "-o", "y=y.npy")
        np.testing.assert_array_equal(np.load(self.folder / "y.npy"),
                                      np.array([[6, 6, 6], [22, 22, 22]], np.float32))
        report = self.quern_json("run", "gemm.so", "--input", "random")
        self.assertEqual(report["backend"], "library")

    def test_bench(self):
        report = self.quern_json("bench", "gemm.so", *FAST)
        self.assertEqual(report["backend"], "library")
        self.assertGreater(report["runs"], 0)

    def test_compare(self):
        report = self.quern_json("compare", "gemm.so", "--reference", "gemm.onnx", *FAST)
        self.assertTrue(report["outputs"][0]["pass"])
        self.fails(USAGE, "compare", "gemm.so", says="--reference MODEL")
        self.fails(USAGE, "compare", "gemm.onnx", "--reference", "gemm.onnx", says="gemm.onnx is none")

    @links_archive
    def test_seed(self):
        """A library draws the numbers that the model would."""
        nodes = [helper.make_node("RandomNormalLike", ["x"], ["r"]),
                 helper.make_node("RandomUniform", [], ["u"], shape=[3]),
                 helper.make_node("Add", ["r", "u"], ["y"])]
        onnx.save(make_model(nodes, [value("x", [2, 3])], [value("y", [2, 3])]),
                  str(self.folder / "random.onnx"))
        self.quern("compile", "random.onnx", "-o", "random.so", "--header", "random.h")
        self.quern("compile", "random.onnx", "--multi-cpu=v2,v3", "-o", "both.so")
        self.assertIn("int random_use_random(quern_random_fn random, void *context);",
                      (self.folder / "random.h").read_text())
        drawn = {}
        for seed in ("1", "2"):
            for file in ("random.onnx", "random.so", "both.so"):
                self.quern("run", file, "--input=x=zeros", "--seed", seed, "-o", "y.npy")
                drawn[seed, file] = np.load(self.folder / "y.npy")
            for library in ("random.so", "both.so"):
                np.testing.assert_array_equal(drawn[seed, library], drawn[seed, "random.onnx"])
                self.quern("compare", library, "--reference", "random.onnx", "--seed", seed, *FAST)
        self.assertTrue((drawn["1", "random.so"] != drawn["2", "random.so"]).all())

    def test_inspect(self):
        report = self.quern_json("inspect", "gemm.so")
        self.assertEqual(report["schema"], "quern.inspect/1")
        self.assertEqual(report["name"], "gemm")
        self.assertEqual(report["inputs"], [{"name": "x", "dtype": "float32", "shape": [2, 4]}])
        out, _ = self.quern("inspect", "gemm.so")
        self.assertIn("library of model gemm, for ", out)
        self.assertIn("output y: float32 2x3", out)

    def test_listed_sizes(self):
        self.quern("compile", "gemm.onnx", "--dim", "N=1,3,8..16:4", "-o", "sizes.so", "--header", "sizes.h")
        report = self.quern_json("inspect", "sizes.so")
        self.assertEqual(report["sizes"], {"N": [1, 3, 8, 12, 16]})
        self.assertEqual(report["inputs"], [{"name": "x", "dtype": "float32", "shape": ["N", 4]}])
        self.assertEqual(report["outputs"], [{"name": "y", "dtype": "float32", "shape": ["N", 3]}])
        out, _ = self.quern("inspect", "sizes.so")
        self.assertIn("N is one of 1, 3, 8, 12, 16\n", out)
        for rows in (1, 3, 12):
            x = np.arange(4 * rows, dtype=np.float32).reshape(rows, 4)
            self.save("x.npy", x)
            self.quern("run", "sizes.so", "--input", "x=x.npy", "-o", "y=library.npy")
            self.quern("run", "gemm.onnx", "--input", "x=x.npy", "-o", "y=model.npy")
            np.testing.assert_array_equal(np.load(self.folder / "library.npy"),
                                          np.load(self.folder / "model.npy"))
        self.save("x.npy", np.ones((9, 4), np.float32))
        self.fails(INVALID_INPUT, "run", "sizes.so", "--input", "x=x.npy",
                   says="there is no code for N=9: the nearest sizes compiled for are 8 and 12")

    def test_sizes_of_inputs_made_here(self):
        self.quern("compile", "gemm.onnx", "--dim", "N=2,5", "-o", "sizes.so")
        self.quern("run", "sizes.so", "--dim", "N=5", "--input", "random", "-o", "y=y.npy")
        self.assertEqual(np.load(self.folder / "y.npy").shape, (5, 3))
        _, notes = self.quern("run", "sizes.so", "--input", "random", "-o", "y=y.npy")
        self.assertIn("dimension N of input 'x' is not given; taking 2 (--dim N=...)", notes)
        report = self.quern_json("compare", "sizes.so", "--reference", "gemm.onnx", "--dim", "N=5", *FAST)
        self.assertTrue(report["outputs"][0]["pass"])
        self.quern_json("compare", "sizes.so", "--reference", "gemm.onnx", *FAST)
        self.quern_json("bench", "sizes.so", "--dim", "N=5", *FAST)
        self.fails(INVALID_INPUT, "run", "sizes.so", "--dim", "N=4", "--input", "random",
                   says="the nearest sizes compiled for are 2 and 5")
        self.fails(USAGE, "run", "sizes.so", "--dim", "M=4", "--input", "random",
                   says="--dim M: no input of the library has this dimension; it takes N")
        self.save("x.npy", np.ones((2, 4), np.float32))
        self.fails(INVALID_INPUT, "run", "sizes.so", "--dim", "N=5", "--input", "x=x.npy",
                   says="wanted shape 5x4, found 2x4")

    def test_refused_lists(self):
        for text, said in (("N=1,,2", "--dim: 'N=1,,2': wanted NAME=SIZES"),
                           ("N=1..0", "wanted NAME=SIZES"), ("N=1..9999", "at most 4096 of them"),
                           ("M=1,2", "no input has a dimension 'M'")):
            self.fails(USAGE, "compile", "gemm.onnx", "--dim", text, "-o", "x.so", says=said)
        self.fails(USAGE, "run", "gemm.onnx", "--dim", "N=1,2", says="wanted NAME=SIZE, as in N=1")
        self.quern("compile", "gemm.onnx", "--dim", "N=4..4", "-o", "one.so")
        self.assertEqual(self.quern_json("inspect", "one.so")["sizes"], {})

    def test_weights_in_a_file(self):
        self.quern("compile", "gemm.onnx", "--dim", "N=2", "-o", "apart.so", "--weights=file")
        self.assertEqual(self.files(), ["apart.so", "apart.weights", "gemm.so"])
        weights = self.folder / "apart.weights"
        report = self.quern_json("inspect", "apart.so")
        self.assertEqual(report["weights_bytes"], weights.stat().st_size)
        out, _ = self.quern("inspect", "apart.so")
        self.assertIn(f"weights: {weights.stat().st_size} bytes in a file of their own", out)
        report = self.quern_json("compare", "apart.so", "--reference", "gemm.onnx", *FAST)
        self.assertTrue(report["outputs"][0]["pass"])
        self.quern_json("bench", "apart.so", *FAST)
        weights.write_bytes(weights.read_bytes()[:-1] + b"?")
        self.fails(INCOMPATIBLE, "run", "apart.so", "--input=zeros",
                   says="apart.weights' are not the weights that apart.so was compiled with")
        weights.unlink()
        self.fails(IO, "run", "apart.so", "--input=zeros",
                   says="cannot read the weights 'apart.weights': No such file")
        self.fails(USAGE, "compile", "gemm.onnx", "--dim=N=2", "-o", "m.so", "--weights=elsewhere",
                   says="--weights")

    def test_faults(self):
        """What code says by a number comes with words, and with the exit code it has as a model."""
        body = helper.make_graph(
            [helper.make_node("Identity", ["go"], ["next"]), helper.make_node("Add", ["a", "a"], ["b"])],
            "body", [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL),
                     value("a", [2])],
            [value("next", [], TensorProto.BOOL), value("b", [2])])
        loop = make_model([helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)],
                          [value("n", [], TensorProto.INT64), value("x", [2])], [value("y", [2])])
        onnx.save(loop, str(self.folder / "loop.onnx"))
        self.quern("compile", "loop.onnx", "--max-iterations=5", "-o", "loop.so")
        self.save("x.npy", np.ones(2, np.float32))
        inputs = ("--input", "x=x.npy", "--input", "n=n.npy")
        self.save("n.npy", np.array(5, np.int64))
        self.quern("run", "loop.so", *inputs, "-o", "y=y.npy")
        np.testing.assert_array_equal(np.load(self.folder / "y.npy"), np.array([32, 32], np.float32))
        self.save("n.npy", np.array(6, np.int64))
        self.fails(LIMIT, "run", "loop.so", *inputs, says="more iterations than the model was compiled")

        gather = make_model([helper.make_node("Gather", ["x", "i"], ["y"])],
                            [value("x", [2]), value("i", [1], TensorProto.INT64)], [value("y", [1])])
        onnx.save(gather, str(self.folder / "gather.onnx"))
        self.quern("compile", "gather.onnx", "-o", "gather.so")
        self.save("i.npy", np.array([7], np.int64))
        self.fails(INVALID_INPUT, "run", "gather.so", "--input", "x=x.npy", "--input", "i=i.npy",
                   says="out of range")

    def test_refusals(self):
        self.fails(USAGE, "run", "gemm.so", "--dim", "N=2", says="sizes are fixed")
        self.fails(USAGE, "run", "gemm.so", "--input", "random",
                   "--backend", "interpreter", says="cannot be interpreted")
        whole = (self.folder / "gemm.so").read_bytes()
        (self.folder / "half.so").write_bytes(whole[:len(whole) // 2])
        self.fails(INVALID_MODEL, "run", "half.so", "--input", "random", says="damaged or not whole")
        arm = bytearray(whole)
        arm[18] = 183
        (self.folder / "arm.so").write_bytes(arm)
        self.fails(INCOMPATIBLE, "inspect", "arm.so", says="the library is for AArch64")


if __name__ == "__main__":
    unittest.main()
