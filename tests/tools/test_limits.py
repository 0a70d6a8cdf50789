"""Limits on time and work: --timeout, and small models that ask for much."""

import time
import unittest

import numpy as np
import onnx
from cli import LIMIT, USAGE, CliTest, make_model, value
from onnx import helper, numpy_helper

# Passes before anything is done.
AT_ONCE = "0.000001ms"


def constants_model(size):
    """y = x + max(ones @ ones), matrices of size x size."""
    shape = numpy_helper.from_array(np.array([size, size], np.int64), "shape")
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["ones"], "ones1"),
             helper.make_node("MatMul", ["ones", "ones"], ["p"], "matmul1"),
             helper.make_node("ReduceMax", ["p"], ["m"], "max1", keepdims=0),
             helper.make_node("Add", ["x", "m"], ["y"], "add1")]
    return make_model(nodes, [value("x", [1])], [value("y", [1])], [shape])


def pool_model():
    """A window of a million elements at a million positions: hours of work."""
    node = helper.make_node("AveragePool", ["x"], ["y"], "pool1", kernel_shape=[1024, 1024])
    return make_model([node], [value("x", [1, 1, 2048, 2048])], [value("y", [1, 1, 1025, 1025])])


class Timeout(CliTest):
    def test_no_duration(self):
        for verb in ("run", "check", "inspect", "compile", "compare", "bench"):
            output = ["-o", "m.so"] if verb == "compile" else []
            self.fails(USAGE, verb, "add.onnx", "--timeout=3h", *output,
                       says="--timeout: '3h' is no duration")
            self.fails(USAGE, verb, "add.onnx", "--timeout=0s", *output,
                       says="--timeout 0s: wanted more than 0")

    def test_every_verb_obeys(self):
        for verb in ("run", "check", "inspect", "compile", "compare", "bench"):
            options = ["--dim=N=1", "-o", "m.so"] if verb == "compile" else []
            self.fails(LIMIT, verb, "add.onnx", "--timeout", AT_ONCE, *options,
                       says="add.onnx: time limit of 1e-06ms exceeded while reading the model")

    def test_time_enough(self):
        self.quern("run", "gemm.onnx", "--input=zeros", "--timeout=2min")
        self.quern("check", "gemm.onnx", "--timeout=1000000min")

    def test_long_runs_end(self):
        onnx.save(pool_model(), str(self.folder / "pool.onnx"))
        for backend in ("interpreter", "native"):
            self.fails(LIMIT, "run", "pool.onnx", "--input=zeros", "--threads=1", "--timeout=3s",
                       "--backend", backend,
                       says=["node 'pool1'", "time limit of 3s exceeded while running"])


class Work(CliTest):
    def test_hours_of_folding(self):
        onnx.save(constants_model(4000), str(self.folder / "constants.onnx"))
        started = time.monotonic()
        report = self.quern_json("check", "constants.onnx", "--timeout=50s")
        self.assertLess(time.monotonic() - started, 50)
        self.assertGreaterEqual(report["steps"], 2)

    def test_little_is_folded(self):
        onnx.save(constants_model(20), str(self.folder / "constants.onnx"))
        self.assertEqual(self.quern_json("check", "constants.onnx")["steps"], 1)


if __name__ == "__main__":
    unittest.main()
