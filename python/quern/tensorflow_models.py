"""From Keras models, tf.functions and SavedModels to TFLite, by TensorFlow's own converter, which
is part of TensorFlow and reads all that it writes; or, with exporter="tf2onnx", to ONNX.

The converter knows inputs by names and sorts them; here they come in the order that the model has.
"""
from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pathlib
import tempfile
import warnings
import zipfile
from typing import Any, Callable, Iterator, Mapping, Sequence

from .converters import errors_of
from .errors import UsageError
from .frameworks import Exported, kinds_of, need

log = logging.getLogger("quern")


@contextlib.contextmanager
def _quiet(logger_names: Sequence[str] = ("absl", "tensorflow")) -> Iterator[None]:
    """Without what saving and converting print about their own workings."""
    loggers = [logging.getLogger(name) for name in logger_names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


#===-----------------------------------------------------------------------===#
# Files
#===-----------------------------------------------------------------------===#


def _keras_version(path: str) -> str:
    """What a .keras file says; "" of .h5."""
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as archive:
        if "metadata.json" not in archive.namelist():
            return ""
        return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))


def load_keras(path: str) -> Any:
    """By Keras 3; what Keras 2 has written and Keras 3 does not read, by Keras 2 (tf_keras)."""
    what = f"{path}, a Keras model,"
    if _keras_version(path).startswith("2."):
        with errors_of("tf_keras", path):
            return need("tf_keras", what + " of Keras 2").models.load_model(path, compile=False)
    keras = need("keras", what)
    with errors_of("keras", path), _quiet():
        # Its reader goes by suffixes.
        wanted = ".keras" if zipfile.is_zipfile(path) else ".h5"
        if path.endswith((wanted, ".hdf5")):
            return keras.models.load_model(path, compile=False)
        with tempfile.TemporaryDirectory() as folder:
            link = pathlib.Path(folder, "model" + wanted)
            link.symlink_to(os.path.abspath(path))
            return keras.models.load_model(str(link), compile=False)


def load_signature(path: str) -> Any:
    """The function of a SavedModel: "serving_default", or the only one."""
    tf = need("tensorflow", f"{path}, a SavedModel,")
    folder = os.path.dirname(path) if os.path.basename(path) == "saved_model.pb" else path
    with errors_of("tf.saved_model.load", path):
        model = tf.saved_model.load(folder)
    names = list(model.signatures)
    if "serving_default" not in names and len(names) != 1:
        raise UsageError(f"{path} has {'the signatures ' + ', '.join(names) if names else 'no signature'}; "
                         "give one of them: quern.compile(tf.saved_model.load(FOLDER).signatures[NAME])")
    function = model.signatures["serving_default" if "serving_default" in names else names[0]]
    function._quern_keeps = model  # its variables go with it
    return function


#===-----------------------------------------------------------------------===#
# What is called, and how
#===-----------------------------------------------------------------------===#


class Call:
    """A model or function of TensorFlow with its inputs by name: `specs` are their types in order;
    `call` takes a list of tensors and gives what the model gives; `named` are the outputs of that,
    as (name, tensor)."""

    def __init__(self, specs: Mapping[str, Any], call: Callable[[list[Any]], Any],
                 output_names: Sequence[str] = ()):
        self.specs = dict(specs)
        self.call = call
        self.output_names = list(output_names)

    def named(self, outputs: Any) -> list[tuple[str, Any]]:
        import tensorflow as tf

        flat = tf.nest.flatten(outputs)
        if isinstance(outputs, Mapping) and all(not tf.nest.is_nested(o) for o in outputs.values()):
            return list(outputs.items())
        if isinstance(outputs, Mapping):
            paths = ["_".join(map(str, path)) for path, _ in _paths(outputs)]
            return list(zip(paths, [value for _, value in _paths(outputs)]))
        names = self.output_names
        if len(set(names)) != len(flat):
            names = [f"output_{i}" for i in range(len(flat))]
        return list(zip(names, flat))


def _paths(nest: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """All leaves, with the keys and numbers that lead to them."""
    rows = (nest.items() if isinstance(nest, Mapping) else
            enumerate(nest) if isinstance(nest, (list, tuple)) else None)
    if rows is None:
        yield at, nest
        return
    for key, value in rows:
        yield from _paths(value, (*at, key))


def _spec_of(tf: Any, value: Any, name: str) -> Any:
    """The type of an example, or of an input of a model; the first dimension of an input stays open
    where the model says so."""
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        value = tf.convert_to_tensor(value)
    return tf.TensorSpec(value.shape, value.dtype, name=name)


def _named_like(struct: Any, flat: Sequence[Any]) -> list[str]:
    """The keys of a dict of inputs, else their own names, each once."""
    names = (["_".join(map(str, path)) for path, _ in _paths(struct)] if isinstance(struct, Mapping)
             else [str(getattr(value, "name", "") or f"input_{i}").partition(":")[0]
                   for i, value in enumerate(flat)])
    return names if len(set(names)) == len(names) else [f"{n}_{i}" for i, n in enumerate(names)]


def struct_of(model: Any) -> Any:
    """The inputs of a Keras model as it is called with them, a tensor, list or dict; None of a
    subclass that does not tell."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    struct = getattr(model, "input", None)  # which a Sequential may not have
    return struct if struct is not None else inputs[0] if len(inputs) == 1 else inputs


def call_of_keras(model: Any, example_inputs: Any) -> Call:
    """In inference mode."""
    tf = need("tensorflow", "a Keras model")
    struct = struct_of(model)
    if struct is None and example_inputs is None:
        raise UsageError(f"{type(model).__name__} does not tell the shapes of its inputs; give "
                         "example inputs: quern.compile(model, array)")
    if struct is None:
        struct = example_inputs
        if isinstance(struct, tuple):
            struct = struct[0] if len(struct) == 1 else list(struct)
    flat = [value for _, value in _paths(struct)]
    names = _named_like(struct, flat)

    def call(tensors: list[Any]) -> Any:
        by_path = iter(tensors)
        return model(packed(struct, by_path), training=False)
    return Call({name: _spec_of(tf, value, name) for name, value in zip(names, flat)}, call,
                _output_names(model))


def _output_names(model: Any) -> Sequence[str]:
    """Those of the layers that give them."""
    if hasattr(model, "output_names"):
        return list(model.output_names or ())
    return [model.layers[-1].name] if type(model).__name__ == "Sequential" and model.layers else []


def packed(struct: Any, leaves: Iterator[Any]) -> Any:
    """`struct` with other leaves, in the order of _paths."""
    if isinstance(struct, Mapping):
        return {key: packed(value, leaves) for key, value in struct.items()}
    if isinstance(struct, (list, tuple)):
        return [packed(value, leaves) for value in struct]
    return next(leaves)


def call_of_function(function: Any, example_inputs: Any) -> Call:
    tf = need("tensorflow", "a tf.function")
    concrete = function
    if hasattr(function, "get_concrete_function"):
        if example_inputs is None and getattr(function, "input_signature", None) is None:
            raise UsageError(f"the tf.function {getattr(function, '__name__', '')} has no "
                             "input_signature; give it one, or example inputs: "
                             "quern.compile(function, (array,))")
        concrete = function.get_concrete_function(*_specs_of(tf, example_inputs))
    positional, named = concrete.structured_input_signature
    struct = [*positional, *named.values()]
    flat = [value for _, value in _paths(struct)]
    if not all(isinstance(value, tf.TensorSpec) for value in flat):
        raise UsageError("a tf.function is compiled with tensors as its arguments; bind other "
                         "values to it before")
    names = _named_like(struct, flat)

    def call(tensors: list[Any]) -> Any:
        given = packed(struct, iter(tensors))
        count = len(positional)
        return concrete(*given[:count], **dict(zip(named, given[count:])))
    return Call({name: tf.TensorSpec(value.shape, value.dtype, name=name)
                 for name, value in zip(names, flat)}, call)


def _specs_of(tf: Any, example_inputs: Any) -> list[Any]:
    """tf.TensorSpecs stay; arrays become specs of their shapes."""
    if example_inputs is None:
        return []
    given = example_inputs if isinstance(example_inputs, (tuple, list)) else (example_inputs,)
    return [value if isinstance(value, tf.TensorSpec) else tf.nest.map_structure(
        lambda leaf: leaf if isinstance(leaf, tf.TensorSpec) else tf.TensorSpec.from_tensor(
            tf.convert_to_tensor(leaf)), value) for value in given]


#===-----------------------------------------------------------------------===#
# Exporting
#===-----------------------------------------------------------------------===#


def from_keras(model: Any, example_inputs: Any, options: dict[str, Any]) -> Exported:
    """Any batch where the model takes any."""
    name = type(model).__name__
    if backend_of(model) != "tensorflow":
        return _by_keras_itself(model, options)
    return _exported(call_of_keras(model, example_inputs), name, options)


def from_function(function: Any, example_inputs: Any, options: dict[str, Any]) -> Exported:
    return _exported(call_of_function(function, example_inputs),
                     getattr(function, "__name__", "tf.function"), options)


def backend_of(model: Any) -> str:
    """Keras 3 computes by TensorFlow, PyTorch or JAX; Keras 2 always by TensorFlow."""
    if any(kind.startswith("keras.src.models.") for kind in kinds_of(model)):
        return str(need("keras", "a Keras model").backend.backend())
    return "tensorflow"


def _by_keras_itself(model: Any, options: dict[str, Any]) -> Exported:
    """A model whose backend is not TensorFlow, to ONNX."""
    need("onnx", "a Keras model on PyTorch or JAX")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.onnx")
        with errors_of("keras.Model.export", type(model).__name__), _quiet():
            model.export(str(path), format="onnx", verbose=False, **options)
        return Exported(path.read_bytes())


def _exported(call: Call, name: str, options: dict[str, Any]) -> Exported:
    import tensorflow as tf

    options = dict(options)
    exporter = options.pop("exporter", "tflite")
    if exporter not in ("tflite", "tf2onnx"):
        raise UsageError(f"there is no exporter '{exporter}' for TensorFlow; there are tflite and tf2onnx")
    order: list[str] = []
    gives: list[bool] = []

    def serve(**tensors: Any) -> dict[str, Any]:
        outputs = call.call([tensors[input_name] for input_name in call.specs])
        named = call.named(outputs)
        order[:] = [output_name for output_name, _ in named]
        gives[:] = [isinstance(outputs, Mapping)]
        # An output that is an input, or another output, is a tensor of its own.
        return {output_name: tf.identity(value) for output_name, value in named}

    log.info("converting %s with %s", name, exporter)
    with errors_of(exporter if exporter == "tf2onnx" else "tf.lite.TFLiteConverter", name), _quiet():
        function = tf.function(serve, autograph=False)
        concrete = function.get_concrete_function(**call.specs)
        if exporter == "tf2onnx":
            content = _by_tf2onnx(tf, serve, call, options)
        else:
            content = _by_tflite(tf, function, concrete, options)
            content = _in_order(content, list(call.specs), order)
    return Exported(content, gives[0])


def _by_tflite(tf: Any, function: Any, concrete: Any, options: dict[str, Any]) -> bytes:
    holder = tf.Module()
    holder.function = function
    holder.held = list(concrete.graph.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder)
    for option, value in options.items():
        if not hasattr(converter, option):
            raise UsageError(f"tf.lite.TFLiteConverter has no option {option}")
        setattr(converter, option, value)
    return bytes(converter.convert())


def _by_tf2onnx(tf: Any, serve: Callable[..., Any], call: Call, options: dict[str, Any]) -> bytes:
    tf2onnx = need("tf2onnx", "exporter='tf2onnx'")
    specs = tuple(call.specs.values())

    def serve_positional(*tensors: Any) -> Any:
        return serve(**dict(zip(call.specs, tensors)))
    positional = tf.function(serve_positional, input_signature=specs, autograph=False)
    model, _ = tf2onnx.convert.from_function(positional, input_signature=specs, **options)
    return bytes(model.SerializeToString())


def _in_order(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """A TFLite file with the inputs and outputs of its first subgraph in this order, by the names
    that its signature has for them. Their numbers change places; nothing else does."""
    from tensorflow.lite.python import schema_py_generated as schema

    buffer = bytearray(content)
    model = schema.Model.GetRootAs(buffer, 0)
    if model.SignatureDefsLength() != 1:
        return content
    signature, graph = model.SignatureDefs(0), model.Subgraphs(0)
    for names, count, port, places in (
            (inputs, signature.InputsLength(), signature.Inputs, graph.InputsAsNumpy()),
            (outputs, signature.OutputsLength(), signature.Outputs, graph.OutputsAsNumpy())):
        tensors = {port(i).Name().decode(): port(i).TensorIndex() for i in range(count)}
        wanted = [tensors[name] for name in names if name in tensors]
        if count and sorted(wanted) == sorted(places):
            places[:] = wanted
    return bytes(buffer)
