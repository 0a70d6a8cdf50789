"""Keras models, tf.functions, SavedModels, and files of them."""
import gc
import os
import shutil
import sys

import numpy as np
import pytest

import quern
from conftest import import_alone
from quern import frameworks

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
tf = import_alone("tensorflow", "torch")
keras = pytest.importorskip("keras", reason="needs keras: pip install keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("Keras computes by another backend than TensorFlow", allow_module_level=True)


def mlp(library=keras):
    library.utils.set_random_seed(0)
    return library.Sequential([
        library.layers.Input((10,), name="features"),
        library.layers.Dense(16, activation="relu"), library.layers.Dense(1, name="score")])


def two_ports(as_dict):
    """Names and order are not those of the alphabet."""
    keras.utils.set_random_seed(0)
    z, a = keras.layers.Input((4,), name="z"), keras.layers.Input((3,), name="a")
    y, b = keras.layers.Dense(2, name="y")(z), keras.layers.Dense(5, name="b")(a)
    if as_dict:
        return keras.Model({"z": z, "a": a}, {"y": y, "b": b})
    return keras.Model([z, a], [y, b])


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("f4")


def close(found, wanted):
    np.testing.assert_allclose(found, np.asarray(wanted), rtol=1e-3, atol=1e-5)


def test_a_model_takes_any_batch_and_what_keras_takes():
    net = mlp()
    model = quern.compile(net)
    assert [port.name for port in model.inputs] == ["features"]
    assert [port.name for port in model.outputs] == ["score"]
    for rows in (1, 3, 64):
        x = normal(rows, 10)
        close(model(x), net(x))
        close(model(x.astype("f8")), net(x))


def test_several_inputs_and_outputs_stay_in_order():
    net = two_ports(as_dict=False)
    model = quern.compile(net)
    assert [port.name for port in model.inputs] == ["z", "a"]
    assert [port.name for port in model.outputs] == ["y", "b"]
    z, a = normal(3, 4), normal(3, 3)
    found = model(z, a)
    assert isinstance(found, tuple)
    for one, wanted in zip(found, net([z, a])):
        close(one, wanted)


def test_dicts_in_and_out():
    net = two_ports(as_dict=True)
    model = quern.compile(net)
    named = {"z": normal(3, 4), "a": normal(3, 3)}
    found, wanted = model(named), net(named)
    assert list(found) == ["y", "b"] and model.gives_dict
    for name in wanted:
        close(found[name], wanted[name])
    model.gives_dict = False
    assert isinstance(model(named), tuple)


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model_of_some_name"])
def test_files(tmp_path, name):
    net, x = mlp(), normal(5, 10)
    suffix = ".h5" if name.endswith(".h5") else ".keras"
    net.save(tmp_path / f"saved{suffix}")
    shutil.move(tmp_path / f"saved{suffix}", tmp_path / name)
    close(quern.compile(tmp_path / name)(x), net(x))
    close(quern.compile(str(tmp_path / name), cache=True, shapes={"features": (5, 10)})(x), net(x))
    assert quern.load(str(tmp_path / name)).inputs[0].name == "features"


def test_saved_models(tmp_path):
    net, x = mlp(), normal(5, 10)
    net.export(str(tmp_path / "saved"), verbose=False)
    for path in (tmp_path / "saved", tmp_path / "saved" / "saved_model.pb"):
        model = quern.compile(path)
        assert model.inputs[0].name == "features"
        close(model(x), net(x))


def test_a_saved_model_without_a_signature(tmp_path):
    module = tf.Module()
    module.v = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(quern.UsageError, match="has no signature; give one of them"):
        quern.compile(tmp_path)


def test_functions():
    scale = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([3], name="a")])
    def function(x, a):
        return {"scaled": x * scale, "added": x + a}

    x, a = normal(4, 3), normal(3)
    for given in (function, function.get_concrete_function()):
        model = quern.compile(given)
        assert [port.name for port in model.inputs] == ["x", "a"]
        found = model(x, a)
        close(found["scaled"], 2 * x)
        close(found["added"], x + a)


def test_a_function_without_a_signature():
    function = tf.function(lambda x: tf.nn.relu(x))
    with pytest.raises(quern.UsageError, match="has no input_signature; give it one, or example"):
        quern.compile(function)
    x = normal(4, 3)
    close(quern.compile(function, (x,))(x), np.maximum(x, 0))
    close(quern.compile(function, tf.TensorSpec([None, 3]))(x), np.maximum(x, 0))


def test_a_subclass_needs_examples():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    net, x = Net(), normal(2, 4)
    with pytest.raises(quern.UsageError, match="Net does not tell the shapes of its inputs"):
        quern.compile(net)
    close(quern.compile(net, x)(x), net(x))


def test_keras_2(tmp_path):
    tf_keras = pytest.importorskip("tf_keras", reason="needs Keras 2: pip install tf_keras")
    net, x = mlp(tf_keras), normal(5, 10)
    close(quern.compile(net)(x), net(x))
    net.save(tmp_path / "two.keras")
    close(quern.compile(tmp_path / "two.keras")(x), net(x))


def test_options_go_to_the_converter():
    net, x = mlp(), normal(64, 10)
    model = quern.compile(net, optimizations=[tf.lite.Optimize.DEFAULT])
    assert np.abs(model(x) - np.asarray(net(x))).max() < 0.1
    with pytest.raises(quern.UsageError, match="TFLiteConverter has no option quickly"):
        quern.compile(net, quickly=True)
    with pytest.raises(quern.UsageError, match="there is no exporter 'mlir' for TensorFlow"):
        quern.compile(net, exporter="mlir")


def test_by_tf2onnx():
    pytest.importorskip("tf2onnx", reason="needs tf2onnx: pip install tf2onnx")
    net, x = mlp(), normal(3, 10)
    close(quern.compile(net, exporter="tf2onnx")(x), net(x))


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    net = mlp()
    net.save(tmp_path / "model.keras")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(quern.UnsupportedError, match="needs the package tf2onnx .*pip install tf2onnx"):
        quern.compile(net, exporter="tf2onnx")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(quern.UnsupportedError, match="a Keras model, needs the package keras"):
        quern.compile(tmp_path / "model.keras")


def test_what_converters_refuse_is_an_error():
    inner = keras.layers.Lambda(lambda x: tf.py_function(lambda y: y, [x], tf.float32),
                                output_shape=(10,))
    net = keras.Sequential([keras.layers.Input((10,)), inner])
    with pytest.raises(quern.UnsupportedError):
        quern.compile(net)


def test_files_of_other_kinds_are_left_alone(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "text.keras").write_text("no model")
    for path in tmp_path.iterdir():
        assert frameworks.framework_of(path) is None
        with pytest.raises(quern.QuernError):
            quern.compile(path)


#===-----------------------------------------------------------------------===#
# compare
#===-----------------------------------------------------------------------===#


def test_compare():
    net = mlp()
    report = quern.compile(net, threads=1).compare(inputs=normal(8, 10), seconds=0.02)
    names = [system.name for system in report.systems]
    assert names[:4] == ["Quern", "Keras call", "Keras predict", "tf.function"]
    assert report.passed and report.raise_for_difference() is report
    assert report.outputs[0].name == "score" and report.outputs[0].max_abs < 1e-4
    assert all(system.times["p50"] > 0 for system in report.systems)
    assert report.speedup == report.systems[1].times_as_long
    assert "Keras predict" in repr(report) and "<table>" in report._repr_html_()
    assert report.as_dict()["systems"][0]["name"] == "Quern" and report.json().startswith("{")


def test_compare_with_another_finds_the_difference():
    net = mlp()
    model = quern.compile(net)
    net.layers[-1].bias.assign_add([1.0])
    report = model.compare(net, seconds=0.01, systems=[])
    assert not report.passed and len(report.systems) == 2
    with pytest.raises(quern.AccuracyError, match="output 'score' differs from Keras call's"):
        report.raise_for_difference()


def test_compare_dicts_and_functions(tmp_path):
    for net in (two_ports(as_dict=True), two_ports(as_dict=False)):
        assert quern.compile(net).compare(seconds=0.01).passed
    function = tf.function(lambda x: {"a": x + 1, "b": 2 * x},
                           input_signature=[tf.TensorSpec([None, 3], name="x")])
    assert quern.compile(function).compare(seconds=0.01).raise_for_difference()
    mlp().export(str(tmp_path), verbose=False)
    assert quern.compile(tmp_path).compare(inputs={"features": normal(4, 10)}, seconds=0.01).passed


def test_compare_errors():
    model = quern.compile(mlp())
    gc.collect()
    with pytest.raises(quern.UsageError, match="what was compiled is not there any more"):
        model.compare()
    net = mlp()
    model = quern.compile(net)
    with pytest.raises(quern.UsageError, match="there is no system 'Caffe' here"):
        model.compare(systems=["Caffe"])
    with pytest.raises(quern.UsageError, match="inputs has no 'features'"):
        model.compare(inputs={"x": normal(1, 10)})
    with pytest.raises(quern.UsageError, match="2 inputs are given; the model takes 1"):
        model.compare(inputs=[normal(1, 10), normal(1, 10)])
