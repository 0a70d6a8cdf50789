"""compare, benchmark, inspect, problems."""
import base64
import html.parser
import json
import re

import numpy as np
import pytest

import quern
from models import TensorProto, helper, identity, make_model, mlp


class Shown(html.parser.HTMLParser):
    """What a notebook shows of a result."""

    def __init__(self, result):
        super().__init__()
        self.tags, self.frame, self.image = [], {}, {}
        self.feed(result._repr_html_())
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "iframe":
            self.frame = dict(attributes)
        if tag == "img":
            self.image = dict(attributes)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    return path


def test_compare(path):
    result = quern.compare(path, dims={"N": 3}, seconds=0.01)
    assert result.passed and result.outputs[0].name == "y" and result.speedup > 0
    assert "speed-up" in repr(result)
    assert sum(result.outputs[0].ulps) == 6 and result.picture.startswith("<svg")
    shown = Shown(result)
    assert "table" in shown.tags and shown.tags.count("img") == 1
    assert shown.image["alt"].startswith("Errors of 6 numbers against the interpreter: ")
    data = shown.image["src"].partition("base64,")[2]
    assert base64.b64decode(data).decode() == result.picture
    assert result.raise_for_difference() is result
    assert quern.compare(path, {"x": np.ones((2, 10), "f4")}, seconds=0.01).passed
    with pytest.raises(quern.InvalidInputError, match="wanted 1 inputs, found 2"):
        quern.compare(path, [1, 2])
    with pytest.raises(quern.InvalidInputError, match="input 'x' is missing"):
        quern.compare(path, {"z": 1})


def test_explain(path, tmp_path):
    result = quern.explain(path, dims={"N": 3}, seconds=0.01, threads=1)
    assert result.steps and result.report["p50_ms"] > 0 and result.report["complete"]
    assert all(cause["title"] for cause in result.causes)
    assert "ms a run on 1 threads" in repr(result)
    shown = Shown(result)
    assert shown.tags.count("iframe") == 1 and "table" in shown.tags
    # The page as it is, in a frame whose scripts reach nothing.
    assert shown.frame["srcdoc"] == result.page and shown.frame["sandbox"] == "allow-scripts"
    assert shown.frame["title"] == result._title()
    assert "Errors of" not in result.page
    result.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page == result.page and page.startswith("<!doctype html>") and "mlp.onnx" in page
    plain = quern.explain(mlp(), {"x": np.ones((2, 10), "f4")}, seconds=0.01, tries=False)
    assert plain.report["thread_curve"] == []
    with pytest.raises(quern.InvalidInputError, match="input 'x' is missing"):
        quern.explain(path, {"z": 1})


def test_explain_with_stages(path):
    result = quern.explain(path, dims={"N": 3}, seconds=0.01, tries=False, stages=True, threads=1)
    assert "The time of a run after each of" in result.page and "Errors of 6 numbers" in result.page


def test_compare_nodes(path, monkeypatch):
    result = quern.compare_nodes(path, dims={"N": 3}, threads=1)
    assert result.passed and result.fault == "none" and result.first is None
    assert result.nodes and result.nodes[0]["difference"]["cosine"] > 0.999
    assert "agree with the interpreter" in repr(result) and "<table>" in result._repr_html_()
    last = result.nodes[-1]["node"]
    monkeypatch.setenv("QUERN_PLANT_ERROR", last)
    result = quern.compare_nodes(mlp(), {"x": np.ones((2, 10), "f4")})
    assert (result.first, result.fault) == (last, "code") and last in result.verdict
    with pytest.raises(quern.InvalidInputError, match="input 'x' is missing"):
        quern.compare_nodes(path, {"z": 1})


def test_trace(path, tmp_path):
    model = quern.compile(path)
    with quern.trace(tmp_path / "trace.json"):
        model(np.ones((2, 10), "f4"))
        with pytest.raises(quern.UsageError, match="one at a time"):
            with quern.trace(tmp_path / "other.json"):
                pass
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    kinds = [event.get("cat") for event in events]
    assert kinds.count("run") == 1 and kinds.count("step") >= 2
    with pytest.raises(OSError):
        with quern.trace(tmp_path / "no" / "trace.json"):
            pass
    with pytest.raises(ZeroDivisionError):
        with quern.trace(tmp_path / "failed.json"):
            quern.load(path)
            1 / 0
    assert "importing" in (tmp_path / "failed.json").read_text()


def test_compare_at_a_precision(path):
    result = quern.compare(path, dims={"N": 3}, precision="bf16", seconds=0.01)
    assert result.passed and result.precision == "bf16"
    assert 0 <= result.outputs[0].max_of_largest <= 0.01
    assert quern.compare(path, dims={"N": 3}, seconds=0.01).precision == "f32"
    assert "in bf16" in repr(quern.benchmark(path, dims={"N": 1}, precision="bf16", seconds=0.01))


def test_compare_says_what_differs():
    # Rounding differs somewhere in sums of a thousand products.
    result = quern.compare(mlp(inputs=1000, hidden=1000), dims={"N": 20}, rtol=0, atol=0,
                           seconds=0.01)
    assert not result.passed and result.outputs[0].mismatches > 0
    assert "FAIL" in repr(result)
    with pytest.raises(quern.AccuracyError, match="y"):
        result.raise_for_difference()


def test_compare_of_strings():
    result = quern.compare(identity(TensorProto.STRING), dims={"N": 2}, seconds=0.01)
    assert result.passed and "img" not in Shown(result).tags


def test_benchmark(path):
    result = quern.benchmark(path, dims={"N": 1}, seconds=0.01, threads=1)
    assert result.threads == 1 and result.runs >= 1
    assert 0 < result.steady["min"] <= result.steady["p50"] <= result.steady["p99"]
    assert "p99" in repr(result) and "first run" in result._repr_html_()
    assert quern.benchmark(path, seconds=0.01, backend="interpreter").steady["min"] > 0


def test_inspect(path):
    facts = quern.inspect(path)
    assert facts.ops == {"Gemm": 2, "Relu": 1} and facts.parameters == 652
    assert facts.opsets == {"ai.onnx": 17}
    assert "Nx10" in repr(facts) and "<td>y</td>" in facts._repr_html_()


def save(tmp_path, proto):
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def relu_after(node, opset=17, inputs=(("x", TensorProto.FLOAT, [2]),)):
    nodes = [node, helper.make_node("Relu", ["t"], ["y"], name="last")]
    return make_model(nodes, inputs, [("y", TensorProto.FLOAT, None)], opset=opset)


@pytest.mark.parametrize("proto, wanted", [
    (relu_after(helper.make_node("Frobnicate", ["x"], ["t"], name="f")),
     [("f", "Frobnicate", "Frobnicate of opset 17: .*node 'f'")]),
    (relu_after(helper.make_node("Relu", ["x"], ["t"], name="f"), opset=29),
     [("f", "Relu", "opset 29")]),
    (relu_after(helper.make_node("Relu", ["nothing"], ["t"], name="f")),
     [("", "", "nothing")]),
    (relu_after(helper.make_node("Softmax", ["x"], ["t"], name="f", axis=7)),
     [("f", "Softmax", "axis")]),
    (relu_after(helper.make_node("Frobnicate", ["x"], ["t"], name="f"), inputs=[
        ("x", TensorProto.FLOAT, [2]), ("x", TensorProto.FLOAT, [2])]),
     [("f", "Frobnicate", ""), ("", "", "'x'")]),
])
def test_problems_are_what_compile_refuses(tmp_path, proto, wanted):
    path = save(tmp_path, proto)
    with pytest.raises(quern.QuernError):
        quern.compile(path)
    rows = quern.problems(path)
    assert [(row["node"], row["op"]) for row in rows] == [row[:2] for row in wanted]
    for row, (_, _, message) in zip(rows, wanted):
        assert set(row) == {"node", "op", "version", "message"}
        assert re.search(message, row["message"]), row


def test_no_problems(path):
    assert quern.problems(path) == [] == quern.problems(str(path))


def test_a_file_that_cannot_be_read_is_no_list_of_problems(tmp_path):
    with pytest.raises(quern.FileError):
        quern.problems(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(quern.InvalidModelError):
        quern.problems(tmp_path / "text.onnx")


def test_host_cpu():
    assert quern.host_cpu()["triple"].startswith("x86_64")
