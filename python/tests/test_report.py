"""compare, benchmark, inspect."""
import numpy as np
import pytest

import quern
from models import TensorProto, identity, mlp


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
    assert quern.compare(path, {"x": np.ones((2, 10), "f4")}, seconds=0.01).passed
    with pytest.raises(quern.InvalidInputError, match="wanted 1 inputs, found 2"):
        quern.compare(path, [1, 2])
    with pytest.raises(quern.InvalidInputError, match="input 'x' is missing"):
        quern.compare(path, {"z": 1})


def test_compare_says_what_differs():
    # Rounding differs somewhere in sums of a thousand products.
    result = quern.compare(mlp(inputs=1000, hidden=1000), dims={"N": 20}, rtol=0, atol=0,
                           seconds=0.01)
    assert not result.passed and result.outputs[0].mismatches > 0
    assert "FAIL" in repr(result)
    with pytest.raises(quern.AccuracyError, match="y"):
        result.raise_for_difference()


def test_compare_of_strings():
    assert quern.compare(identity(TensorProto.STRING), dims={"N": 2}, seconds=0.01).passed


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


def test_host_cpu():
    assert quern.host_cpu()["triple"].startswith("x86_64")
