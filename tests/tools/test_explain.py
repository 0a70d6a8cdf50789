"""quern explain and compare --by-stage: where a run goes, causes, what optimisations bring."""

import collections
import html.parser
import unittest
import xml.etree.ElementTree

import numpy as np
import onnx
from cli import USAGE, CliTest, make_model, value
from onnx import helper, numpy_helper

FAST = ("--duration", "20ms")


class Page(html.parser.HTMLParser):
    """What is in a page; `open` are the elements that nothing ends."""

    def __init__(self):
        super().__init__()
        self.open, self.texts, self.count = [], [], collections.Counter()

    def handle_starttag(self, tag, attributes):
        self.count[tag] += 1
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.count[tag] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.texts.append(data)


class Stages(CliTest):
    def test_table(self):
        out, _ = self.quern("compare", "gemm.onnx", "--by-stage", "--threads=1", *FAST)
        lines = out.splitlines()
        self.assertEqual(lines[0].split()[:2], ["stage", "median"])
        self.assertEqual([line.split()[0] for line in lines[1:6]],
                         ["interpreter", "-O0:", "-O1:", "-O2:", "-O3:"])
        self.assertTrue(all(line.endswith("pass") for line in lines[2:6]))
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertRegex(lines[6], r"^speed-up [0-9.]+x$")

    def test_json(self):
        report = self.quern_json("compare", "gemm.onnx", "--by-stage", "--threads=2", "-O1", *FAST)
        self.assertEqual(report["schema"], "quern.compare-stages/1")
        self.assertEqual([s["stage"][:9] for s in report["stages"]],
                         ["interpret", "-O0: op b", "-O1: fold", "2 threads"])
        self.assertTrue(report["stages"][1]["outputs"][0]["pass"])

    def test_what_fails(self):
        self.quern("compile", "gemm.onnx", "--dim=N=1", "-o", "m.so")
        self.fails(USAGE, "compare", "m.so", "--reference=gemm.onnx", "--by-stage", *FAST,
                   says="--by-stage is for models: m.so is compiled already")


def counted_model():
    """A small network, and by node what it costs by docs/costs.md: operations, bytes read, bytes
    written."""
    draw = np.random.default_rng(2)
    weights = [numpy_helper.from_array(draw.standard_normal(dims).astype(np.float32), name)
               for name, dims in (("w", (32, 16, 3, 3)), ("b", (32,)), ("v", (512, 10)), ("c", (10,)))]
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["t"], "conv", pads=[1, 1, 1, 1]),
             helper.make_node("Relu", ["t"], ["r"], "relu"),
             helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("Flatten", ["p"], ["f"], "flatten"),
             helper.make_node("Gemm", ["f", "v", "c"], ["s"], "gemm"),
             helper.make_node("Softmax", ["s"], ["y"], "softmax")]
    image, features, pooled = 16 * 8 * 8, 32 * 8 * 8, 32 * 4 * 4
    costs = {"conv": (features * (2 * 16 * 9 + 1), 4 * (image + 32 * 16 * 9 + 32), 4 * features),
             "relu": (features, 4 * features, 4 * features),
             "pool": (4 * pooled, 4 * features, 4 * pooled),
             "gemm": (10 * (2 * pooled + 1), 4 * (pooled + 10 * pooled + 10), 40),
             "softmax": (50, 40, 40)}
    return make_model(nodes, [value("x", [1, 16, 8, 8])], [value("y", [1, 10])], weights), costs


class Costs(CliTest):
    """Operations and bytes of steps are those that a count by hand finds in the nodes."""

    KEYS = ("flops", "bytes_read", "bytes_written")

    def steps(self, level):
        model, costs = counted_model()
        onnx.save(model, str(self.folder / "m.onnx"))
        report = self.quern_json("explain", "m.onnx", level, "--threads=1", "--no-trials", *FAST)
        return [(step["nodes"].split("+"), tuple(step[key] for key in self.KEYS))
                for step in report["steps"]], costs

    def test_op_by_op(self):
        steps, costs = self.steps("-O0")
        found = {name: cost for (name, *_), cost in steps}
        self.assertEqual({name: found[name] for name in costs}, costs)

    def test_fused(self):
        """What stays inside of a group is neither read nor written."""
        steps, costs = self.steps("-O3")
        steps = [(nodes, cost) for nodes, cost in steps if cost[0] > 0]
        named = [name for nodes, _ in steps for name in nodes]
        self.assertEqual(sorted(name for name in named if name in costs), sorted(costs))
        self.assertEqual(sum(cost[0] for _, cost in steps), sum(cost[0] for cost in costs.values()))
        found = {nodes[0]: cost for nodes, cost in steps}
        self.assertEqual(found["conv"][1:], (costs["conv"][1], costs["relu"][2]))
        self.assertEqual(found["gemm"][1:], costs["gemm"][1:])


class Explain(CliTest):
    def setUp(self):
        super().setUp()
        nodes = [helper.make_node("MatMul", ["x", "w"], ["p"], "a product with a long name" * 4),
                 helper.make_node("Transpose", ["p"], ["y"], "transpose", perm=[1, 0])]
        weight = numpy_helper.from_array(
            np.random.default_rng(1).standard_normal((256, 512)).astype(np.float32), "w")
        onnx.save(make_model(nodes, [value("x", ["N", 256])], [value("y", [512, "N"])], [weight]),
                  str(self.folder / "model.onnx"))

    def test_annotated_model(self):
        self.quern("explain", "model.onnx", "--dim=N=8", "--annotate=out.onnx", "--no-trials", *FAST)
        model = onnx.load(str(self.folder / "out.onnx"))
        onnx.checker.check_model(model)
        if not hasattr(onnx.NodeProto(), "metadata_props"):  # ONNX 1.16 and newer know them
            content = (self.folder / "out.onnx").read_bytes()
            for text in (b"quern.step", b"quern.kernel", b"quern.ms", b"quern.bound"):
                self.assertEqual(content.count(text), 2)
        else:
            for node in model.graph.node:
                facts = {entry.key: entry.value for entry in node.metadata_props}
                self.assertEqual(facts["quern.nodes"], node.name)
                self.assertGreater(float(facts["quern.ms"]), 0)
                self.assertIn(facts["quern.bound"], ("compute", "memory", "moves", "neither"))
        # The same model.
        self.quern("run", "out.onnx", "--input=x=zeros", "--dim=N=8")
        self.fails(USAGE, "explain", "model.onnx", "--annotate=model.onnx", says="model.onnx")
        weights = onnx.load(str(self.folder / "model.onnx"))
        onnx.save(weights, str(self.folder / "apart.onnx"), save_as_external_data=True,
                  location="apart.bin", size_threshold=0)
        (self.folder / "other").mkdir()
        self.fails(USAGE, "explain", "apart.onnx", "--annotate=other/out.onnx",
                   says="write it beside the model")

    def test_pictures(self):
        given = ("inspect", "model.onnx", "--dim=N=8", "--svg=graph.svg", "--dot=graph.dot")
        out, _ = self.quern(*given)
        self.assertIn("MatMul", out)
        svg = xml.etree.ElementTree.parse(self.folder / "graph.svg").getroot()
        self.assertTrue(svg.tag.endswith("svg"))
        texts = [text.text for text in svg.iter() if text.tag.endswith("text")]
        self.assertIn("transpose", texts)
        dot = (self.folder / "graph.dot").read_text()
        self.assertRegex(dot, r'n\d+ \[label="transpose"')
        self.assertEqual(dot.count("{"), dot.count("}"))
        self.fails(USAGE, "inspect", "model.onnx", "--dim=N=8", says="sizes for --svg and --dot")
        self.fails(USAGE, *given[:-2], "--svg=model.onnx", says="model.onnx")
        self.quern("compile", "model.onnx", "--dim=N=8", "-o", "m.so")
        self.fails(USAGE, "inspect", "m.so", "--svg=graph.svg", says="m.so is compiled already")

    def test_code(self):
        node = "a product with a long name" * 4
        given = ("explain", "model.onnx", "--dim=N=8", "--threads=1", "--target-cpu=x86-64-v3")
        out, _ = self.quern(*given, "--asm", node)
        self.assertTrue(out.startswith(f"# {node}: dot_"), out[:200])
        self.assertIn("vfmadd", out)
        self.assertRegex(out, r"# a turn of +instructions +operations +loads")
        kernel, = self.quern_json(*given, "--asm", node)["kernels"]
        most = max(kernel["loops"], key=lambda loop: loop["flops"])
        # Its tile has 12 sums of 8 floats at most, each of which takes one multiply-add in a turn.
        self.assertGreaterEqual(most["flops"], 2 * 8 * 4)
        self.assertEqual(most["flops"] % 16, 0)
        self.assertEqual(most["stores"], 0)
        self.assertIn(most["label"] + ":", kernel["assembly"])
        self.fails(USAGE, *given, "--asm=nobody", says="there is no node 'nobody'")
        for other in ("--html=page.html", "--annotate=out.onnx", "--no-trials"):
            self.fails(USAGE, *given, "--asm", node, other, says=["--asm", "excludes"])

    def test_text(self):
        out, _ = self.quern("explain", "model.onnx", "--dim=N=8", *FAST)
        lines = out.splitlines()
        self.assertRegex(lines[0], r"^model.onnx, f32: [0-9.]+ [mu]?s a run \(median of \d+\), ")
        self.assertRegex(lines[1], r"GFLOP/s and \d+ GB/s with th")
        self.assertIn("where a run goes", out)
        self.assertIn("what takes time, and what would help", out)
        for line in lines[1:]:
            words = line.split()
            if len(line) > 80:  # a name that no line could hold
                self.assertGreater(len(max(words, key=len)), 40, line)

    def test_json(self):
        report = self.quern_json("explain", "model.onnx", "--dim=N=64", *FAST)
        self.assertEqual(report["schema"], "quern.explain/1")
        self.assertTrue(report["complete"])
        self.assertGreater(report["p50_ms"], 0)
        self.assertLessEqual(report["steps_ms"], report["mean_ms"])
        kernels = {step["kernel"]: step for step in report["steps"]}
        product = next(step for kernel, step in kernels.items() if kernel.startswith("dot_"))
        self.assertEqual(product["flops"], 2 * 64 * 256 * 512)
        self.assertGreater(product["compute_ms"], 0)
        self.assertIn("moves", [step["bound"] for step in report["steps"]])
        self.assertEqual([p["at"] for p in report["thread_curve"]][:1], [1])
        for cause in report["causes"]:
            self.assertTrue(cause["title"])
            self.assertGreaterEqual(cause["saved_ms"], 0)
        counted = [c["once"] for c in report["causes"]]
        self.assertEqual(counted, sorted(counted))

    def test_no_trials(self):
        report = self.quern_json("explain", "model.onnx", "--dim=N=8", "--no-trials", *FAST)
        self.assertEqual(report["thread_curve"], [])
        self.assertFalse(any(cause["measured"] for cause in report["causes"]))

    def test_batches(self):
        """A symbol that all inputs begin with is what samples are counted by."""
        report = self.quern_json("explain", "gemm.onnx", *FAST)
        self.assertEqual([p["at"] for p in report["batch_curve"]], [1, 2, 4, 8, 16, 32, 64])
        self.assertIn("new-sizes", [cause["cause"] for cause in report["causes"]])

    def test_steps(self):
        out, _ = self.quern("explain", "model.onnx", "--dim=N=8", "-v", "--no-trials", *FAST)
        self.assertIn("bound", out)
        self.assertIn("dot_", out)

    def test_page(self):
        """One file that fetches nothing, however nodes are called; not over what is read."""
        hostile = "<script>alert(1)</script>\"'&"
        onnx.save(make_model([helper.make_node("Exp", ["x"], ["y"], hostile)],
                             [value("x", [64, 64])], [value("y", [64, 64])]),
                  str(self.folder / "hostile.onnx"))
        self.quern("explain", "hostile.onnx", "--html=page.html", *FAST)
        text = (self.folder / "page.html").read_text(encoding="utf-8")
        self.assertLess(len(text), 100_000)
        self.assertNotIn(hostile, text)
        self.assertEqual(text.count("<script"), 1)
        # The name of a namespace is fetched by nobody.
        fetched = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        for word in ("src=", "href=", "url(", "@import", "http://", "https://"):
            self.assertNotIn(word, fetched)
        page = Page()
        page.feed(text)
        page.close()
        self.assertEqual(page.open, [])
        self.assertIn(hostile, page.texts)
        self.assertEqual(page.count["tr"], 2)  # the head, and the step
        self.assertGreaterEqual(page.count["circle"], 1)
        self.fails(USAGE, "explain", "gemm.onnx", "--html=gemm.onnx", *FAST, says="gemm.onnx")

    def test_usage(self):
        self.fails(USAGE, "explain", "model.onnx", "--duration=soon", says="soon")
        self.fails(USAGE, "explain", "model.onnx", "--backend=interpreter", says="--backend")


if __name__ == "__main__":
    unittest.main()
