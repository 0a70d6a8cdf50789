"""quern.compile: what it takes and what it gives."""
import io
import logging
import subprocess
import sys

import numpy as np
import pytest

import quern
from models import TensorProto, helper, make_model, mlp, nonzero, relu, two_ports

X = np.array([[1, -2, 3]], "f4")
WANTED = np.array([[1, 0, 3]], "f4")


@pytest.mark.parametrize("backend", ["native", "interpreter"])
def test_sources(tmp_path, backend):
    proto = relu()
    path = tmp_path / "relu.onnx"
    path.write_bytes(proto.SerializeToString())
    for source in (proto, proto.SerializeToString(), path, str(path),
                   io.BytesIO(proto.SerializeToString()), quern.load(proto)):
        model = quern.compile(source, backend=backend)
        np.testing.assert_array_equal(model(X), WANTED)
        assert model.backend == backend


def test_unknown_source():
    with pytest.raises(quern.UsageError, match="cannot compile a builtins.dict"):
        quern.compile({})
    with pytest.raises(quern.UsageError, match="unknown options: levle"):
        quern.compile(relu(), levle=3)


def test_precision():
    x = np.ones((2, 10), "f4")
    wanted = quern.compile(mlp())(x)
    model = quern.compile(mlp(), precision="bf16")
    assert (model.precision, quern.compile(mlp()).precision) == ("bf16", "f32")
    np.testing.assert_allclose(model(x), wanted, atol=0.01 * np.abs(wanted).max())
    with pytest.raises(quern.UsageError, match="no precision 'f8'; wanted f32, bf16, f16, int8 or"):
        quern.compile(mlp(), precision="f8")
    with pytest.raises(quern.UnsupportedError, match=r"quantize the model with quern\.quantize,"):
        quern.compile(mlp(), precision="int8")
    with pytest.raises(quern.UsageError, match="precision bf16 is for native code"):
        quern.compile(mlp(), precision="bf16", backend="interpreter")


def test_measured_ways(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path / "cache"))
    x = np.random.default_rng(0).standard_normal((4, 10)).astype("f4")
    wanted = quern.compile(mlp())(x)
    assert not list(tmp_path.glob("cache/tuning/*"))
    tuned = quern.compile(mlp(), tune_seconds=20, samples=[x])
    np.testing.assert_allclose(tuned(x), wanted, rtol=1e-5, atol=1e-5)
    assert len(list(tmp_path.glob("cache/tuning/*.tuning"))) == 1
    np.testing.assert_array_equal(quern.compile(mlp(), tune_seconds=0)(x), tuned(x))
    quern.aot(mlp(), tmp_path / "m.so", dims={"N": 4}, tune_seconds=0)
    np.testing.assert_array_equal(quern.load(tmp_path / "m.so")(x), tuned(x))
    with pytest.raises(quern.UsageError, match="cannot tune for -1 seconds; wanted 0 or more"):
        quern.compile(mlp(), tune_seconds=-1)
    with pytest.raises(quern.UsageError, match="nor is what was measured"):
        quern.compile(mlp(), tune_seconds=0, cache=True)
    with pytest.raises(quern.UsageError, match="tuning is for native code"):
        quern.compile(mlp(), tune_seconds=1, backend="interpreter")


def test_precision_within_a_bound(tmp_path):
    x = np.random.default_rng(0).standard_normal((4, 10)).astype("f4")
    wanted = quern.compile(mlp())(x)
    assert quern.compile(mlp(), precision="bf16").precision_choice is None
    for bound in (0.5, 1e-4):
        model = quern.compile(mlp(), precision="auto", max_error=bound, samples=[x])
        choice = model.precision_choice
        assert (model.precision, choice["max_error"], choice["random_inputs"]) == (
            "auto", bound, False)
        assert choice["error"] <= bound
        np.testing.assert_allclose(model(x), wanted, atol=bound * np.abs(wanted).max())
    assert quern.compile(mlp(), precision="auto").precision_choice["random_inputs"]
    assert quern.compare(mlp(), [x], precision="auto", max_error=0.02, seconds=0).passed
    path = tmp_path / "m.so"
    quern.aot(mlp(), path, dims={"N": 4}, precision="auto", max_error=0.3, samples=[x])
    assert quern.load(path).precision_choice["max_error"] == 0.3
    assert quern.inspect(path).precision_choice["max_error"] == 0.3
    with pytest.raises(quern.UsageError, match="a bound on the error is for precision auto"):
        quern.compile(mlp(), max_error=0.1)
    with pytest.raises(quern.UsageError, match="a bound of 2 on the error makes no sense"):
        quern.compile(mlp(), precision="auto", max_error=2)
    with pytest.raises(quern.UsageError, match="samples are neither"):
        quern.compile(mlp(), precision="auto", samples=[x], cache=True)
    with pytest.raises(quern.InvalidInputError, match="wanted 1 inputs, found 2"):
        quern.compile(mlp(), precision="auto", samples=[x, x])


def test_small_weights(tmp_path):
    rng = np.random.default_rng(0)
    model = make_model([helper.make_node("MatMul", ["x", "w"], ["y"])],
                       [("x", TensorProto.FLOAT, ["N", 64])], [("y", TensorProto.FLOAT, ["N", 16])],
                       [("w", rng.standard_normal((64, 16)).astype("f4"))])
    x = rng.standard_normal((3, 64)).astype("f4")
    wanted = quern.compile(model)(x)
    for weights, error in (("int8", 0.01), ("int4", 0.1)):
        found = quern.compile(model, weights=weights)(x)
        assert 1e-5 < np.abs(found - wanted).max() / np.abs(wanted).max() < error
    assert quern.compare(model, [x], weights="int8", seconds=0).passed
    quern.aot(model, tmp_path / "m.so", dims={"N": 3}, weights=("file", "int8"))
    np.testing.assert_array_equal(quern.load(tmp_path / "m.so")(x),
                                  quern.compile(model, weights="int8")(x))
    with pytest.raises(quern.UsageError, match="there are no weights 'int3'; wanted given, int8"):
        quern.compile(model, weights="int3")
    with pytest.raises(quern.UsageError, match="weights are 'embedded' or in a 'file', and"):
        quern.aot(model, tmp_path / "m.so", weights="int3")


def test_winograd(tmp_path):
    rng = np.random.default_rng(0)
    model = make_model([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
                       [("x", TensorProto.FLOAT, [1, 32, 32, 32])],
                       [("y", TensorProto.FLOAT, [1, 32, 32, 32])],
                       [("w", rng.standard_normal((32, 32, 3, 3)).astype("f4"))])
    x = rng.standard_normal((1, 32, 32, 32)).astype("f4")
    own, direct = quern.compile(model)(x), quern.compile(model, winograd="off")(x)
    assert 0 < np.abs(own - direct).max() < 1e-4
    assert quern.compare(model, [x], winograd="off", seconds=0).passed
    quern.aot(model, tmp_path / "m.so", winograd="off")
    np.testing.assert_array_equal(quern.load(tmp_path / "m.so")(x), direct)
    with pytest.raises(quern.UsageError, match="its backend, CPU, level and precision are given"):
        quern.compile(tmp_path / "m.so", winograd="off")
    with pytest.raises(quern.UsageError, match="Winograd's algorithm is auto or off, not 'on'"):
        quern.compile(model, winograd="on")


def test_sizes():
    model = quern.compile(relu(), dims={"N": 2})
    assert model.inputs[0].shape == (2, 3)
    with pytest.raises(quern.InvalidInputError, match="'x': wanted shape 2x3, found 1x3"):
        model(X)
    assert quern.compile(relu(), shapes={"x": (5, 3)}).inputs[0].shape == (5, 3)


def test_inputs_by_position_and_name():
    model = quern.compile(two_ports())
    a, b = np.array([3, 4], "f4"), np.array([1, 2], "f4")
    for outputs in (model(a, b), model(a, b=b), model(b=b, a=a), model({"b": b, "a": a})):
        np.testing.assert_array_equal(outputs, [[4, 6], [2, 2]])
    assert [len(model.run(None, feed)) for feed in ([a, b], (a, b), {"a": a, "b": b})] == [2, 2, 2]
    np.testing.assert_array_equal(model.run(["difference"], [a, b])[0], [2, 2])
    np.testing.assert_array_equal(model.run(["difference", "sum", "sum"], [a, b]),
                                  [[2, 2], [4, 6], [4, 6]])


@pytest.mark.parametrize("call, message", [
    (lambda m, a: m(a), "wanted 2 inputs, found 1"),
    (lambda m, a: m(a, a, a), "wanted 2 inputs, found 3"),
    (lambda m, a: m(a, c=a), "input 'b' is missing"),
    (lambda m, a: m(a, a, b=a), "input 'b' is given twice"),
    (lambda m, a: m(a=a, b=a, c=a), "the model has no input 'c'"),
    (lambda m, a: m.run(["z"], [a, a]), "the model has no output 'z'"),
    (lambda m, a: m(a, None), "input 'b': None is no tensor"),
    (lambda m, a: m(a, "text"), "input 'b': could not convert"),
    (lambda m, a: m(a, a.astype("f8")), "input 'b': wanted float32 N, found float64 1"),
    (lambda m, a: m(a, np.array(["x"])), "input 'b': an array of NumPy type 'str32' cannot be read"),
])
def test_wrong_inputs(call, message):
    with pytest.raises(quern.InvalidInputError, match=message):
        call(quern.compile(two_ports()), np.array([1], "f4"))


def test_inputs_are_seen_in_place_and_outputs_own_their_memory():
    model = quern.compile(relu())
    x = X.copy()
    y = model(x)
    x[:] = 7
    assert y.flags.writeable and y.ctypes.data % 16 == 0
    z = model(x)
    np.testing.assert_array_equal(y, WANTED)
    del model
    y += 1
    np.testing.assert_array_equal(z, x)


def test_outputs_are_new_arrays_whatever_their_size():
    model = quern.compile(relu())
    results = [(n, model(np.full((n, 3), n, "f4"))) for n in (1, 1, 2, 1, 1000, 1000, 0, 0, 1, 1)]
    for n, y in results:
        np.testing.assert_array_equal(y, np.full((n, 3), n, "f4"))
    assert len({y.ctypes.data for n, y in results if n}) == 8


def test_results_whose_size_depends_on_data():
    model = quern.compile(nonzero())
    for x in ([1, 0, 2], [1, 0, 2], [0, 0, 2], [1, 1, 1], [0, 0, 0], [1, 0, 2]):
        np.testing.assert_array_equal(model(np.array(x, "f4")), [np.flatnonzero(x)])


def test_any_layout():
    model = quern.compile(relu(dims=("N", "M")))
    base = np.arange(-12, 12, dtype="f4").reshape(4, 6)
    unaligned = np.frombuffer(b"x" + base.tobytes(), "u1")[1:].view("f4").reshape(4, 6)
    readonly = base.copy()
    readonly.flags.writeable = False
    for x in (base.T, base[::2], base[:, ::-1], base.astype(">f4"), unaligned, readonly,
              np.asfortranarray(base), base[:0], memoryview(base)):
        np.testing.assert_array_equal(model(x), np.maximum(np.asarray(x), 0))
    np.testing.assert_array_equal(model([[1, -1]]), [[1, 0]])


def test_run_into():
    model = quern.compile(mlp())
    x = np.ones((4, 10), "f4")
    y = np.empty((4, 2), "f4")
    assert model.run_into([x], [y])[0] is y
    np.testing.assert_array_equal(y, model(x))
    frozen = y.copy()
    frozen.flags.writeable = False
    for wrong in (np.empty((4, 3), "f4"), np.empty((2, 4), "f4").T, [0], frozen):
        with pytest.raises(quern.InvalidInputError, match="output 'y': wanted"):
            model.run_into([x], [wrong])


def test_profile():
    model = quern.compile(mlp(), profile=True)
    model(np.ones((1, 10), "f4"))
    rows = model.profile()
    assert rows and all(row["runs"] == 1 and row["ms"] >= row["min_ms"] > 0 for row in rows)
    assert all(row["bytes"] == row["bytes_read"] + row["bytes_written"] for row in rows)
    assert any(row["flops"] > 0 for row in rows)
    model.clear_profile()
    assert not any(row["runs"] for row in model.profile())
    with pytest.raises(quern.UsageError, match="compile with profile=True"):
        quern.compile(mlp()).profile()


def test_logging(caplog):
    with caplog.at_level(logging.INFO, "quern"):
        quern.compile(relu())
    assert "compiled in" in caplog.text


def test_repr():
    model = quern.compile(relu())
    assert repr(model) == ("<quern.CompiledModel (x: float32 Nx3) -> (y: float32 Nx3), native>")
    assert repr(model.inputs[0]) == "<quern.Port 'x': float32 Nx3>"
    assert model.inputs[0].shape == ("N", 3) and model.inputs[0].dtype == np.float32
    assert "<td>Nx3</td>" in model._repr_html_()


@pytest.mark.parametrize("name", [b"x_name", b"y_name", b"N_name"])
def test_names_that_are_no_text(tmp_path, name):
    """Bytes that are no UTF-8 are seen as their numbers."""
    proto = make_model([helper.make_node("Relu", ["x_name"], ["y_name"])],
                       [("x_name", TensorProto.FLOAT, ["N_name"])],
                       [("y_name", TensorProto.FLOAT, ["N_name"])])
    wrong = proto.SerializeToString().replace(name, name[:1] + b"\xff" + name[2:])
    path = tmp_path / "model.onnx"
    path.write_bytes(wrong)
    try:
        quern.inspect(path)
    except quern.InvalidModelError as error:  # protobuf looks at it itself
        assert "no valid protobuf message" in str(error)
        return
    seen = (name[:1] + b"\\xff" + name[2:]).decode()
    model = quern.compile(path)
    (x,), (y,) = model.inputs, model.outputs
    assert seen in (x.name, y.name, x.shape[0]) and seen in repr(model)
    np.testing.assert_array_equal(model.run([y.name], {x.name: np.ones(3, "f4")})[0], np.ones(3))
    assert quern.compare(path, {x.name: np.ones(3, "f4")}, seconds=0.01).passed
    with pytest.raises(quern.InvalidInputError, match="x"):
        model.run(None, {})


def test_import_needs_neither_numpy_nor_converters():
    code = "import quern, sys; print([m for m in ('numpy', 'onnx', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
