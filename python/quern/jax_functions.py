"""From functions of JAX to ONNX, by jax2onnx, or else by jax2tf and TensorFlow's converter."""
from __future__ import annotations

import importlib.util
import logging
from typing import Any, Mapping

from .converters import errors_of
from .errors import UnsupportedError, UsageError
from .frameworks import Exported

log = logging.getLogger("quern")


def arguments_of(example_inputs: Any) -> tuple[Any, ...]:
    return tuple(example_inputs) if isinstance(example_inputs, (tuple, list)) else (example_inputs,)


def _shapes_of(example_inputs: Any) -> list[Any]:
    """jax.ShapeDtypeStructs, whose sizes may be symbolic (jax.export.symbolic_shape)."""
    import jax

    def shape_of(value: Any) -> Any:
        if not hasattr(value, "shape"):
            import numpy as np
            value = np.asarray(value)
        return jax.ShapeDtypeStruct(value.shape, jax.dtypes.canonicalize_dtype(value.dtype))
    arguments = arguments_of(example_inputs)
    if any(isinstance(value, (Mapping, list, tuple)) for value in arguments):
        raise UsageError("a function of JAX is compiled with arrays as its arguments; bind "
                         "parameters to it before: functools.partial(apply, parameters)")
    return [shape_of(value) for value in arguments]


def from_jax(function: Any, example_inputs: Any, options: dict[str, Any]) -> Exported:
    name = getattr(function, "__name__", type(function).__name__)
    if example_inputs is None:
        raise UsageError(f"the function {name} of JAX needs example inputs, arrays or "
                         "jax.ShapeDtypeStructs: quern.compile(function, (array,))")
    import jax

    shapes = _shapes_of(example_inputs)
    outputs = jax.eval_shape(function, *shapes)
    options = dict(options)
    exporter = options.pop("exporter", None)
    if exporter not in (None, "jax2onnx", "jax2tf"):
        raise UsageError(f"there is no exporter '{exporter}' for JAX; there are jax2onnx and jax2tf")
    if exporter is None:
        exporter = "jax2onnx" if importlib.util.find_spec("jax2onnx") else "jax2tf"
    log.info("converting %s with %s", name, exporter)
    if exporter == "jax2onnx":
        content = _by_jax2onnx(function, name, shapes, options)
    else:
        content = _by_jax2tf(function, name, shapes, options)
    names = list(outputs) if _is_flat_dict(outputs) else []
    if exporter == "jax2onnx" and names:
        content = _renamed_outputs(content, sorted(names))
    return Exported(content, bool(names))


def _is_flat_dict(outputs: Any) -> bool:
    return isinstance(outputs, dict) and all(hasattr(value, "shape") for value in outputs.values())


def _by_jax2onnx(function: Any, name: str, shapes: list[Any], options: dict[str, Any]) -> bytes:
    try:
        from jax2onnx import to_onnx
    except ImportError as error:
        raise UnsupportedError(f"the function {name} of JAX needs the package jax2onnx ({error}): "
                               "pip install jax2onnx") from error
    with errors_of("jax2onnx", name):
        model = to_onnx(function, inputs=[_for_jax2onnx(shape) for shape in shapes], **options)
    return bytes(model.SerializeToString())


def _for_jax2onnx(shape: Any) -> Any:
    """It has names for the sizes that stay open."""
    import jax

    sizes = tuple(size if isinstance(size, int) else str(size) for size in shape.shape)
    return jax.ShapeDtypeStruct(shape.shape, shape.dtype) if all(
        isinstance(size, int) for size in sizes) else sizes


def _by_jax2tf(function: Any, name: str, shapes: list[Any], options: dict[str, Any]) -> bytes:
    try:
        import tensorflow as tf
        from jax.experimental import jax2tf
    except ImportError as error:
        raise UnsupportedError(f"the function {name} of JAX needs the package jax2onnx, or "
                               f"tensorflow ({error}): pip install jax2onnx") from error
    from .tensorflow_models import from_function

    polymorphic = [f"({', '.join(map(str, shape.shape))})" for shape in shapes]
    specs = [tf.TensorSpec([size if isinstance(size, int) else None for size in shape.shape],
                           shape.dtype) for shape in shapes]
    with errors_of("jax2tf", name):
        converted = tf.function(jax2tf.convert(function, polymorphic_shapes=polymorphic,
                                               native_serialization=False),
                                autograph=False, input_signature=specs)
    return from_function(converted, None, options).content


def _renamed_outputs(content: bytes, names: list[str]) -> bytes:
    """JAX orders the entries of a dict by their keys."""
    import onnx

    from .converters import name_outputs
    model = onnx.load_from_string(content)
    name_outputs(model.graph, names)
    return bytes(model.SerializeToString())
