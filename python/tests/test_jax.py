"""Functions of JAX."""
import functools
import sys

import numpy as np
import pytest

import quern

jax = pytest.importorskip("jax", reason="needs jax: pip install jax")
pytest.importorskip("jax2onnx", reason="needs jax2onnx: pip install jax2onnx")


def layer(weights, x):
    return jax.nn.relu(x @ weights)


@pytest.fixture
def bound():
    return functools.partial(layer, jax.random.normal(jax.random.key(0), (4, 3)))


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("f4")


def test_functions(bound):
    x = normal(2, 4)
    for function in (lambda x: bound(x), jax.jit(bound)):
        np.testing.assert_allclose(quern.compile(function, (x,))(x), bound(x), rtol=1e-3, atol=1e-5)


def test_open_sizes(bound):
    rows, = jax.export.symbolic_shape("rows")
    model = quern.compile(jax.jit(bound), (jax.ShapeDtypeStruct((rows, 4), "float32"),))
    for count in (1, 7):
        x = normal(count, 4)
        np.testing.assert_allclose(model(x), bound(x), rtol=1e-3, atol=1e-5)


def test_dicts(bound):
    x = normal(2, 4)
    found = quern.compile(jax.jit(lambda x: {"y": bound(x), "b": x + 1}), (x,))(x)
    np.testing.assert_allclose(found["y"], bound(x), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["b"], x + 1, rtol=1e-3)


def test_compare(bound):
    function, x = jax.jit(bound), normal(2, 4)
    report = quern.compile(function, (x,)).compare(seconds=0.01)
    assert report.systems[1].name == "jax.jit" and report.passed


def test_errors(bound, monkeypatch):
    with pytest.raises(quern.UsageError, match="of JAX needs example inputs"):
        quern.compile(jax.jit(bound))
    with pytest.raises(quern.UsageError, match="there is no exporter 'x' for JAX"):
        quern.compile(jax.jit(bound), normal(2, 4), exporter="x")
    with pytest.raises(quern.UsageError, match="bind parameters to it before"):
        quern.compile(jax.jit(lambda p, x: p["w"] + x), ({"w": normal(2)}, normal(2)))
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(quern.UnsupportedError, match="pip install jax2onnx"):
        quern.compile(jax.jit(bound), normal(2, 4), exporter="jax2onnx")
