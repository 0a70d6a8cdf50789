"""Phases as text: quern-opt reads what quern compile prints.

Needs QUERN_OPT, the program, in the environment.
"""

import json
import os
import subprocess
import unittest

import onnx
from cli import QUERN, CliTest, make_model, value
from onnx import TensorProto, helper

QUERN_OPT = os.environ.get("QUERN_OPT", QUERN + "-opt")
GRAPHS = ("imported", "simplified", "laid-out", "fused")


def branching_model():
    """An If around convolutions, a sequence, names that need quotes."""
    def branch(op, name):
        return helper.make_graph([helper.make_node(op, ["x"], [f"{name}_out"], f'{name} "quoted"\\')],
                                 name, [], [value(f"{name}_out", None)])
    nodes = [helper.make_node("If", ["c"], ["chosen"], "choose", then_branch=branch("Relu", "yes"),
                              else_branch=branch("Neg", "no")),
             helper.make_node("SequenceConstruct", ["chosen", "x"], ["s"], "both"),
             helper.make_node("ConcatFromSequence", ["s"], ["y"], "join", axis=0)]
    return make_model(nodes, [value("c", [], TensorProto.BOOL), value("x", ["N", 3])],
                      [value("y", None)])


class Phases(CliTest):
    def read_back(self, text, *options):
        done = subprocess.run([QUERN_OPT, *options], input=text, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def phase(self, name, model="gemm.onnx"):
        return self.quern("compile", model, "--dim=N=2", "--compile-to", name)[0]

    def test_round_trips(self):
        onnx.save(branching_model(), str(self.folder / "branches.onnx"))
        for model in ("gemm.onnx", "add.onnx", "branches.onnx"):
            for name in GRAPHS:
                text = self.phase(name, model)
                again = self.read_back(text, "--mlir-print-debuginfo", "--mlir-print-local-scope")
                self.assertEqual(again.split(), text.split(), (model, name))

    def test_kernels_are_read_too(self):
        for name in ("kernels", "llvm"):
            self.assertIn("func @quern_k_", self.read_back(self.phase(name)))

    def test_names_of_nodes_stay(self):
        text = self.phase("imported")
        self.assertIn('loc("matmul1")', text)
        self.assertIn("nn.group", self.read_back(text, "--quern-graph"))

    def test_dumps_are_the_same(self):
        self.quern("run", "gemm.onnx", "--input=zeros", "--dim=N=2", "--dump-phases-to", "dump")
        text = (self.folder / "dump/0-imported.mlir").read_text()
        self.assertIn('loc("matmul1")', text)
        self.assertIn("nn.group", self.read_back(text, "--quern-graph"))

    def test_json(self):
        report = self.quern_json("compile", "gemm.onnx", "--dim=N=2", "--compile-to=fused")
        self.assertEqual((report["schema"], report["phase"], report["output"]),
                         ("quern.compile/1", "fused", ""))
        self.assertEqual(report["text"], self.phase("fused"))
        out, _ = self.quern("compile", "gemm.onnx", "--dim=N=2", "--compile-to=fused", "-o",
                            "m.mlir", "--json")
        self.assertEqual(json.loads(out)["output"], "m.mlir")
        self.assertNotIn("text", json.loads(out))
        self.assertEqual((self.folder / "m.mlir").read_text(), report["text"])


if __name__ == "__main__":
    unittest.main()
