"""C programs that come with artefacts: FOLDER.c-test and --emit-main."""

import os
import subprocess
import unittest

import numpy as np
import onnx
from cli import (INCOMPATIBLE, INVALID_INPUT, IO, MISMATCH, UNSUPPORTED, USAGE, CliTest,
                 links_archive, make_model, value)
from onnx import TensorProto, helper, numpy_helper

CC = os.environ.get("CC", "cc")
FLAGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1"]


def quantized_product():
    """Bytes of floats by constant bytes, as floats."""
    random = np.random.default_rng(2)
    weights = [numpy_helper.from_array(np.array(number, dtype), name) for name, number, dtype in
               (("scale", 0.05, np.float32), ("zero", 128, np.uint8), ("w_scale", 0.01, np.float32))]
    weights.append(numpy_helper.from_array(random.integers(-128, 128, (64, 32)).astype(np.int8), "w"))
    nodes = [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
             helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["a"]),
             helper.make_node("DequantizeLinear", ["w", "w_scale"], ["b"]),
             helper.make_node("MatMul", ["a", "b"], ["y"])]
    return make_model(nodes, [value("x", [4, 64])], [value("y", [4, 32])], weights)


class Programs(CliTest):
    def build(self, folder, *sources):
        program = self.folder / folder / "program"
        done = subprocess.run([CC, *FLAGS, "-o", program, *sources, "-lm"],
                              cwd=self.folder / folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return program

    def call(self, program, *arguments, exits=0, folder="."):
        done = subprocess.run([program, *map(str, arguments)], cwd=self.folder / folder,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, exits, done.stdout + done.stderr)
        return done.stdout + done.stderr


class TestFolder(Programs):
    def test_says_whether_answers_are_right(self):
        self.quern("compile", "gemm.onnx", "--dim=N=2", "-o", "gemm.c-test", "--seed=3")
        folder = self.folder / "gemm.c-test"
        self.assertEqual(sorted(path.name for path in folder.iterdir()),
                         ["Makefile", "model.h", "model.o", "plan0_input0.bin", "plan0_output0.bin",
                          "run.c", "test.c"])
        x = np.fromfile(folder / "plan0_input0.bin", np.float32).reshape(2, 4)
        np.testing.assert_allclose(np.fromfile(folder / "plan0_output0.bin", np.float32).reshape(2, 3),
                                   np.maximum(x @ np.ones((4, 3), np.float32), 0), rtol=1e-6)
        out = subprocess.run(["make", "-s", "check", f"CC={CC}", "CFLAGS=" + " ".join(FLAGS)],
                             cwd=folder, capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertIn("output y: max error ", out.stdout)
        self.assertIn("0 of 6 numbers differ", out.stdout)
        self.assertTrue(out.stdout.endswith("ok\n"))
        # From elsewhere, with the folder as argument; and with answers that are wrong.
        self.call(folder / "test", "gemm.c-test")
        wanted = np.fromfile(folder / "plan0_output0.bin", np.float32)
        wanted[4] += 1
        wanted.tofile(folder / "plan0_output0.bin")
        out = self.call(folder / "test", "gemm.c-test", exits=MISMATCH)
        self.assertIn("max error 1, 1 of 6 numbers differ", out)
        self.assertIn("WRONG", out)
        (folder / "plan0_input0.bin").write_bytes(b"short")
        self.assertIn("plan0_input0.bin: wanted 32 bytes",
                      self.call(folder / "test", "gemm.c-test", exits=INVALID_INPUT))
        (folder / "plan0_input0.bin").unlink()
        self.call(folder / "test", "gemm.c-test", exits=IO)

    def test_tolerance_follows_precision(self):
        """4 % of the largest number in bfloat16 and of few bits, as `compare` has it; else 0.1 % of
        each. Products of bytes are rounded once where the model rounds thrice."""
        def is_within(folder, share):
            output = self.folder / folder / "plan0_output0.bin"
            wanted = np.fromfile(output, np.float32)
            moved = wanted.copy()
            moved[np.abs(wanted).argmin()] += share * np.abs(wanted).max()
            moved.tofile(output)
            done = subprocess.run([self.folder / folder / "program"], cwd=self.folder / folder,
                                  capture_output=True)
            wanted.tofile(output)
            return done.returncode == 0

        onnx.save(quantized_product(), str(self.folder / "qdq.onnx"))
        for name, model, *options in (("bf16", "gemm.onnx", "--dim=N=2", "--precision=bf16"),
                                      ("auto", "gemm.onnx", "--dim=N=2", "--precision=auto", "--max-error=0.04"),
                                      ("bytes", "qdq.onnx"), ("f32", "gemm.onnx", "--dim=N=2")):
            self.quern("compile", model, *options, "-o", f"{name}.c-test", "-q")
            self.build(f"{name}.c-test", "test.c", "model.o")
            self.assertTrue(is_within(f"{name}.c-test", 0), name)
            self.assertEqual(is_within(f"{name}.c-test", 0.02), name != "f32", name)
            self.assertFalse(is_within(f"{name}.c-test", 0.1), name)

    def test_compares_all_types(self):
        """Halves and what is computed in them, integers, bools, and numbers that are none."""
        types = [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.INT8,
                 TensorProto.INT64]
        nodes = [helper.make_node("Add", [f"x{i}", f"x{i}"], [f"y{i}"]) for i in range(len(types))]
        nodes += [helper.make_node("Less", ["x4", "x4"], ["less"]),
                  helper.make_node("Log", ["negative"], ["nan"])]
        model = make_model(nodes, [value(f"x{i}", [5], dtype) for i, dtype in enumerate(types)],
                           [value(f"y{i}", [5], dtype) for i, dtype in enumerate(types)] +
                           [value("less", [5], TensorProto.BOOL), value("nan", [2])],
                           [numpy_helper.from_array(np.array([-1, 0], np.float32), "negative")], opset=14)
        onnx.save(model, str(self.folder / "types.onnx"))
        self.quern("compile", "types.onnx", "-o", "types.c-test")
        out = self.call(self.build("types.c-test", "test.c", "model.o"), folder="types.c-test")
        self.assertEqual(out.count("max error 0, 0 of"), 4, out)
        self.assertEqual(out.count("0 of 5 bytes differ"), 2, out)
        half = self.folder / "types.c-test/plan0_output0.bin"
        numbers = np.fromfile(half, np.float16)
        (numbers * np.float16(1.004)).tofile(half)
        self.call(self.folder / "types.c-test/program", exits=MISMATCH, folder="types.c-test")
        numbers.tofile(half)
        self.call(self.folder / "types.c-test/program", folder="types.c-test")

    def test_of_several_sizes_with_weights_in_a_file(self):
        self.quern("compile", "gemm.onnx", "--dim=N=1,4,7", "-o", "sizes.c-test", "--weights=file")
        names = {path.name for path in (self.folder / "sizes.c-test").iterdir()}
        self.assertLessEqual({"model.weights", "plan0_input0.bin", "plan2_output0.bin"}, names)
        program = self.build("sizes.c-test", "test.c", "model.o")
        out = self.call(program, folder="sizes.c-test")
        self.assertIn("N=1:\n", out)
        self.assertIn("N=7:\n", out)
        weights = self.folder / "sizes.c-test/model.weights"
        weights.write_bytes(weights.read_bytes()[:-1] + b"?")
        self.assertIn("not the weights", self.call(program, folder="sizes.c-test", exits=INCOMPATIBLE))

    @links_archive
    def test_brings_reference_kernels_along(self):
        onnx.save(make_model([helper.make_node("Det", ["x"], ["y"])], [value("x", [2, 3, 3])],
                             [value("y", [2])]), str(self.folder / "det.onnx"))
        self.quern("compile", "det.onnx", "-o", "det.c-test")
        self.assertTrue((self.folder / "det.c-test/libquern_runtime.a").exists())
        self.assertIn("LIBS = libquern_runtime.a -lstdc++ -lm\n",
                      (self.folder / "det.c-test/Makefile").read_text())
        done = subprocess.run(["make", "-s", "check", f"CC={CC}"], cwd=self.folder / "det.c-test",
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.fails(UNSUPPORTED, "compile", "det.onnx", "-o", "arm.c-test", "--target=aarch64-linux-gnu",
                   says="there is no libquern_runtime.a for the machine compiled for")
        self.assertEqual(self.files(), ["det.c-test"])

    def test_sizes_that_follow_from_others(self):
        """Without them the inputs of a case would have sizes that no plan has."""
        node = helper.make_node("Neg", ["mask"], ["y"])
        sizes = [helper.make_node(op, ["past", "new"][i:i + 1], [name])
                 for i, (op, name) in enumerate((("Abs", "a"), ("Abs", "b")))]
        onnx.save(make_model([node, *sizes],
                             [value("past", ["past", 2]), value("new", ["seq", 2]),
                              value("mask", ["past + seq"])],
                             [value("y", ["past + seq"]), value("a", ["past", 2]),
                              value("b", ["seq", 2])]), str(self.folder / "cache.onnx"))
        self.quern("compile", "cache.onnx", "--dim=past=3,5", "--dim=seq=1,4", "-o", "cache.c-test")
        self.assertEqual((self.folder / "cache.c-test/plan3_input2.bin").stat().st_size, 9 * 4)
        self.call("make", "-s", "-C", "cache.c-test", "check", f"CC={CC}")

    def test_replaces_its_own_folders_only(self):
        self.quern("compile", "gemm.onnx", "--dim=N=2", "-o", "m.c-test")
        self.quern("compile", "gemm.onnx", "--dim=N=3", "-o", "m.c-test")
        self.assertEqual((self.folder / "m.c-test/plan0_input0.bin").stat().st_size, 48)
        self.assertEqual(self.files(), ["m.c-test"])
        mine = self.folder / "mine.c-test"
        mine.mkdir()
        (mine / "letter.txt").write_text("mine")
        self.fails(IO, "compile", "gemm.onnx", "--dim=N=3", "-o", "mine.c-test",
                   says="no folder that quern compile has written")
        self.assertEqual([path.name for path in mine.iterdir()], ["letter.txt"])
        self.fails(IO, "compile", "gemm.onnx", "--dim=N=3", "-o", "no/m.c-test", says="No such file")
        self.fails(USAGE, "compile", "gemm.onnx", "--dim=N=3", "-o", "h.c-test", "--header", "h.h",
                   says="has a header and a main program of its own")
        self.assertEqual(self.files(), ["m.c-test", "mine.c-test"])


class Main(Programs):
    def test_runs_on_npy_and_bare_elements(self):
        self.quern("compile", "gemm.onnx", "--dim=N=2", "-o", "gemm.o", "--emit-main", "main.c")
        program = self.build(".", "main.c", "gemm.o")
        x = self.save("x.npy", np.arange(8, dtype=np.float32).reshape(2, 4))
        self.call(program, x, "y.npy")
        wanted = np.array([[6, 6, 6], [22, 22, 22]], np.float32)
        np.testing.assert_array_equal(np.load(self.folder / "y.npy"), wanted)
        np.load(x).tofile(self.folder / "x.bin")
        self.call(program, "x.bin", "y.bin")
        np.testing.assert_array_equal(np.fromfile(self.folder / "y.bin", np.float32), wanted.ravel())

        out = self.call(program, exits=USAGE)
        self.assertIn("input x: f4 2x4, 32 bytes", out)
        self.assertIn("output y: f4 2x3, 24 bytes", out)
        for array, says in ((np.zeros((2, 4)), "not of the input's type"),
                            (np.zeros((4, 2), np.float32), "not of the input's sizes"),
                            (np.zeros((2, 4, 1), np.float32), "not of the input's sizes"),
                            (np.zeros(2, np.float32), "not of the input's sizes"),
                            (np.zeros((2, 4), ">f4"), "not of the input's type"),
                            (np.zeros((4, 2), np.float32).T, "not in row-major order")):
            self.save("bad.npy", array)
            self.assertIn(says, self.call(program, "bad.npy", "z.npy", exits=INVALID_INPUT))
        whole = x.read_bytes()
        for cut in (3, 9, 40, len(whole) - 1):
            (self.folder / "cut.npy").write_bytes(whole[:cut])
            self.call(program, "cut.npy", "z.npy", exits=INVALID_INPUT)
        self.call(program, "missing.npy", "z.npy", exits=IO)
        self.call(program, x, "no/z.npy", exits=IO)

    def test_sizes_scalars_and_types(self):
        node = helper.make_node("Where", ["c", "a", "b"], ["y"])
        onnx.save(make_model([node], [value("c", ["N", 2], TensorProto.BOOL),
                                      value("a", [], TensorProto.INT64),
                                      value("b", ["N", 2], TensorProto.INT64)],
                             [value("y", ["N", 2], TensorProto.INT64)]), str(self.folder / "where.onnx"))
        self.quern("compile", "where.onnx", "--dim=N=1,3", "-o", "where.o", "--emit-main", "main.c")
        program = self.build(".", "main.c", "where.o")
        choice = np.array([[True, False]] * 3)
        self.save("c.npy", choice)
        self.save("a.npy", np.array(-7, np.int64))
        b = np.arange(6, dtype=np.int64).reshape(3, 2)
        self.save("b.npy", b)
        self.call(program, "N=3", "c.npy", "a.npy", "b.npy", "y.npy")
        np.testing.assert_array_equal(np.load(self.folder / "y.npy"), np.where(choice, -7, b))
        self.assertIn("size N", self.call(program, "c.npy", "a.npy", "b.npy", "y.npy", exits=USAGE))
        self.assertIn("was not compiled for these sizes",
                      self.call(program, "N=2", "c.npy", "a.npy", "b.npy", "y.npy", exits=INVALID_INPUT))

    def test_weights_in_a_file(self):
        self.quern("compile", "gemm.onnx", "--dim=N=2", "-o", "gemm.o", "--emit-main", "main.c",
                   "--weights=file")
        program = self.build(".", "main.c", "gemm.o")
        x = self.save("x.npy", np.ones((2, 4), np.float32))
        self.call(program, x, "y.npy")
        (self.folder / "gemm.weights").rename(self.folder / "other")
        self.call(program, x, "y.npy", exits=IO)
        self.call(program, "-w", "other", x, "y.npy")
        np.testing.assert_array_equal(np.load(self.folder / "y.npy"), np.full((2, 3), 4, np.float32))

    def test_is_written_whole(self):
        self.fails(IO, "compile", "gemm.onnx", "--dim=N=2", "-o", "m.o", "--emit-main", "no/main.c",
                   says="cannot write 'no/main.c'")
        self.assertEqual(self.files(), [])


if __name__ == "__main__":
    unittest.main()
