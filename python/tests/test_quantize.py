"""quern.quantize."""
import numpy as np
import pytest

import quern
from models import mlp, onnx, relu

ALL_WELL = {"min_speedup": 0, "max_error": 0.5, "seconds": 0}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    return path


def test_writes_a_model(path, tmp_path):
    output = tmp_path / "q.onnx"
    result = quern.quantize(path, output, **ALL_WELL)
    assert result.passed and result.verdict == ""
    assert output.read_bytes() == result.model
    assert result.bytes_after == len(result.model)
    assert [layer.op for layer in result.layers] == ["Gemm", "Gemm"]
    assert all(layer.quantized and layer.sqnr > 20 for layer in result.layers)
    assert (result.calibrated, result.held_back) == (12, 4)
    assert "times as fast" in repr(result) and "<table>" in result._repr_html_()
    x = np.linspace(-1, 1, 20, dtype="f4").reshape(2, 10)
    wanted, found = quern.compile(path)(x), quern.compile(output)(x)
    assert np.abs(wanted - found).max() < 0.1 * np.abs(wanted).max()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("mode, op", [
    ("static", "QuantizeLinear"), ("dynamic", "MatMulInteger"), ("weights-int8", "DequantizeLinear"),
    ("weights-int4", "DequantizeLinear"), ("float16", "Cast")])
def test_modes(mode, op):
    result = quern.quantize(mlp(), mode=mode, **ALL_WELL)
    assert op in [node.op_type for node in onnx.load_from_string(result.model).graph.node]


def test_data():
    random = np.random.default_rng(1)
    rows = [random.normal(size=(1, 10)).astype("f4") for _ in range(8)]
    for data in (rows, [{"x": row} for row in rows], [[row] for row in rows], iter(rows)):
        result = quern.quantize(mlp(), data=data, **ALL_WELL)
        assert (result.calibrated, result.held_back) == (6, 2)
    assert quern.quantize(mlp(), samples=4, **ALL_WELL).held_back == 1
    with pytest.raises(quern.InvalidInputError, match="input 'x'"):
        quern.quantize(mlp(), data=[np.zeros((1, 11), "f4")])
    with pytest.raises(quern.InvalidInputError, match="input 'x' is missing"):
        quern.quantize(mlp(), data=[{"z": 1}])
    with pytest.raises(quern.UsageError, match="data= is 'random' or a list of inputs"):
        quern.quantize(mlp(), data="folder")
    with pytest.raises(quern.InvalidInputError, match="no inputs"):
        quern.quantize(mlp(), data=[])


def test_refusals(tmp_path):
    output = tmp_path / "q.onnx"
    with pytest.raises(quern.AccuracyError, match="outside the bound") as caught:
        quern.quantize(mlp(), output, max_error=1e-9, seconds=0)
    assert not caught.value.report.passed and caught.value.report.outputs[0].error > 1e-9
    with pytest.raises(quern.TooSlowError, match="wanted 1000.00"):
        quern.quantize(mlp(), output, max_error=0.5, min_speedup=1000, seconds=0)
    assert not output.exists()
    forced = quern.quantize(mlp(), output, max_error=0.5, min_speedup=1000, seconds=0, force=True)
    assert output.exists() and "wanted 1000.00" in forced.verdict


def test_errors(path, tmp_path):
    with pytest.raises(quern.UsageError, match="there is no mode 'int3'"):
        quern.quantize(path, mode="int3")
    with pytest.raises(quern.UnsupportedError, match="nothing to quantize"):
        quern.quantize(relu())
    with pytest.raises(quern.UsageError, match="no node 'nobody' to keep"):
        quern.quantize(path, keep=["nobody"])
    with pytest.raises(quern.FileError):
        quern.quantize(tmp_path / "missing.onnx")
    with pytest.raises(quern.FileError, match="cannot write"):
        quern.quantize(path, tmp_path / "no" / "q.onnx", **ALL_WELL)
    with pytest.raises(quern.UsageError):
        quern.quantize(path, mode=3)


def test_progress(path):
    heard = []
    quern.quantize(path, progress=heard.append, **ALL_WELL)
    assert any("calibrating" in doing for doing in heard)
