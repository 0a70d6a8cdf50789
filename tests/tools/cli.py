"""Runs quern and makes small models for it; shared by the tests of the command line.

Needs QUERN, the program, in the environment.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QUERN = os.environ.get("QUERN", str(pathlib.Path(__file__).resolve().parents[2] /
                                    "build/release/bin/quern"))
# For tests that link libquern_runtime.a: with sanitizers only programs of theirs can hold it.
links_archive = unittest.skipIf(os.environ.get("QUERN_SANITIZE"), "built with sanitizers")
# Exit codes, as in runtime/include/quern/Status.h.
OK, USAGE, INVALID_MODEL, UNSUPPORTED, MISMATCH = 0, 2, 3, 4, 5
TOO_SLOW, INCOMPATIBLE, INVALID_INPUT, LIMIT, IO = 6, 7, 8, 9, 10
INTERRUPTED = 130
# Generous: sanitizers and a busy machine; a case takes well below a second.
SECONDS_PER_RUN = 60


def make_model(nodes, inputs, outputs, initializers=(), opset=13, domains=()):
    graph = helper.make_graph(list(nodes), "graph", inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def add_relu_model():
    """y = relu(a + b), all float32 Nx3."""
    nodes = [helper.make_node("Add", ["a", "b"], ["s"], "add1"),
             helper.make_node("Relu", ["s"], ["y"], "relu1")]
    return make_model(nodes, [value("a", ["N", 3]), value("b", ["N", 3])], [value("y", ["N", 3])])


def gemm_model():
    """y = relu(x @ w), x float32 Nx4, w 4x3 of ones."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"], "matmul1"),
             helper.make_node("Relu", ["p"], ["y"], "relu1")]
    weight = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    return make_model(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], [weight])


def unsupported_model():
    nodes = [helper.make_node("Frobnicate", ["x"], ["t"], "frob1", domain="org.example"),
             helper.make_node("Twirl", ["t"], ["y"], "twirl1", domain="org.example")]
    return make_model(nodes, [value("x", [2])], [value("y", [2])], domains=["org.example"])


class CliTest(unittest.TestCase):
    """A test in an empty folder of its own, with the models add.onnx and gemm.onnx."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        onnx.save(add_relu_model(), str(self.folder / "add.onnx"))
        onnx.save(gemm_model(), str(self.folder / "gemm.onnx"))

    def quern(self, *arguments, exits=OK, environment=None):
        """Runs quern in the folder; its standard output and standard error. `exits`: the exit
        code, or those that it may end with. `environment`: variables beside those there are."""
        done = subprocess.run([QUERN, *map(str, arguments)], cwd=self.folder, text=True,
                              env={**os.environ, **(environment or {})},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=SECONDS_PER_RUN, errors="replace")
        self.assertIn(done.returncode, exits if isinstance(exits, tuple) else (exits,),
                      f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done.stdout, done.stderr

    def fails(self, exits, *arguments, says):
        """Ends with this code, nothing on standard output, and an error with all of `says`."""
        out, err = self.quern(*arguments, exits=exits)
        self.assertEqual(out, "")
        self.assertIn("quern: error: ", err)
        for words in [says] if isinstance(says, str) else says:
            self.assertIn(words, err)

    def quern_json(self, *arguments, exits=OK):
        out, _ = self.quern(*arguments, "--json", exits=exits)
        return json.loads(out)

    def save(self, name, array):
        path = self.folder / name
        if name.endswith(".pb"):
            path.write_bytes(numpy_helper.from_array(array).SerializeToString())
        else:
            np.save(path, array)
        return path

    def files(self):
        return sorted(p.name for p in self.folder.iterdir() if p.suffix != ".onnx")
