"""quern compare --per-node and --reduce: wrong code is found, and made small."""

import os
import signal
import subprocess
import tempfile
import time
import unittest
from unittest import mock

import numpy as np
import onnx
from cli import INTERRUPTED, MISMATCH, OK, QUERN, USAGE, CliTest, make_model, value
from onnx import helper, numpy_helper


def planted(place):
    """An error in the native code of a node, or of the step with this number."""
    return mock.patch.dict(os.environ, {"QUERN_PLANT_ERROR": str(place)})


def chain_model(length):
    """x @ w0, relu, ... with a wide layer in the middle; nodes m0, r0, m1, ..."""
    draw = np.random.default_rng(3)
    nodes, weights, wide = [], [], 24
    for i in range(length):
        weights.append(numpy_helper.from_array(
            (draw.standard_normal((wide, wide)) / 5).astype(np.float32), f"w{i}"))
        nodes.append(helper.make_node("MatMul", ["x" if i == 0 else f"y{i - 1}", f"w{i}"], [f"p{i}"], f"m{i}"))
        nodes.append(helper.make_node("Tanh", [f"p{i}"], [f"y{i}"], f"t{i}"))
    return make_model(nodes, [value("x", ["N", wide])], [value(f"y{length - 1}", ["N", wide])],
                      weights)


class Outputs(CliTest):
    def test_columns(self):
        out, _ = self.quern("compare", "gemm.onnx", "--duration=0s", "-q")
        lines = out.splitlines()
        self.assertRegex(lines[1], r"^output +max abs error +max rel error +ulp +cosine +top-1 *$")
        self.assertRegex(lines[2], r"^y .* 1\.000000 +100 % +pass$")
        self.assertLessEqual(max(map(len, lines)), 80)
        output, = self.quern_json("compare", "gemm.onnx", "--duration=0s", "-q")["outputs"]
        self.assertEqual((output["top_1"], output["pass"]), (1, True))
        self.assertGreater(output["cosine"], 0.9999)
        self.assertGreaterEqual(output["max_ulp"], 0)


class PerNode(CliTest):
    def setUp(self):
        super().setUp()
        onnx.save(chain_model(6), str(self.folder / "chain.onnx"))

    def test_table(self):
        out, _ = self.quern("compare", "chain.onnx", "--dim=N=4", "--per-node")
        lines = out.splitlines()
        self.assertEqual(lines[0].split(), ["node", "op", "max", "abs", "max", "rel", "ulp", "cosine", "whole"])
        self.assertEqual(lines[1].split()[:2], ["t0", "matmul+tan"])
        self.assertIn("bound of a node: float32: 2e-05 of the largest + 0.0001 of each + 0", out)
        self.assertIn("nodes without a value of their own: 6 (which and why with -v)", out)
        self.assertEqual(lines[-1], "every node agrees with the interpreter")
        self.assertLessEqual(max(map(len, lines)), 80)
        out, _ = self.quern("compare", "chain.onnx", "--dim=N=4", "--per-node", "-v")
        self.assertIn("no value: 'm0', fused: its value goes to 't0' only", out)

    def test_json(self):
        report = self.quern_json("compare", "chain.onnx", "--dim=N=4", "--per-node", "-q")
        self.assertEqual(report["schema"], "quern.compare-nodes/1")
        self.assertEqual((report["fault"], report["first"], report["complete"]), ("none", None, True))
        self.assertEqual([n["node"] for n in report["nodes"]], [f"t{i}" for i in range(6)])
        node = report["nodes"][3]
        self.assertEqual((node["nodes"], node["op"], node["type"]),
                         (["m3", "t3"], "matmul+tanh", "float32 4x24"))
        self.assertLess(node["difference"]["max_of_largest"], 1e-5)
        self.assertGreater(node["whole"]["cosine"], 0.99999)
        self.assertEqual(report["without_value"][0],
                         {"node": "m0", "reason": "fused: its value goes to 't0' only"})

    def test_planted_errors_are_named(self):
        for node in range(0, 6, 2):
            with planted(f"t{node}"):
                report = self.quern_json("compare", "chain.onnx", "--per-node", "-q", exits=MISMATCH)
            self.assertEqual((report["fault"], report["first"]), ("code", f"t{node}"))
        with planted(2):
            out, err = self.quern("compare", "chain.onnx", "--per-node", exits=MISMATCH)
        self.assertIn("first to differ: 't2' (matmul+tanh), float32 1x24\n"
                      "  computed in one with: m2, t2\n"
                      "  from the same operands 1 elements differ, by ", out)
        self.assertIn("native code of node 't2' (matmul+tanh) gives something else than the "
                      "interpreter for the same operands", err)

    def test_branches_and_loops(self):
        body = helper.make_graph(
            [helper.make_node("Add", ["a", "x"], ["b"], "inner add"),
             helper.make_node("Identity", ["on"], ["go"])], "body",
            [value("i", [], onnx.TensorProto.INT64), value("on", [], onnx.TensorProto.BOOL),
             value("a", [3])],
            [value("go", [], onnx.TensorProto.BOOL), value("b", [3])])
        count = numpy_helper.from_array(np.array(4), "count")
        nodes = [helper.make_node("Sin", ["x"], ["s"], "sin"),
                 helper.make_node("Loop", ["count", "", "s"], ["y"], "loop", body=body)]
        onnx.save(make_model(nodes, [value("x", [3])], [value("y", [3])], [count]),
                  str(self.folder / "loop.onnx"))
        report = self.quern_json("compare", "loop.onnx", "--per-node", "-q")
        runs = {node["node"]: node["runs"] for node in report["nodes"]}
        self.assertEqual((runs["sin"], runs["inner add"]), (1, 4))
        with planted("inner add"):
            report = self.quern_json("compare", "loop.onnx", "--per-node", "-q", exits=MISMATCH)
        self.assertEqual(report["first"], "inner add")

    def test_what_fails(self):
        self.quern("compile", "gemm.onnx", "--dim=N=1", "-o", "m.so", "-q")
        library = ("compare", "m.so", "--reference=gemm.onnx")
        self.fails(USAGE, *library, "--per-node", says="--per-node is for models: m.so is compiled already")
        self.fails(USAGE, *library, "--reduce", "-o", "small.onnx",
                   says="--reduce is for models: m.so is compiled already")
        self.fails(USAGE, "compare", "gemm.onnx", "--per-node", "--by-stage",
                   says="--by-stage, --per-node and --reduce exclude each other")
        self.fails(USAGE, "compare", "gemm.onnx", "--reduce",
                   says="--reduce needs a file for the model: -o small.onnx")
        self.fails(USAGE, "compare", "gemm.onnx", "--reduce", "-o", "small.onnx", "-q",
                   says="'gemm.onnx': outputs and nodes agree with the interpreter: there is nothing "
                        "to reduce")
        self.assertEqual(self.files(), ["m.so"])


class Reduce(CliTest):
    def setUp(self):
        super().setUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.enterContext(mock.patch.dict(os.environ, {"QUERN_CACHE_DIR": folder, "QUERN_KERNEL_CACHE": ""}))
        onnx.save(chain_model(3), str(self.folder / "chain.onnx"))

    def test_wrong_code(self):
        with planted("t1"):
            out, _ = self.quern("compare", "chain.onnx", "--dim=N=4", "--reduce", "-o", "small.onnx", "-q")
            lines = out.splitlines()
            self.assertRegex(lines[0], r"^small.onnx: 1 of 6 nodes show an output that differs "
                                       r"\(\d+ trials\)$")
            self.assertEqual(lines[1], "  t1")
            self.assertEqual(lines[2], "quern compare small.onnx")
            _, err = self.quern(*lines[2].split()[1:], "--duration=0s", exits=MISMATCH)
        self.assertIn("native code and interpreter do not agree", err)
        model = onnx.load(str(self.folder / "small.onnx"))
        onnx.checker.check_model(model)
        self.assertEqual([node.name for node in model.graph.node], ["t1"])
        sizes = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        self.assertEqual(sizes, [1, 1])
        self.assertEqual(self.files(), [])
        self.quern("compare", "small.onnx", "--duration=0s")

    def test_a_crash(self):
        with planted("crash:m2"):
            report = self.quern_json("compare", "chain.onnx", "--reduce", "-o", "small.onnx", "-q")
            self.assertEqual(report["schema"], "quern.reduce/1")
            self.assertEqual(report["fault"], "signal 6 (Aborted)")
            self.assertEqual((report["nodes"], report["nodes_before"]), (["m2"], 6))
            self.quern(*report["command"].split()[1:], "-q", exits=-signal.SIGABRT)

    def test_a_wrong_pass(self):
        """The code of every node is right, and the graph is not."""
        with planted("graph:t1"):
            out, err = self.quern("compare", "chain.onnx", "--per-node", exits=MISMATCH)
            self.assertIn("first to differ: 't2' (matmul+tanh), float32 1x24\n"
                          "  computed in one with: m2, t2\n"
                          "  all native code is right for its operands: an optimisation of the graph "
                          "is wrong\n", out)
            self.assertIn("not what was made of the graph before node 't2'", err)
            report = self.quern_json("compare", "chain.onnx", "--reduce", "-o", "small.onnx", "-q")
            self.assertEqual((report["fault"], report["nodes"]), ("an output that differs", ["t1"]))
            self.quern(*report["command"].split()[1:], "-q", exits=MISMATCH)

    def test_ctrl_c_keeps_the_smallest_so_far(self):
        onnx.save(chain_model(40), str(self.folder / "long.onnx"))
        environment = {**os.environ, "QUERN_PLANT_ERROR": "t33"}
        process = subprocess.Popen([QUERN, "compare", "long.onnx", "--reduce", "-o", "small.onnx", "-q"],
                                   cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertIn(process.returncode, (OK, INTERRUPTED), err)
        self.assertEqual([p.name for p in self.folder.iterdir() if p.name.startswith(".quern-")], [])
        if (self.folder / "small.onnx").exists():
            self.assertIn("of 80 nodes show an output that differs", out)
            onnx.checker.check_model(onnx.load(str(self.folder / "small.onnx")))


if __name__ == "__main__":
    unittest.main()
