"""Models with fifty thousand nodes, inputs, outputs and weights.

No run ends in time when a phase takes time that grows with the square of their number.
"""

import unittest

import numpy as np
import onnx
from cli import CliTest, make_model, value
from onnx import helper, numpy_helper

MANY = 50_000


class ManyOfEverything(CliTest):
    def runs(self, nodes, inputs, outputs, initializers=(), backends=("interpreter",)):
        onnx.save(make_model(nodes, inputs, outputs, initializers), str(self.folder / "many.onnx"))
        self.quern("inspect", "many.onnx")
        self.quern("check", "many.onnx")
        for backend in backends:
            self.quern("run", "many.onnx", "--quiet", "--input=zeros", "--backend", backend)

    def test_nodes(self):
        ops = ("Relu", "Softmax")
        nodes = [helper.make_node(ops[i % 2], [f"x{i}"], [f"x{i + 1}"]) for i in range(MANY)]
        self.runs(nodes, [value("x0", ["N"])], [value(f"x{MANY}", None)],
                  backends=("interpreter", "native"))

    def test_inputs_and_operands(self):
        names = [f"x{i}" for i in range(MANY)]
        self.runs([helper.make_node("Max", names, ["y"])],
                  [value(name, [f"D{name}"]) for name in names], [value("y", None)])

    def test_outputs(self):
        names = [f"y{i}" for i in range(MANY)]
        self.runs([helper.make_node("Split", ["x"], names)],
                  [value("x", [MANY])], [value(name, [1]) for name in names])

    def test_initializers(self):
        names = [f"w{i}" for i in range(MANY)]
        weights = [numpy_helper.from_array(np.ones(1, np.float32), name) for name in names]
        self.runs([helper.make_node("Concat", ["x"] + names, ["y"], axis=0)],
                  [value("x", ["N"])], [value("y", None)], weights)

    def test_simplifications_before_one_user(self):
        nodes = []
        for i in range(MANY // 2):
            nodes += [helper.make_node("Shape", ["x"], [f"s{i}"]),
                      helper.make_node("Reshape", ["x", f"s{i}"], [f"y{i}"])]
        self.runs(nodes, [value("x", ["N", 2])],
                  [value(f"y{i}", None) for i in range(MANY // 2)])


if __name__ == "__main__":
    unittest.main()
