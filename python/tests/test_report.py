"""compare, benchmark, inspect, aot."""
import ctypes

import numpy as np
import pytest

import quern
from models import TensorProto, identity, mlp, relu


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    return path


def test_compare(path):
    result = quern.compare(path, dims={"N": 3}, seconds=0.01)
    assert result.passed and result.outputs[0].name == "y" and result.speedup > 0
    assert "speed-up" in repr(result) and "<table>" in result._repr_html_()
    assert result.raise_for_difference() is result
    strict = quern.compare(path, [np.ones((1, 10), "f4") * np.pi], rtol=0, atol=0, seconds=0.01)
    if not strict.passed:
        with pytest.raises(quern.AccuracyError, match="outputs differ: y"):
            strict.raise_for_difference()
    with pytest.raises(quern.UsageError, match="input 'x' .* needs a value, or sizes"):
        quern.compare(path)


def test_compare_counts_what_differs():
    from quern.report import _difference

    wanted, found = np.array([1, np.nan, np.inf, 4]), np.array([1, np.nan, np.inf, 5])
    result = _difference("y", wanted, found, 1e-3, 1e-5)
    assert (result.max_abs, result.max_rel, result.mismatches) == (1, 0.25, 1)
    assert not result.passed
    assert not _difference("y", np.array([np.nan]), np.array([0.0]), 1, 1).passed
    assert not _difference("y", np.zeros(2), np.zeros(3), 1, 1).passed
    assert not _difference("y", np.array(["a"], object), np.array(["b"], object), 1, 1).passed


def test_compare_of_strings():
    assert quern.compare(identity(TensorProto.STRING), dims={"N": 2}, seconds=0.01).passed


def test_benchmark(path):
    result = quern.benchmark(path, dims={"N": 1}, seconds=0.01, threads=1)
    assert result.threads == 1 and len(result.times) >= 5
    assert 0 < min(result.times) <= result.median <= result.quantile(0.99)
    assert "p99" in repr(result) and "first run" in result._repr_html_()


def test_inspect(path):
    facts = quern.inspect(path)
    assert facts.ops == {"Gemm": 2, "Relu": 1} and facts.parameters == 652
    assert facts.opsets == {"ai.onnx": 17}
    assert "Nx10" in repr(facts) and "<td>y</td>" in facts._repr_html_()


def test_aot(path, tmp_path):
    artifact = quern.aot(path, tmp_path / "mlp.so", header=tmp_path / "mlp.h", dims={"N": 1})
    assert artifact.bytes > 0 and "mlp.so" in repr(artifact)
    assert "mlp_run" in (tmp_path / "mlp.h").read_text()
    ctypes.CDLL(artifact.path).mlp_info
    with pytest.raises(quern.UnsupportedError):
        quern.aot(path, tmp_path / "unknown.so")
    with pytest.raises(quern.FileError):
        quern.aot(relu(), "/no/such/folder/m.so", dims={"N": 1})


def test_host_cpu():
    assert quern.host_cpu()["triple"].startswith("x86_64")
