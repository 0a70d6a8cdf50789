"""What models are run on: files of all kinds, and what is wrong with them."""

import os
import unittest

import numpy as np
import onnx
from cli import INVALID_INPUT, IO, LIMIT, USAGE, CliTest, make_model, value
from onnx import helper

BACKENDS = ("interpreter", "native")


class GoodInputs(CliTest):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(1)
        self.a, self.b = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
        self.wanted = np.maximum(self.a + self.b, 0)

    def runs(self, *options):
        for backend in BACKENDS:
            self.quern("run", "add.onnx", "--backend", backend, "--output", "y.npz", *options)
            np.testing.assert_array_equal(np.load(self.folder / "y.npz")["y"], self.wanted)

    def test_npy(self):
        self.save("a.npy", self.a)
        self.save("b.npy", self.b)
        self.runs("--input", "a=a.npy", "--input", "b=b.npy")

    def test_column_major_npy(self):
        self.save("a.npy", np.asfortranarray(self.a))
        self.save("b.npy", self.b)
        self.runs("--input", "a=a.npy", "--input", "b=b.npy")

    def test_pb(self):
        self.save("a.pb", self.a)
        self.save("b.pb", self.b)
        self.runs("--input", "a=a.pb", "--input", "b=b.pb")

    def test_npz(self):
        np.savez(self.folder / "in.npz", a=self.a, b=self.b)
        self.runs("--input", "in.npz")

    def test_compressed_npz(self):
        np.savez_compressed(self.folder / "in.npz", a=self.a, b=self.b)
        self.runs("--input", "in.npz")

    def test_folder(self):
        (self.folder / "data").mkdir()
        self.save("data/input_0.pb", self.a)
        self.save("data/input_1.pb", self.b)
        self.runs("--input", "data")

    def test_only_input_needs_no_name(self):
        self.save("x.npy", np.full((2, 4), 0.5, np.float32))
        self.quern("run", "gemm.onnx", "--input", "x.npy", "--output", "y.npy")
        np.testing.assert_array_equal(np.load(self.folder / "y.npy"),
                                      np.full((2, 3), 2, np.float32))

    def test_only_array_needs_no_name(self):
        np.savez(self.folder / "x.npz", np.full((2, 4), 0.5, np.float32))
        self.quern("run", "gemm.onnx", "--input", "x.npz", "--output", "y.npy")
        np.testing.assert_array_equal(np.load(self.folder / "y.npy"),
                                      np.full((2, 3), 2, np.float32))
        np.savez(self.folder / "a.npz", self.a)
        self.fails(INVALID_INPUT, "run", "add.onnx", "--input", "a.npz",
                   says="the model has no inputs for 'arr_0'")

    def test_cast(self):
        self.save("a.npy", self.a.astype(np.float64))
        self.save("b.npy", np.arange(15).reshape(5, 3))
        self.wanted = np.maximum(self.a + np.arange(15, dtype=np.float32).reshape(5, 3), 0)
        self.runs("--input", "a=a.npy", "--input", "b=b.npy", "--cast")
        np.savez(self.folder / "in.npz", a=self.a.astype(np.float64), b=np.arange(15).reshape(5, 3))
        self.runs("--input", "in.npz", "--cast")
        self.quern("compare", "add.onnx", "--input", "in.npz", "--cast", "--duration=1ms")

    def test_sizes_of_made_inputs_follow_the_files(self):
        self.save("a.npy", self.a)
        self.wanted = np.maximum(self.a, 0)
        self.runs("--input", "a=a.npy", "--input", "zeros")

    def test_seed(self):
        def run(*options):
            self.quern("run", "add.onnx", "--input=random", "--output=y.npz", "--dim=N=4", *options)
            return np.load(self.folder / "y.npz")["y"]

        np.testing.assert_array_equal(run(), run("--seed=0"))
        self.assertTrue((run() != run("--seed=7")).any())

    def test_seed_of_nodes_that_draw(self):
        nodes = [helper.make_node("RandomUniformLike", ["x"], ["r"], "draw1"),
                 helper.make_node("Add", ["x", "r"], ["y"], "add1")]
        onnx.save(make_model(nodes, [value("x", [2, 3])], [value("y", [2, 3])]),
                  str(self.folder / "draw.onnx"))

        def run(backend, *options):
            self.quern("run", "draw.onnx", "--input=zeros", "--output=y.npy", "--backend", backend,
                       *options)
            return np.load(self.folder / "y.npy")

        for backend in BACKENDS:
            np.testing.assert_array_equal(run(backend), run("interpreter", "--seed=0"))
            self.assertTrue((run(backend) != run(backend, "--seed=7")).any())
        self.quern("compare", "draw.onnx", "--duration=1ms")

    def test_default_size_is_noted(self):
        _, err = self.quern("run", "add.onnx", "--input=random")
        self.assertEqual(err.count("taking 1 (--dim N=...)"), 1)
        _, err = self.quern("run", "add.onnx", "--input=random", "-q")
        self.assertEqual(err, "")
        _, err = self.quern("run", "add.onnx", "--input=random", "--dim=N=2")
        self.assertEqual(err, "")


class BadInputs(CliTest):
    def test_type_that_a_cast_would_give(self):
        self.save("x.npy", np.full((2, 4), 0.5))
        self.fails(INVALID_INPUT, "run", "gemm.onnx", "--input", "x.npy",
                   says=["found float64 2x4", "; --cast converts numbers to its type"])
        self.save("s.npy", np.full((2, 4), "0.5"))
        self.fails(INVALID_INPUT, "run", "gemm.onnx", "--input", "s.npy", "--cast",
                   says="input 'x': string is not converted to float32")

    def test_cast_of_numbers_that_do_not_fit(self):
        onnx.save(make_model([helper.make_node("Neg", ["x"], ["y"])],
                             [value("x", [2], onnx.TensorProto.INT8)],
                             [value("y", [2], onnx.TensorProto.INT8)]),
                  str(self.folder / "bytes.onnx"))
        for number, says in ((1.5, "1.5 is no int8"), (128.0, "128 is no int8"),
                             (300, "300 is no int8"), (float("nan"), "nan is no int8")):
            self.save("x.npy", np.array([1, number]))
            self.fails(INVALID_INPUT, "run", "bytes.onnx", "--input", "x.npy", "--cast",
                       says=f"input 'x': {says}")

    def test_not_given(self):
        self.fails(INVALID_INPUT, "run", "add.onnx",
                   says="input 'a' (float32 Nx3) is not given; use --input a=FILE.npy")

    def test_unknown_name(self):
        says = "the model has no input 'q'; its inputs are a, b"
        self.fails(INVALID_INPUT, "run", "add.onnx", "--input", "q=a.npy", says=says)

    def test_arrays_without_an_input(self):
        np.savez(self.folder / "more.npz", a=np.zeros((1, 3), np.float32), q=np.zeros(3),
                 b=np.ones((1, 3), np.float32), r=np.zeros(3))
        says = "'more.npz': the model has no inputs for 'q', 'r'; its inputs are a, b"
        _, err = self.quern("run", "add.onnx", "--input", "more.npz", "--output", "y.npy")
        self.assertIn(f"quern: warning: {says}\n", err)
        np.testing.assert_array_equal(np.load(self.folder / "y.npy"), np.ones((1, 3)))
        np.savez(self.folder / "few.npz", a=np.zeros((1, 3), np.float32), q=np.zeros(3))
        self.fails(INVALID_INPUT, "run", "add.onnx", "--input", "few.npz",
                   says=["the model has no inputs for 'q'", "input 'b' (float32 Nx3) is not given"])

    def test_given_twice(self):
        self.save("a.npy", np.zeros((1, 3), np.float32))
        self.fails(USAGE, "run", "add.onnx", "--input", "a=a.npy", "--input", "a=a.npy",
                   says="input 'a' is given twice")

    def test_which_input(self):
        self.save("a.npy", np.zeros((1, 3), np.float32))
        self.fails(USAGE, "run", "add.onnx", "--input", "a.npy",
                   says="could be any of the model's 2 inputs; write --input NAME=a.npy")

    def wrong(self, array, *says):
        self.save("a.npy", array)
        for backend in BACKENDS:
            self.fails(INVALID_INPUT, "run", "add.onnx", "--input", "a=a.npy", "--input=zeros",
                       "--backend", backend, says=["input 'a': wanted", *says])

    def test_wrong_type(self):
        self.wrong(np.zeros((2, 3)), "float32 Nx3", "found float64 2x3")

    def test_wrong_rank(self):
        self.wrong(np.zeros(3, np.float32), "shape Nx3", "found 3")

    def test_wrong_size(self):
        self.wrong(np.zeros((2, 4), np.float32), "shape Nx3", "found 2x4")

    def test_sizes_that_contradict(self):
        np.savez(self.folder / "in.npz", a=np.zeros((2, 3), np.float32),
                 b=np.zeros((4, 3), np.float32))
        self.fails(INVALID_INPUT, "run", "add.onnx", "--input", "in.npz",
                   says="input 'b': wanted shape Nx3 with N = 2 as in input 'a', found 4x3")

    def test_file_against_dim(self):
        self.save("a.npy", np.zeros((2, 3), np.float32))
        self.fails(INVALID_INPUT, "run", "add.onnx", "--dim=N=5", "--input=a=a.npy",
                   "--input=zeros", says="input 'a': wanted shape 5x3, found 2x3")

    def test_missing_file(self):
        self.fails(IO, "run", "add.onnx", "--input", "a=nope.npy", says=["nope.npy", "No such file"])
        self.fails(IO, "run", "gemm.onnx", "--input", "nope.npz", says=["nope.npz", "No such file"])
        self.fails(IO, "run", "add.onnx", "--input", "a=nope.pb", says=["nope.pb", "No such file"])

    def test_not_a_regular_file(self):
        os.mkfifo(self.folder / "fifo.npy")
        self.fails(IO, "run", "add.onnx", "--input", "a=fifo.npy", says="not a regular file")

    def test_unknown_kind_of_file(self):
        (self.folder / "a.txt").write_text("1,2,3")
        self.fails(USAGE, "run", "add.onnx", "--input", "a=a.txt",
                   says="an input file is a .npy, .npz or ONNX .pb file, a table")

    def test_broken_files(self):
        self.save("good.npy", np.zeros((1, 3), np.float32))
        whole = (self.folder / "good.npy").read_bytes()
        for name, content in {"text.npy": b"hello", "cut.npy": whole[:-1],
                              "long.npy": whole + b"1"}.items():
            (self.folder / name).write_bytes(content)
            self.fails(INVALID_INPUT, "run", "add.onnx", "--input", f"a={name}", says=name)
        for name in ("text.npz", "text.pb"):
            (self.folder / name).write_bytes(b"hello")
        self.fails(INVALID_INPUT, "run", "gemm.onnx", "--input", "text.npz", says="text.npz")
        self.fails(INVALID_INPUT, "run", "gemm.onnx", "--input", "x=text.pb", says="text.pb")

    def test_types_numpy_has_and_models_have_not(self):
        self.save("a.npy", np.zeros(3, ">f4"))
        self.fails(INVALID_INPUT, "run", "add.onnx", "--input", "a=a.npy", says="'>f4'")

    def test_empty_folder(self):
        (self.folder / "data").mkdir()
        self.fails(INVALID_INPUT, "run", "add.onnx", "--input", "data", says="has no input_0.pb")

    def test_too_large(self):
        self.fails(LIMIT, "run", "add.onnx", "--input=zeros", "--dim=N=9000000000000000000",
                   says="input 'a'")


if __name__ == "__main__":
    unittest.main()
