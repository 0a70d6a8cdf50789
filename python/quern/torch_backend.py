"""torch.compile(module, backend="quern"): registered by entry point.

A piece of the graph goes through torch's own ONNX exporter for each set of input shapes it is
called with. What cannot be exported or compiled, and whatever needs gradients, stays with
torch; why, the logger "quern" says.
"""
import logging
import threading

import torch

from .compiling import compile as compile_model

log = logging.getLogger("quern")
# Sets of shapes that one piece is compiled for; more of them are left to torch.
_MOST_SHAPES = 16


class _Piece(torch.nn.Module):
    """A piece of a graph that holds its parameters, so that they are constants."""

    def __init__(self, graph, given, is_constant):
        super().__init__()
        self.graph = graph
        self._is_constant = is_constant
        self._constants = [value.detach() if constant else None
                           for value, constant in zip(given, is_constant)]

    def forward(self, *inputs):
        rest = iter(inputs)
        return self.graph(*(value if constant else next(rest) for value, constant
                            in zip(self._constants, self._is_constant)))


def _is_parameter(value):
    return isinstance(value, torch.nn.Parameter) or (
        isinstance(value, torch.Tensor) and getattr(value, "_dynamo_static_input_type", None))


def _to_torch(array):
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("uint16")).view(torch.bfloat16)
    return torch.from_numpy(array)


def _compile_piece(graph, given, is_constant):
    """A function on the tensors that are no constants."""
    inputs = [value for value, constant in zip(given, is_constant) if not constant]
    compiled = compile_model(_Piece(graph, given, is_constant).eval(), tuple(inputs))
    if len(compiled.inputs) != len(inputs):
        raise ValueError("the exporter has dropped inputs")

    def call(*tensors):
        outputs = compiled.run(None, [tensor.detach() for tensor in tensors])
        return tuple(_to_torch(output) for output in outputs)

    wanted = graph(*given)
    wanted = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    found = call(*inputs)
    if len(wanted) != len(found) or any(
            not isinstance(w, torch.Tensor) or w.shape != f.shape or w.dtype != f.dtype
            for w, f in zip(wanted, found)):
        raise ValueError("the exported piece gives other outputs")
    return call


def quern(graph, example_inputs):
    """The backend; see the module."""
    compiled, lock = {}, threading.Lock()

    def run(*given):
        tensors = [value for value in given if isinstance(value, torch.Tensor)]
        needs_torch = (len(tensors) != len(given) or not tensors
                       or any(value.device.type != "cpu" for value in tensors)
                       or (torch.is_grad_enabled()
                           and any(value.requires_grad for value in tensors)))
        if needs_torch:
            return graph(*given)
        is_constant = [bool(_is_parameter(value)) for value in given]
        # A parameter that has been changed in place, or replaced, is another constant.
        key = tuple((value.data_ptr(), value._version, value.shape) if constant
                    else (value.shape, value.dtype)
                    for value, constant in zip(given, is_constant))
        if key not in compiled:
            with lock:
                if key not in compiled:
                    compiled[key] = _try_to_compile(graph, given, is_constant, len(compiled))
        call = compiled[key]
        if call is None:
            return graph(*given)
        return call(*(v for v, constant in zip(given, is_constant) if not constant))

    return run


def _try_to_compile(graph, given, is_constant, number):
    """None where torch goes on by itself."""
    if number >= _MOST_SHAPES:
        log.warning("a piece is called with more than %d sets of shapes; torch runs the rest",
                    _MOST_SHAPES)
        return None
    try:
        return _compile_piece(graph, given, is_constant)
    except Exception as error:  # whatever the exporter raises
        reason = str(error).strip().splitlines()
        log.info("left to torch: %s: %s", type(error).__name__, reason[0] if reason else "")
        return None
