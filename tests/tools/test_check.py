"""What quern check says of unknown sizes and after failures."""

import json
import unittest

import numpy as np
import onnx
from cli import INVALID_INPUT, INVALID_MODEL, UNSUPPORTED, USAGE, CliTest, make_model, value
from onnx import TensorProto, helper, numpy_helper


def pooling_model(shape, count=1):
    """`count` times two pools that do not fit into a 1x1 image, and two ops of known sizes."""
    nodes = []
    for i in range(count):
        nodes += [helper.make_node("MaxPool", ["x"], [f"p{i}"], f"pool{i}",
                                   kernel_shape=[2, 2 + i]),
                  helper.make_node("MaxPool", [f"p{i}"], [f"y{i}"], f"second{i}",
                                   kernel_shape=[2, 2])]
    nodes += [helper.make_node("Exp", ["c"], ["e"], "static1"),
              helper.make_node("Not", ["b"], ["n"], "not1")]
    return make_model(nodes, [value("x", shape), value("c", [3]), value("b", [1], TensorProto.BOOL)],
                      [value(f"y{i}", None) for i in range(count)] +
                      [value("e", [3]), value("n", [1], TensorProto.BOOL)])


class Compositions(CliTest):
    """How many steps an ONNX op takes that is imported as several of the dialect."""

    def steps(self, op, inputs, opset=17, domain="", **attributes):
        """The steps of one op on inputs x, a, b, ... of these shapes."""
        names = ["x", "a", "b", "c", "d"][:len(inputs)]
        node = helper.make_node(op, names, ["y"], op, domain=domain, **attributes)
        model = make_model([node], [value(n, shape) for n, shape in zip(names, inputs)],
                           [value("y", None)], opset=opset, domains=[domain] if domain else [])
        onnx.save(model, str(self.folder / "m.onnx"))
        report = self.quern_json("check", "m.onnx")
        self.assertEqual(report["native_steps"], report["steps"], op)
        return report["steps"]

    def test_normalizations_take_few_steps(self):
        x = ["N", "S", 64]
        self.assertEqual(self.steps("LayerNormalization", [x, [64], [64]]), 1)
        self.assertEqual(self.steps("SimplifiedLayerNormalization", [x, [64]]), 1)
        self.assertEqual(self.steps("SkipLayerNormalization", [x, x, [64], [64], [64]],
                                    domain="com.microsoft"), 2)
        self.assertEqual(self.steps("GroupNormalization", [["N", 8, "H", "W"], [8], [8]], opset=21,
                                    num_groups=4), 2)
        self.assertEqual(self.steps("GroupNormalization", [["N", 8, "H", "W"], [4], [4]], opset=18,
                                    num_groups=4), 1)

    def test_activations_take_one_step(self):
        self.assertEqual(self.steps("Gelu", [["N", 64]], opset=20), 1)
        self.assertEqual(self.steps("Gelu", [["N", 64]], opset=20, approximate="tanh"), 1)
        self.assertEqual(self.steps("FastGelu", [["N", 64], [64]], domain="com.microsoft"), 1)
        self.assertEqual(self.steps("FusedGemm", [[3, 4], [4, 5], [5]], domain="com.microsoft",
                                    activation="Relu"), 1)


class UnknownSizes(CliTest):
    def save_model(self, model):
        onnx.save(model, str(self.folder / "m.onnx"))

    def test_steps_are_those_of_the_plan_that_runs(self):
        """The passes know no sizes that the model leaves open, whatever a run has."""
        one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1])
        nodes = [helper.make_node("Shape", ["x"], ["sizes"], "sizes"),
                 helper.make_node("ConstantOfShape", ["sizes"], ["ones"], "ones", value=one),
                 helper.make_node("CumSum", ["ones", "axis"], ["sums"], "sums"),
                 helper.make_node("Add", ["x", "sums"], ["y"], "add")]
        axis = helper.make_tensor("axis", TensorProto.INT64, [], [0])
        for size, wanted in (("N", 2), (5, 1)):
            model = make_model(nodes, [value("x", [size])], [value("y", None)])
            model.graph.initializer.append(axis)
            self.save_model(model)
            report = self.quern_json("check", "m.onnx")
            self.assertGreaterEqual(report["steps"], wanted)
            bench = self.quern_json("bench", "m.onnx", "--runs=1", "--warmup=0", "--threads=1",
                                    "--profile", "--backend=native")
            self.assertEqual(report["steps"], len(bench["steps"]))

    def test_too_small_at_one(self):
        self.save_model(pooling_model(["N", 3, "H", "W"]))
        out, err = self.quern("check", "m.onnx")
        self.assertIn("2 of 4 steps run as native code for all sizes\n"
                      "not decided without sizes: pool0, second0; "
                      "give --dim N=SIZE --dim H=SIZE --dim W=SIZE\n", out)
        self.assertIn("note: does not work with 1 for the unknown sizes: ", err)
        self.assertNotIn("error", err)
        report = self.quern_json("check", "m.onnx")
        self.assertEqual([s["nodes"] for s in report["undecided_steps"]], ["pool0", "second0"])
        self.assertEqual(report["wanted_options"],
                         ["--dim N=SIZE", "--dim H=SIZE", "--dim W=SIZE"])
        self.assertEqual((report["native_steps"], report["steps"]), (2, 4))
        self.assertEqual(report["reference_steps"], [])

    def test_the_options_it_names_decide(self):
        self.save_model(pooling_model(["N", 3, "H", "W"]))
        out, _ = self.quern("check", "m.onnx", "--dim", "H=8", "--dim", "W=8")
        self.assertIn("4 of 4 steps run as native code\n", out)
        report = self.quern_json("check", "m.onnx", "--shape", "x=2x3x8x8")
        self.assertEqual((report["native_steps"], report["undecided_steps"],
                          report["wanted_options"]), (4, [], []))
        # One of them is not enough.
        out, _ = self.quern("check", "m.onnx", "--dim", "H=8")
        self.assertIn("; give --dim N=SIZE --dim W=SIZE\n", out)

    def test_dimensions_without_a_name(self):
        self.save_model(pooling_model(["N", 3, None, None]))
        out, _ = self.quern("check", "m.onnx")
        self.assertIn("; give --shape x=Nx3x?x?\n", out)

    def test_input_without_a_shape(self):
        self.save_model(pooling_model(None))
        out, _ = self.quern("check", "m.onnx")
        self.assertIn("; give --shape x=SIZES\n", out)

    def test_long_lists_are_cut(self):
        self.save_model(pooling_model(["N", 3, "H", "W"], count=20))
        out, _ = self.quern("check", "m.onnx")
        self.assertIn("and 30 more; give", out)
        out, _ = self.quern("check", "m.onnx", "-v")
        self.assertIn("pool19, second19; give", out)
        self.assertEqual(len(self.quern_json("check", "m.onnx")["undecided_steps"]), 40)

    def test_sizes_that_only_a_run_can_tell(self):
        nodes = [helper.make_node("NonZero", ["x"], ["i"], "find"),
                 helper.make_node("Gather", ["table", "i"], ["rows"], "pick"),
                 helper.make_node("Neg", ["rows"], ["y"], "negate")]
        self.save_model(make_model(nodes, [value("x", [9]), value("table", [9, 4])],
                                   [value("y", None)]))
        out, _ = self.quern("check", "m.onnx")
        self.assertIn("0 of 3 steps run as native code\ncompiled in the first run, which "
                      "tells their sizes: pick, negate\n"
                      "no native code, runs on its reference kernel: find (nn.nonzero)", out)
        report = self.quern_json("check", "m.onnx")
        self.assertEqual([s["nodes"] for s in report["undecided_steps"]], ["pick", "negate"])
        self.assertEqual(report["wanted_options"], [])

    def test_branches_that_sizes_decide(self):
        def branch(node, name):
            return helper.make_graph([node], name, [], [value(node.output[0], None)])
        squeeze = branch(helper.make_node("Squeeze", ["x"], ["s"], "squeeze"), "then")
        keep = branch(helper.make_node("Neg", ["x"], ["k"], "keep"), "else")
        nodes = [helper.make_node("Shape", ["x"], ["shape"]),
                 helper.make_node("Gather", ["shape", "axis"], ["size"]),
                 helper.make_node("Equal", ["size", "axis"], ["isOne"]),
                 helper.make_node("If", ["isOne"], ["r"], "choose", then_branch=squeeze,
                                  else_branch=keep),
                 helper.make_node("Exp", ["r"], ["y"], "exp")]
        self.save_model(make_model(nodes, [value("x", ["N", "M", 4])], [value("y", None)],
                                   [numpy_helper.from_array(np.array([1]), "axis")]))
        for sizes in ("x=3x1x4", "x=3x2x4"):
            report = self.quern_json("check", "m.onnx", "--shape", sizes)
            self.assertEqual((report["native_steps"], report["steps"]), (1, 1))
            out, _ = self.quern("compare", "m.onnx", "--shape", sizes)
            self.assertIn("y", out)

    def test_wrong_for_all_sizes(self):
        self.save_model(make_model([helper.make_node("Add", ["x", "w"], ["y"], "add7")],
                                   [value("x", ["N", 2])], [value("y", None)],
                                   [numpy_helper.from_array(np.ones(3, np.float32), "w")]))
        self.fails(INVALID_MODEL, "check", "m.onnx", says="add7")


class Failures(CliTest):
    def failure(self, exits, *arguments):
        report = self.quern_json("check", *arguments, exits=exits)
        self.assertEqual(report["schema"], "quern.check/1")
        self.assertEqual(report["error"]["exit_code"], exits)
        return report

    def test_unsupported_ops(self):
        nodes = [helper.make_node("Frobnicate", ["x"], ["t"], "frob1"),
                 helper.make_node("Twirl", ["t"], ["u"], "twirl1", domain="org.example"),
                 helper.make_node("Twirl", ["u"], ["v"], domain="org.example"),
                 helper.make_node("Relu", ["v"], ["y"])]
        onnx.save(make_model(nodes, [value("x", [2])], [value("y", [2])], domains=["org.example"]),
                  str(self.folder / "odd.onnx"))
        report = self.failure(UNSUPPORTED, "odd.onnx")
        self.assertIn("unsupported ops: Frobnicate", report["error"]["message"])
        self.assertEqual(report["unsupported_ops"], [
            {"op": "Frobnicate", "domain": "ai.onnx", "version": 13,
             "reason": "op is not supported", "count": 1, "nodes": ["frob1"]},
            {"op": "Twirl", "domain": "org.example", "version": 1,
             "reason": "op is not supported", "count": 2, "nodes": ["twirl1", "Twirl_2"]}])

    def test_ops_of_a_too_new_opset(self):
        onnx.save(make_model([helper.make_node("Relu", ["x"], ["y"], "relu1")],
                             [value("x", [2])], [value("y", [2])], opset=99),
                  str(self.folder / "new.onnx"))
        report = self.failure(UNSUPPORTED, "new.onnx")
        self.assertEqual([(op["op"], op["version"]) for op in report["unsupported_ops"]],
                         [("Relu", 99)])

    def test_every_node_at_once(self):
        nodes = [helper.make_node("Relu", ["x"], ["a"], "relu1", speed=9),
                 helper.make_node("Abs", ["a"], ["b"], "abs1"),
                 helper.make_node("Twirl", ["x"], ["c"], "twirl1"),
                 helper.make_node("Pad", ["x", "p"], ["d"], "pad1", mode="spin"),
                 helper.make_node("Elu", ["x"], ["y"], "elu1", alpha="much")]
        pads = numpy_helper.from_array(np.array([1, 1]), "p")
        model = make_model(nodes, [value("x", [2])],
                           [value(name, None) for name in ("b", "c", "d", "y")], [pads])
        onnx.save(model, str(self.folder / "odd.onnx"))
        messages = ["node 'relu1' (Relu, opset 13): attribute 'speed' is unknown",
                    "node 'pad1' (Pad, opset 13): mode 'spin'",
                    "node 'elu1' (Elu, opset 13): attribute 'alpha': expected FLOAT, found STRING"]
        text = "\n  ".join(["odd.onnx: 4 problems:",
                            "unsupported ops: Twirl (opset 13, 1 node: op is not supported)",
                            *messages])
        self.fails(UNSUPPORTED, "check", "odd.onnx", says=text)
        self.fails(UNSUPPORTED, "run", "odd.onnx", says=text)
        report = self.failure(UNSUPPORTED, "odd.onnx")
        self.assertEqual(report["error"]["message"], text)
        self.assertEqual([op["nodes"] for op in report["unsupported_ops"]], [["twirl1"]])
        self.assertEqual(report["problems"], [
            {"node": node, "op": op, "version": 13, "exit_code": code, "message": message}
            for node, op, code, message in zip(("relu1", "pad1", "elu1"), ("Relu", "Pad", "Elu"),
                                               (UNSUPPORTED, UNSUPPORTED, INVALID_MODEL),
                                               messages)])

    def test_other_failures(self):
        model = make_model([helper.make_node("Add", ["a", "b"], ["y"], "add7")],
                           [value("a", [2]), value("b", [3])], [value("y", None)])
        onnx.save(model, str(self.folder / "bad.onnx"))
        report = self.failure(INVALID_MODEL, "bad.onnx")
        self.assertIn("add7", report["error"]["message"])
        self.assertEqual(report["unsupported_ops"], [])
        self.assertEqual([problem["node"] for problem in report["problems"]], ["add7"])
        self.failure(INVALID_INPUT, "add.onnx", "--dim=Q=1")
        self.failure(USAGE, "add.onnx", "--dim=Q")

    def test_into_a_file(self):
        self.fails(USAGE, "check", "add.onnx", "--dim=Q", "--json=report.json", says="--dim Q")
        report = json.loads((self.folder / "report.json").read_text())
        self.assertEqual(report["error"]["exit_code"], USAGE)

    def test_help_names_it(self):
        out, _ = self.quern("check", "--help")
        self.assertIn("after a failure as well", out)


if __name__ == "__main__":
    unittest.main()
