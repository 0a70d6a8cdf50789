"""What quern check -v and --json say of a plan: where nodes went, and what was not done."""

import unittest

import numpy as np
import onnx
from cli import CliTest, make_model, value
from onnx import TensorProto, helper, numpy_helper


def constant(name, array):
    return numpy_helper.from_array(np.array(array), name)


def node(op, inputs, outputs, name, **attributes):
    return helper.make_node(op, inputs, outputs, name, **attributes)


def refusing_model():
    """Something that is refused for each kind of refusal."""
    ones = constant("ones", np.ones(4, np.float32))
    nodes = [
        # Folding: what is normalized is an output.
        node("Conv", ["image", "filter"], ["c"], "conv"),
        node("BatchNormalization", ["c", "ones", "ones", "ones", "ones"], ["n"], "norm"),
        node("Relu", ["n"], ["normalized"], "relu"),
        # Blocking: the weights are an input.
        node("Conv", ["image", "given"], ["plain"], "unpacked"),
        # Raising: the scores are an output.
        node("MatMul", ["q", "k"], ["s"], "scores"),
        node("Softmax", ["s"], ["p"], "softmax", axis=-1),
        node("MatMul", ["p", "v"], ["context"], "context"),
        # In place: the product is summed up afterwards.
        node("MatMul", ["x", "w"], ["m"], "product"),
        node("Exp", ["m"], ["e"], "exp"),
        node("CumSum", ["e", "axis"], ["sums"], "sums"),
        node("CumSum", ["m", "axis"], ["more_sums"], "more"),
        # Updating: the cache is read afterwards.
        node("ScatterElements", ["cache", "places", "new"], ["cache_out"], "scatter"),
        node("CumSum", ["cache", "axis"], ["cached"], "read"),
    ]
    inputs = [value("image", [1, 4, 8, 8]), value("q", [1, 2, 4, 8]), value("k", [1, 2, 8, 4]),
              value("v", [1, 2, 4, 8]), value("x", [4, 8]), value("cache", [4, 8]),
              value("places", [1, 8], TensorProto.INT64), value("new", [1, 8]),
              value("given", [4, 4, 3, 3])]
    outputs = ["c", "normalized", "plain", "s", "context", "sums", "more_sums", "cache_out",
               "cached"]
    model = make_model(nodes, inputs, [value(name, None) for name in outputs])
    model.graph.initializer.extend([
        ones, constant("filter", np.ones((4, 4, 3, 3), np.float32)),
        constant("w", np.ones((8, 8), np.float32)), constant("axis", np.int64(0))])
    return model


def attention(**attributes):
    """softmax(q k) v, the nodes "scores", "softmax", "context"."""
    return [node("MatMul", ["q", "k"], ["s"], "scores"),
            node("Softmax", ["s"], ["p"], "softmax", **{"axis": -1, **attributes}),
            node("MatMul", ["p", "v"], ["context"], "context")]


def layer_norm(extra=()):
    """(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon)."""
    return [node("ReduceMean", ["x"], ["m"], "mean", axes=[-1]),
            node("Sub", ["x", "m"], ["d"], "distance"),
            node("Mul", ["d", "d"], ["dd"], "square"),
            node("ReduceMean", ["dd"], ["variance"], "variance", axes=[-1]),
            node("Add", ["variance", "tenth"], ["shifted"], "shift"),
            node("Sqrt", ["shifted"], ["root"], "root"),
            node("Div", ["d", "root"], ["normalized"], "quotient"), *extra]


HEADS = {"q": [1, 2, 4, 8], "k": [1, 2, 8, 4], "v": [1, 2, 4, 8]}

# What nearly is done: nodes, inputs with their sizes, outputs; kind, its nodes, code and reason of
# what is refused.
NEARLY = {
    "attention whose weights are an output":
        (attention(), HEADS, ["context", "p"],
         "raise", ["context"], "several-uses", "the weights are used elsewhere"),
    "attention along the queries":
        (attention(axis=-2), HEADS, ["context"],
         "raise", ["context"], "attributes", "the softmax is not along the keys"),
    "a layer norm whose distances are used":
        (layer_norm(), {"x": [4, 8]}, ["normalized", "d"],
         "raise", ["quotient"], "several-uses", "the distances from the mean have other uses"),
    "a layer norm whose root is used":
        (layer_norm(), {"x": [4, 8]}, ["normalized", "root"],
         "raise", ["quotient"], "several-uses", "a step of the root mean square has other uses"),
    "a batch norm with parameters of the run":
        ([node("Conv", ["image", "filter"], ["c"], "conv"),
          node("BatchNormalization", ["c", "scale", "ones", "ones", "ones"], ["n"], "norm")],
         {"image": [1, 4, 8, 8], "scale": [4]}, ["n"],
         "fold", ["norm"], "not-constant", "the parameters are not constant"),
    "a batch norm behind weights of the run":
        ([node("Conv", ["image", "weights"], ["c"], "conv"),
          node("BatchNormalization", ["c", "ones", "ones", "ones", "ones"], ["n"], "norm")],
         {"image": [1, 4, 8, 8], "weights": [4, 4, 3, 3]}, ["n"],
         "fold", ["norm"], "not-constant", "the producer's weights are no float constant"),
    "a sum by rows behind a product":
        ([node("MatMul", ["x", "w"], ["m"], "product"), node("Add", ["m", "column"], ["y"], "sum")],
         {"x": [4, 8], "column": [4, 1]}, ["y"],
         "fuse", ["product", "sum"], "broadcast",
         "an operand is broadcast in another way than by channel, or is of unknown size"),
    "a sum with what is computed later":
        ([node("MatMul", ["x", "w"], ["m"], "product"), node("CumSum", ["x", "axis"], ["s"], "later"),
          node("Add", ["m", "s"], ["y"], "sum")],
         {"x": [4, 8]}, ["y"],
         "fuse", ["product", "sum"], "order", "the other operand is computed later"),
    "a row that is broadcast":
        ([node("Exp", ["row"], ["e"], "exp"), node("Add", ["x", "e"], ["y"], "sum")],
         {"row": [1, 8], "x": [4, 8]}, ["y"],
         "fuse", ["exp", "sum"], "shape", "its result is broadcast, or its size may differ"),
    "a result of two kernels":
        ([node("Exp", ["x"], ["e"], "exp"), node("Neg", ["e"], ["y"], "negative"),
          node("MatMul", ["e", "w"], ["m"], "product"), node("Add", ["m", "m"], ["z"], "twice")],
         {"x": [4, 8]}, ["y", "z"],
         "fuse", ["exp", "negative"], "several-uses", "its result is used in several kernels"),
    "what the caller gave, in place":
        ([node("Exp", ["x"], ["e"], "exp"), node("CumSum", ["e", "axis"], ["y"], "sums")],
         {"x": [4, 8]}, ["y"],
         "in-place", ["exp"], "layout", "the operand lies in memory of the caller"),
    "what the caller takes, in place":
        ([node("CumSum", ["x", "axis"], ["s"], "sums"), node("Exp", ["s"], ["y"], "exp")],
         {"x": [4, 8]}, ["y"],
         "in-place", ["exp"], "layout", "the result lies in memory of the caller"),
}

REFUSALS = [
    ("fold", "not folded into weights", ["norm"], "several-uses",
     "the producer's result has other uses"),
    ("raise", "not raised", ["context"], "several-uses", "the scores are used elsewhere"),
    ("block", "not on channel blocks", ["unpacked"], "not-constant",
     "blocked convolution needs constant weights and bias"),
    ("fuse", "not fused", ["product", "exp"], "several-uses",
     "the result before it is used elsewhere as well"),
    ("in-place", "not in place", ["exp"], "several-uses", "the operand is needed later"),
    ("update", "not updated in place", ["scatter"], "several-uses", "the input is needed later"),
]


class Explanation(CliTest):
    def save_model(self, model):
        onnx.save(model, str(self.folder / "m.onnx"))

    def test_each_refusal_comes_with_its_reason(self):
        self.save_model(refusing_model())
        told = self.quern("check", "m.onnx", "-v")[0].splitlines()
        report = self.quern_json("check", "m.onnx")
        for kind, words, nodes, code, reason in REFUSALS:
            self.assertIn(f"{words}: {', '.join(nodes)}: {reason}", told)
            self.assertIn({"kind": kind, "nodes": nodes, "reason": reason, "code": code},
                          report["refusals"])
        brief, _ = self.quern("check", "m.onnx")
        self.assertNotIn("not raised", brief)

    def test_what_is_nearly_done_comes_with_its_reason(self):
        words = {"fold": "not folded into weights", "raise": "not raised", "fuse": "not fused",
                 "in-place": "not in place"}
        constants = [constant("ones", np.ones(4, np.float32)), constant("axis", np.int64(0)),
                     constant("filter", np.ones((4, 4, 3, 3), np.float32)),
                     constant("w", np.ones((8, 8), np.float32)),
                     constant("tenth", np.float32(0.1))]
        for what, (nodes, inputs, outputs, kind, names, code, reason) in NEARLY.items():
            with self.subTest(what):
                used = {name for each in nodes for name in each.input}
                self.save_model(make_model(
                    nodes, [value(name, sizes) for name, sizes in inputs.items()],
                    [value(name, None) for name in outputs],
                    [each for each in constants if each.name in used]))
                wanted = {"kind": kind, "nodes": names, "reason": reason, "code": code}
                refusals = self.quern_json("check", "m.onnx")["refusals"]
                found = [each for each in refusals if (each["kind"], each["nodes"]) == (kind, names)]
                self.assertEqual(found, [wanted])
                self.assertIn(f"{words[kind]}: {', '.join(names)}: {reason}",
                              self.quern("check", "m.onnx", "-v")[0].splitlines())

    def test_what_is_done_is_not_refused(self):
        model = refusing_model()
        # Nothing else reads what stood in the way.
        del model.graph.node[-1]
        for output in [o for o in model.graph.output if o.name in ("c", "s", "cached")]:
            model.graph.output.remove(output)
        self.save_model(model)
        told, _ = self.quern("check", "m.onnx", "-v")
        for word in ("not folded", "not raised", "not updated"):
            self.assertNotIn(word, told)
        nodes = {n["name"]: n for n in self.quern_json("check", "m.onnx")["nodes"]}
        self.assertEqual({nodes[name]["fate"] for name in ("scores", "softmax", "context", "norm")},
                         {"step"})
        self.assertEqual(nodes["scores"]["step"], nodes["context"]["step"])
        self.assertEqual(nodes["conv"]["step"], nodes["norm"]["step"])

    def test_every_node_is_named_once(self):
        nodes = [
            node("Constant", [], ["given"], "given", value=constant("g", np.ones(3, np.float32))),
            node("Exp", ["given"], ["folded"], "folded"),
            node("Identity", ["x"], ["same"], "identity"),
            node("Reshape", ["same", "rows"], ["r"], "view"),
            node("Transpose", ["r"], ["t"], "moves_nothing", perm=[0, 1]),
            node("Add", ["t", "folded"], ["sum"], "sum"),
            node("Neg", ["sum"], ["negative"], "unused"),
            node("Shape", ["sum"], ["sizes"], "sizes"),
            node("Relu", ["sum"], ["y"], "relu"),
        ]
        model = make_model(nodes, [value("x", ["N", 3])],
                           [value("y", None), value("sizes", None, TensorProto.INT64)])
        model.graph.initializer.append(constant("rows", np.array([-1, 3], np.int64)))
        self.save_model(model)
        for options in ([], ["--dim", "N=5"]):
            report = self.quern_json("check", "m.onnx", *options)
            fates = {n["name"]: n["fate"] for n in report["nodes"]}
            self.assertEqual(len(report["nodes"]), len(nodes))
            self.assertEqual(set(fates), {n.name for n in nodes})
            named = [name for step in report["plan"] for name in step["nodes"]]
            self.assertEqual(sorted(named), sorted(n for n in fates if fates[n] == "step"))
            wanted = {"given": "constant", "folded": "constant", "identity": "removed",
                      "moves_nothing": "removed", "unused": "unused", "relu": "step",
                      "sum": "step"}
            self.assertEqual({name: fates[name] for name in wanted}, wanted)
            self.assertIn(fates["sizes"], ("constant", "step"))
            self.assertIn(fates["view"], ("view", "removed"))

    def test_nodes_of_bodies_are_said_to_be_there(self):
        then = helper.make_graph([node("Relu", ["x"], ["a"], "in_then")], "then", [],
                                 [value("a", None)])
        other = helper.make_graph([node("Neg", ["x"], ["b"], "in_else")], "else", [],
                                  [value("b", None)])
        model = make_model([node("If", ["c"], ["y"], "if", then_branch=then, else_branch=other)],
                           [value("c", [1], TensorProto.BOOL), value("x", [3])],
                           [value("y", None)])
        self.save_model(model)
        report = self.quern_json("check", "m.onnx")
        self.assertEqual({n["name"]: n["fate"] for n in report["nodes"]},
                         {"if": "step", "in_then": "body", "in_else": "body"})
        self.assertEqual([step["nodes"] for step in report["plan"]], [["if"]])

    def test_nodes_of_one_name_are_told_apart(self):
        def branch(name):
            nodes = [node("Exp", ["t"], ["e"], ""), node("Neg", ["e"], [name], "same")]
            return helper.make_graph(nodes, name, [], [value(name, None)])
        nodes = [node("CumSum", ["x", "axis"], ["a"], "same"), node("Neg", ["x"], ["b"], "same"),
                 node("MatMul", ["a", "b"], ["s"], "Relu_3"), node("Relu", ["s"], ["t"], ""),
                 node("If", ["c"], ["y"], "", then_branch=branch("u"), else_branch=branch("v")),
                 node("Neg", ["a"], ["unused"], "same#2")]
        self.save_model(make_model(nodes, [value("x", [4, 4]), value("c", [1], TensorProto.BOOL)],
                                   [value("y", None)], [constant("axis", np.int64(0))]))
        report = self.quern_json("check", "m.onnx")
        fates = {each["name"]: each["fate"] for each in report["nodes"]}
        self.assertEqual(len(report["nodes"]), len(fates))
        self.assertEqual(fates, {
            "same": "step", "same#3": "step", "Relu_3": "step", "Relu_3#2": "step", "If_4": "step",
            "same#2": "unused", "Exp_0": "body", "same#4": "body", "Exp_0#2": "body",
            "same#5": "body"})
        named = [name for step in report["plan"] for name in step["nodes"]]
        self.assertEqual(sorted(named), sorted(name for name in fates if fates[name] == "step"))


class Reasons(CliTest):
    """bench and compare have the reasons that check has."""

    def test_of_the_plan_that_runs(self):
        nodes = [helper.make_node("MatMul", ["x", "w"], ["m"], "product"),
                 helper.make_node("Det", ["square"], ["d"], "determinant"),
                 helper.make_node("Add", ["m", "d"], ["y"], "sum")]
        onnx.save(make_model(nodes, [value("x", ["N", 8]), value("square", [3, 3])],
                             [value("y", None)], [constant("w", np.ones((8, 8), np.float32))]),
                  str(self.folder / "m.onnx"))
        kernels = set()
        for size in (0, 1, 64):
            options = ("m.onnx", "--dim", f"N={size}")
            check = self.quern_json("check", *options)
            bench = self.quern_json("bench", *options, "--profile", "--runs=1", "--warmup=0",
                                    "--threads=1")
            self.assertEqual([(step["name"], step["kernel"]) for step in check["plan"]],
                             [(step["nodes"], step["kernel"]) for step in bench["steps"]])
            keys = ("nodes", "kernel", "reason", "code")
            reasons = [{key: step[key] for key in keys} for step in check["reference_steps"]]
            self.assertEqual(reasons, [{key: step[key] for key in keys}
                                       for step in bench["steps"] if not step["native"]])
            self.assertIn("determinant", [step["nodes"] for step in reasons])
            self.assertNotIn("reason", [key for step in bench["steps"] if step["native"]
                                        for key in step])
            kernels.add(tuple(step["kernel"] for step in bench["steps"]))
        # No two sizes have the same plan.
        self.assertEqual(len(kernels), 3)

    def reference_model(self):
        nodes = [helper.make_node("Det", ["x"], ["d"], "determinant"),
                 helper.make_node("Exp", ["d"], ["y"], "exp")]
        onnx.save(make_model(nodes, [value("x", ["N", 3, 3])], [value("y", None)]),
                  str(self.folder / "m.onnx"))
        [step] = self.quern_json("check", "m.onnx", "--dim=N=2")["reference_steps"]
        return step["reason"]

    def test_for_people(self):
        reason = self.reference_model()
        line = f"no native code, runs on its reference kernel: determinant (nn.det): {reason}\n"
        bench = ("bench", "m.onnx", "--dim=N=2", "--runs=1", "--profile")
        self.assertIn(line, self.quern(*bench, "-v")[0])
        self.assertNotIn(line, self.quern(*bench)[0])
        compare = ("compare", "m.onnx", "--dim=N=2", "--duration=1ms")
        self.assertIn("1 of 2 steps run as native code\n" + line, self.quern(*compare)[0])
        explanation = self.quern_json(*compare)["explanation"]
        self.assertEqual((explanation["steps"], explanation["native_steps"]), (2, 1))
        self.assertEqual([step["reason"] for step in explanation["reference_steps"]], [reason])


if __name__ == "__main__":
    unittest.main()
