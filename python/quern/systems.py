"""Systems that run the models that Quern compiles: Keras, TensorFlow, PyTorch, JAX, scikit-learn, LiteRT and
ONNX Runtime, each as a function from nothing to the outputs in Quern's order.
"""
from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

import numpy as np

from . import frameworks, sources
from ._quern import CompiledModel
from .errors import QuernError, UsageError

Run = Callable[[], Sequence[Any]]


@dataclasses.dataclass
class System:
    """`threads`: None where the system cannot be told. `tell`: a context in which it has them."""

    name: str
    run: Run
    threads: Optional[int] = None
    tell: Optional[Callable[[], Any]] = None

    def telling_threads(self) -> Any:
        return self.tell() if self.tell else contextlib.nullcontext()


def systems_of(original: Any, compiled: CompiledModel, feed: Sequence[Any], example_inputs: Any,
               options: dict[str, Any]) -> list[System]:
    """The framework that `original` is of, first, then what else is installed and runs it."""
    opened = frameworks.opened(original)
    framework = None if sources.is_estimator(original) else frameworks.framework_of(original)
    names = [port.name for port in compiled.outputs]
    if sources.is_estimator(original):
        own = _of_estimator(original, compiled, feed)
    elif framework == "Keras":
        own = _of_keras(opened, feed, names)
    elif framework in ("TensorFlow", "SavedModel"):
        own = _of_function(opened, feed, names, example_inputs)
    elif framework in ("torch", "torch.export"):
        own = _of_torch(opened, feed, names, compiled.threads)
    elif framework == "JAX":
        own = _of_jax(opened, feed, names)
    else:
        own = []
    try:
        content = sources.bytes_of(original, example_inputs, **options)
    except QuernError:
        if not own:
            raise
        return own
    others = _of_content(content, compiled, feed)
    if not own and not others:
        raise UsageError("there is nothing to compare with: pip install "
                         + ("ai-edge-litert" if _is_tflite(content) else "onnxruntime"))
    return own + others


def _in_order(outputs: Any, names: Sequence[str]) -> list[Any]:
    """A flat list of arrays; of a dict by the names that Quern has for its outputs."""
    if isinstance(outputs, Mapping) and set(outputs) == set(names):
        outputs = [outputs[name] for name in names]
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if not isinstance(outputs, (list, tuple)):
        outputs = [outputs]
    flat: list[Any] = []
    for value in outputs:
        flat += (_in_order(value, names) if isinstance(value, (list, tuple, Mapping))
                 else [_array_of(value)])
    return flat


def _array_of(value: Any) -> np.ndarray[Any, Any]:
    if hasattr(value, "detach"):
        value = value.detach()
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


#===-----------------------------------------------------------------------===#
# Keras, TensorFlow
#===-----------------------------------------------------------------------===#


def _of_keras(model: Any, feed: Sequence[Any], names: Sequence[str]) -> list[System]:
    from .tensorflow_models import backend_of, packed, struct_of

    struct = struct_of(model)
    if struct is None:
        struct = list(feed)
    if isinstance(struct, list) and len(struct) == 1:
        struct = struct[0]
    given = packed(struct, iter(feed))
    systems = [
        System("Keras call", lambda: _in_order(model(given, training=False), names)),
        System("Keras predict", lambda: _in_order(
            model.predict(given, batch_size=max(1, len(feed[0])), verbose=0), names))]
    if backend_of(model) == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(lambda values: model(values, training=False), autograph=False)
        tensors = tf.nest.map_structure(tf.constant, given)
        systems.append(System("tf.function", lambda: _in_order(compiled(tensors), names)))
    return systems


def _of_function(function: Any, feed: Sequence[Any], names: Sequence[str],
                 example_inputs: Any) -> list[System]:
    import tensorflow as tf

    from .tensorflow_models import call_of_function

    call = call_of_function(function, example_inputs)
    tensors = [tf.constant(value) for value in feed]
    systems = [System("tf.function", lambda: _in_order(
        dict(call.named(call.call(tensors))), names))]
    python = getattr(function, "python_function", None)
    if python is not None:
        systems.append(System("TensorFlow, eager", lambda: _in_order(python(*tensors), names)))
    return systems


#===-----------------------------------------------------------------------===#
# torch, JAX, scikit-learn
#===-----------------------------------------------------------------------===#


def _of_torch(model: Any, feed: Sequence[Any], names: Sequence[str], threads: int) -> list[System]:
    import torch

    module = model if isinstance(model, torch.nn.Module) else model.module()
    is_program = module is not model

    @contextlib.contextmanager
    def told() -> Iterator[None]:
        """In eval mode, as the module was exported, without gradients, on the same threads."""
        before = torch.get_num_threads()
        trained = [] if is_program else [part for part in module.modules() if part.training]
        torch.set_num_threads(threads)
        for part in trained:
            part.training = False
        try:
            with torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(before)
            for part in trained:
                part.training = True

    tensors = [torch.from_numpy(np.array(value)) for value in feed]
    compiled = torch.compile(module)
    return [System("torch", lambda: _in_order(module(*tensors), names), threads, told),
            System("torch.compile", lambda: _in_order(compiled(*tensors), names), threads, told)]


def _of_jax(function: Any, feed: Sequence[Any], names: Sequence[str]) -> list[System]:
    import jax

    arrays = [jax.numpy.asarray(value) for value in feed]
    compiled = jax.jit(function)
    plain = getattr(function, "__wrapped__", None) if hasattr(function, "lower") else function

    def run(called: Any) -> Run:
        return lambda: _in_order(jax.block_until_ready(called(*arrays)), names)
    systems = [System("jax.jit", run(compiled))]
    return systems + ([System("jax, eager", run(plain))] if plain is not None else [])


def _of_estimator(estimator: Any, compiled: CompiledModel, feed: Sequence[Any]) -> list[System]:
    """Labels, or numbers, and the probabilities of classifiers; those with one input."""
    if len(feed) != 1 or not hasattr(estimator, "predict"):
        return []
    (x,) = feed
    calls = [estimator.predict]
    if len(compiled.outputs) == 2 and hasattr(estimator, "predict_proba"):
        calls.append(estimator.predict_proba)
    if len(calls) != len(compiled.outputs):
        return []

    def shaped(result: Any, port: Any) -> Any:
        result = np.asarray(result)
        if result.ndim == 1 and port.shape is not None and len(port.shape) == 2:
            result = result.reshape(-1, 1)
        return result.astype(port.dtype, copy=False)
    return [System(type(estimator).__module__.partition(".")[0] + " predict",
                   lambda: [shaped(call(x), port) for call, port in zip(calls, compiled.outputs)])]


#===-----------------------------------------------------------------------===#
# Files
#===-----------------------------------------------------------------------===#


def _is_tflite(content: bytes) -> bool:
    return content[4:8] == b"TFL3"


def _of_content(content: bytes, compiled: CompiledModel, feed: Sequence[Any]) -> list[System]:
    """What else runs the file that the model was exported to, where it is installed."""
    if _is_tflite(content):
        return [_of_litert(content, compiled, feed)] if importlib.util.find_spec("ai_edge_litert") else []
    if importlib.util.find_spec("onnxruntime"):
        return [_of_onnxruntime(content, compiled, feed)]
    return []


def _of_litert(content: bytes, compiled: CompiledModel, feed: Sequence[Any]) -> System:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=compiled.threads)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for detail, value in zip(inputs, feed):
        interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()

    def run() -> list[Any]:
        for detail, value in zip(inputs, feed):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in outputs]
    return System("LiteRT", run, compiled.threads)


def _of_onnxruntime(content: bytes, compiled: CompiledModel, feed: Sequence[Any]) -> System:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = compiled.threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    named = {port.name: value for port, value in zip(session.get_inputs(), feed)}
    return System("ONNX Runtime", lambda: session.run(None, named), compiled.threads)
