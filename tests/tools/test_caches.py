"""--growing-caches: past and present have the dimension that grows first, wherever they run."""

import unittest

import numpy as np
import onnx
from cli import USAGE, CliTest, make_model, value
from onnx import helper

BATCH, HEADS, SIZE = 2, 3, 4


def decoder():
    """present = concat(past, new) [batch, heads, length, size]; y reads all of it."""
    shape = lambda length: [BATCH, HEADS, length, SIZE]  # noqa: E731
    return make_model(
        [helper.make_node("Concat", ["past", "new"], ["present"], axis=2),
         helper.make_node("Mul", ["present", "present"], ["y"])],
        [value("past", shape("length")), value("new", shape(1))],
        [value("present", shape("total")), value("y", shape("total"))])


class Caches(CliTest):
    def test_growing(self):
        rng = np.random.default_rng(0)
        onnx.save(decoder(), str(self.folder / "m.onnx"))
        past, new = (rng.standard_normal((BATCH, HEADS, n, SIZE)).astype("f4") for n in (5, 1))
        np.savez(self.folder / "in.npz", past=past.transpose(2, 0, 1, 3), new=new)
        grown = ("m.onnx", "--growing-caches")
        self.quern("compile", *grown, "--dim=length=5", "-o", "m.so")
        for run in ((*grown,), (*grown, "--backend=interpreter"), ("m.so",)):
            self.quern("run", *run, "--input=in.npz", "--output=out.npz")
            found = np.load(self.folder / "out.npz")
            wanted = np.concatenate([past, new], axis=2)
            np.testing.assert_array_equal(found["present"], wanted.transpose(2, 0, 1, 3))
            np.testing.assert_array_equal(found["y"], wanted * wanted)
        self.quern("compare", *grown, "--dim=length=3", "--duration=20ms")
        self.quern("bench", *grown, "--dim=length=3", "--duration=20ms")
        np.savez(self.folder / "given.npz", past=past, new=new)
        self.fails(8, "run", *grown, "--input=given.npz",
                            says="input 'past': wanted shape lengthx2x3x4, found 2x3x5x4")
        self.fails(USAGE, "run", "m.so", "--growing-caches", "--input=in.npz",
                   says="how its caches lie is part of it")


if __name__ == "__main__":
    unittest.main()
