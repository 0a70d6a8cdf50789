"""torch.compile(module, backend="quern"): registered by entry point.

A piece of the graph goes through torch's own ONNX exporter: for the shapes that it is called with
first, and with the sizes left open that torch knows, or calls show, to vary. Before a compiled
piece is used it is compared with torch on the call at hand. What cannot be exported, compiled or
compared, and whatever needs gradients, stays with torch; why, the logger "quern" says at level
INFO. When nothing of a module runs in Quern, one warning says so, with the reason.
torch.compile(..., options={"precision": "bf16"}) is the precision of quern.compile; "max_error",
"weights" and "winograd" are its others. With precision "auto" errors are measured on the call at hand.
"""
from __future__ import annotations

import logging
import re
import threading
from typing import Any, ClassVar, Mapping, Optional, Sequence

import torch

from .compiling import compile as compile_model
from .converters import plain, root_cause
from .errors import UsageError

log = logging.getLogger("quern")
# How often one piece is exported; what comes then is left to torch.
_MOST_EXPORTS = 16
# Calls whose variant is known by their shapes.
_MOST_KNOWN = 4096
# Of the largest magnitude of an output, by the type of its elements.
_TOLERANCES = {torch.float16: 2e-2, torch.bfloat16: 5e-2}
_TOLERANCE = 1e-3
# Of results that were asked to be computed in less than they are.
_LOWERED_TOLERANCE = 1e-2


# A dimension: (argument, dimension).
_Place = tuple[int, int]


class NotForQuern(Exception):
    """Why a piece stays with torch."""


class _Module(torch.nn.Module):
    """A piece with its constants inside, on the tensors that vary from call to call."""

    def __init__(self, graph: torch.fx.GraphModule, given: Sequence[Any], inputs: Sequence[int],
                 sizes: Mapping[int, _Place]) -> None:
        super().__init__()
        self.graph = graph
        self._inputs, self._sizes = inputs, sizes
        self._given: list[Any] = [None if i in inputs or i in sizes else
                                  value.detach() if isinstance(value, torch.Tensor) else value
                                  for i, value in enumerate(given)]

    def forward(self, *tensors: torch.Tensor) -> Any:
        given = list(self._given)
        for i, tensor in zip(self._inputs, tensors):
            given[i] = tensor
        for i, (of, dim) in self._sizes.items():
            given[i] = given[of].shape[dim]
        return self.graph(*given)


def _is_constant(value: Any) -> bool:
    return not isinstance(value, torch.Tensor) or isinstance(value, torch.nn.Parameter) or bool(
        getattr(value, "_dynamo_static_input_type", None))


def _find_sizes(graph: torch.fx.GraphModule) -> tuple[set[_Place], dict[int, _Place]]:
    """The dimensions of arguments that torch knows to vary, as (argument, dimension); and the
    arguments that are such a size, with the first place where it is one."""
    values = [node.meta.get("example_value") for node in graph.graph.nodes
              if node.op == "placeholder"]
    varying = {(i, dim): str(size) for i, value in enumerate(values)
               if isinstance(value, torch.Tensor) for dim, size in enumerate(value.shape)
               if isinstance(size, torch.SymInt)}
    places = {size: place for place, size in reversed(varying.items())}
    return set(varying), {i: places[str(value)] for i, value in enumerate(values)
                          if isinstance(value, torch.SymInt) and str(value) in places}


def _to_torch(array: Any) -> torch.Tensor:
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("uint16")).view(torch.bfloat16)
    return torch.from_numpy(array)


def _check_output(wanted: Any, found: torch.Tensor, least: float) -> None:
    if not isinstance(wanted, torch.Tensor) or wanted.shape != found.shape or (
            wanted.dtype != found.dtype):
        raise NotForQuern("the exported piece gives other outputs")
    if wanted.is_floating_point() or wanted.is_complex():
        relative = max(_TOLERANCES.get(wanted.dtype, _TOLERANCE), least)
        wide = torch.complex128 if wanted.is_complex() else torch.float64
        wanted, found = wanted.detach().to(wide), found.to(wide)
        largest = wanted.nan_to_num(0, 0, 0).abs().max().item() if wanted.numel() else 0
        bound = relative * max(1, largest)
        same = torch.allclose(found, wanted, rtol=0, atol=bound, equal_nan=True)
    else:
        same = torch.equal(wanted, found)
    if not same:
        raise NotForQuern("the exported piece gives other values: random or not exported right")


def _stride_order(tensor: torch.Tensor) -> Optional[list[int]]:
    """The dimensions from the outermost to the innermost in memory; None when that is their
    own order."""
    strides = tensor.stride()
    order = sorted(range(tensor.dim()), key=lambda dim: (-strides[dim], dim))
    return None if tensor.is_contiguous() or order == sorted(order) else order


def _reordered(tensor: torch.Tensor, order: Optional[Sequence[int]]) -> torch.Tensor:
    if order is None:
        return tensor
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return tensor.permute(*order).contiguous().permute(*inverse)


class _Variant:
    """A piece compiled for shapes, of which None is any size."""

    def __init__(self, module: torch.nn.Module, tensors: Sequence[torch.Tensor],
                 open_dims: Sequence[set[int]], options: Mapping[str, Any]) -> None:
        specs = tuple({dim: torch.export.Dim.AUTO for dim in dims} for dims in open_dims)
        sizes: dict[str, Any] = {"dynamic_shapes": (specs,)} if any(open_dims) else {}
        if options.get("precision") == "auto":
            options = {**options, "samples": [tensor.detach() for tensor in tensors]}
        self._compiled = compile_model(module.eval(), tuple(tensors), **sizes, **options)
        lowered = (options.get("precision", "f32"), options.get("weights", "given"))
        self._tolerance = 0 if lowered == ("f32", "given") else (
            options.get("max_error") or _LOWERED_TOLERANCE)
        ports = self._compiled.inputs
        if len(ports) != len(tensors):
            raise NotForQuern("the exporter has dropped inputs")
        self.shapes = [tuple(size if isinstance(size, int) else None for size in port.shape or ())
                       for port in ports]
        self._orders: Optional[list[Optional[list[int]]]] = None

    def fits(self, tensors: Sequence[torch.Tensor]) -> bool:
        """Sizes of 0 and 1 have rules of their own: no open size stands for them."""
        return all(len(shape) == tensor.dim() and
                   all(size == wanted if wanted is not None else size > 1
                       for size, wanted in zip(tensor.shape, shape))
                   for tensor, shape in zip(tensors, self.shapes))

    def check(self, tensors: Sequence[torch.Tensor], wanted: Sequence[Any]) -> None:
        """NotForQuern unless it gives what torch has given."""
        found = self(*tensors)
        if len(wanted) != len(found):
            raise NotForQuern("the exported piece gives other outputs")
        for one, other in zip(wanted, found):
            _check_output(one, other, self._tolerance)
        self._orders = [_stride_order(tensor) for tensor in wanted]

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        arrays = self._compiled.run(None, [tensor.detach() for tensor in tensors])
        outputs = tuple(map(_to_torch, arrays))
        if self._orders is None:
            return outputs
        return tuple(map(_reordered, outputs, self._orders))


def _versions(given: Sequence[Any]) -> list[Optional[int]]:
    return [value._version if isinstance(value, torch.Tensor) else None for value in given]


def _refuse_aliases(given: Sequence[Any], outputs: Sequence[Any]) -> None:
    memory = {value.untyped_storage().data_ptr() for value in given
              if isinstance(value, torch.Tensor)}
    if any(isinstance(output, torch.Tensor) and output.untyped_storage().data_ptr() in memory
           for output in outputs):
        raise NotForQuern("an output is the memory of an input")


class _Owner:
    """What was given to torch.compile: one warning, when nothing of it runs in Quern."""

    _all: ClassVar[dict[Any, _Owner]] = {}

    def __init__(self, name: str) -> None:
        self._name = name
        self._runs = self._warned = False

    @classmethod
    def of(cls, name: str, key: Any) -> _Owner:
        if len(cls._all) >= _MOST_KNOWN:
            cls._all.clear()
        return cls._all.setdefault(key, cls(name))

    def note_run(self) -> None:
        self._runs = True

    def note_refusal(self, reason: str) -> None:
        if not self._runs and not self._warned:
            self._warned = True
            log.warning("nothing of %s runs in Quern: %s", self._name, reason)


class _Origin:
    """Where a graph comes from. torch does not tell whose it is, and takes the graph of one module
    for others of its class: of graphs that are all of a module or function, those with other
    parameters are others'; of parts of one, those of one class or function are one's."""

    _PLACE = re.compile(r'File "(.+?)", line (\d+), in (\S+)')
    _REST = re.compile(r"torch_dynamo_resume_in_(.+)_at_\d+")

    def __init__(self, graph: torch.fx.GraphModule) -> None:
        nodes = [node.meta for node in graph.graph.nodes]
        traces = [self._PLACE.search(meta.get("stack_trace") or "") for meta in nodes]
        file, line, function = next((trace.groups() for trace in traces if trace), (None,) * 3)
        rest = self._REST.fullmatch(function or "")
        stacks = [list((meta.get("nn_module_stack") or {}).values()) for meta in nodes]
        kind = next((stack[0][1] for stack in stacks if stack), None)
        self.is_whole = not rest and not getattr(
            getattr(graph, "compile_subgraph_reason", None), "graph_break", True)
        self.name = getattr(kind, "__name__", kind) or (
            f"the function {rest[1] if rest else function or ''}".rstrip())
        self._place = file, line if self.is_whole else None

    def owner(self, given: Sequence[Any]) -> _Owner:
        parameter = next((value for value in given if isinstance(value, torch.nn.Parameter)), None)
        whose = parameter.data_ptr() if self.is_whole and parameter is not None else None
        return _Owner.of(self.name, (self.name, *self._place, whose))


class _Piece:
    """A piece of a graph: a callable with what has been compiled of it so far."""

    def __init__(self, graph: torch.fx.GraphModule, options: Mapping[str, Any]) -> None:
        self.graph = graph
        self._options = options
        self._origin = _Origin(graph)
        self._reason: Optional[str] = None
        self._varying, self._sizes = _find_sizes(graph)
        self._lock = threading.Lock()
        self._known: dict[Any, Optional[_Variant]] = {}
        # By the constants: the variants, and the shapes that calls had.
        self._variants: dict[Any, tuple[list[_Variant], list[Any]]] = {}
        self._exports = 0
        self._stays = False

    def __call__(self, *given: Any) -> Any:
        reason = self._reason if self._stays else self._needs_torch(given)
        if reason:
            self._refused(given, reason)
            return self.graph(*given)
        constant = [i in self._sizes or _is_constant(value) for i, value in enumerate(given)]
        inputs = [i for i, is_constant in enumerate(constant) if not is_constant]
        tensors = [given[i] for i in inputs]
        # A parameter that has been changed in place, or replaced, is another constant.
        family = tuple((value.data_ptr(), value._version, value.shape)
                       if isinstance(value, torch.Tensor) else value
                       for i, value in enumerate(given) if constant[i] and i not in self._sizes
                       ) + tuple(tensor.dtype for tensor in tensors)
        key = family, tuple(tensor.shape for tensor in tensors)
        variant = self._known.get(key, self)
        if variant is None:
            self._refused(given, str(self._reason))
            return self.graph(*given)
        if variant is not self:
            return variant(*tensors)
        with self._lock:
            return self._first_call(given, inputs, tensors, key)

    @staticmethod
    def _needs_torch(given: Sequence[Any]) -> Optional[str]:
        """Why a call is none for Quern; None when it may be one."""
        tensors = [value for value in given if isinstance(value, torch.Tensor)]
        if not tensors:
            return "it is given no tensors"
        for value in tensors:
            if value.device.type != "cpu":
                return f"it is given tensors on the device '{value.device}'"
            if value.layout != torch.strided:
                return f"it is given tensors with the layout {value.layout}"
        if torch.is_grad_enabled() and any(value.requires_grad for value in tensors):
            return ("its parameters or inputs need gradients; call it under torch.no_grad() or "
                    "torch.inference_mode()")
        return None

    def _refused(self, given: Sequence[Any], reason: str) -> None:
        """Says why the piece stays with torch, once. That nothing of its owner runs in Quern is
        known when the piece is all of it, or when it is called again."""
        is_new = reason != self._reason
        if is_new:
            log.info("left to torch: %s", reason)
        if self._origin.is_whole or not is_new:
            self._origin.owner(given).note_refusal(reason)
        self._reason = reason

    def _first_call(self, given: Sequence[Any], inputs: Sequence[int],
                    tensors: Sequence[torch.Tensor], key: Any) -> Any:
        """Torch's result; the calls that follow with this key have Quern's, if it is the same."""
        before = _versions(given)
        result = self.graph(*given)
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        if _versions(given) != before:
            self._stays = True
            self._refused(given, "it changes its inputs")
            return result
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        try:
            _refuse_aliases(given, outputs)
            self._known[key] = self._variant_for(given, inputs, tensors, key, outputs)
            self._origin.owner(given).note_run()
        except Exception as error:  # whatever the exporter raises
            log.debug("left to torch", exc_info=True)
            self._known[key] = None
            self._refused(given, plain(error) if isinstance(error, NotForQuern) else
                          root_cause(error))
        return result

    def _variant_for(self, given: Sequence[Any], inputs: Sequence[int],
                     tensors: Sequence[torch.Tensor], key: Any, outputs: Sequence[Any]) -> _Variant:
        """One that fits, with the sizes open that have been seen to vary, or a new one."""
        variants, seen = self._variants.setdefault(key[0], ([], []))
        for variant in variants:
            if variant.fits(tensors):
                variant.check(tensors, outputs)
                return variant
        if self._exports >= _MOST_EXPORTS:
            raise NotForQuern(f"it was exported {_MOST_EXPORTS} times")
        earlier = [shapes for shapes in seen
                   if all(len(a) == len(b) for a, b in zip(shapes, key[1]))]
        seen.append(key[1])
        open_dims = [{dim for dim, size in enumerate(shape) if size > 1
                      and ((inputs[i], dim) in self._varying
                           or any(shapes[i][dim] != size for shapes in earlier))}
                     for i, shape in enumerate(key[1])]
        module = _Module(self.graph, given, inputs, self._sizes)
        variant = self._export(module, tensors, open_dims, outputs)
        variants.append(variant)
        return variant

    def _export(self, module: torch.nn.Module, tensors: Sequence[torch.Tensor],
                open_dims: Sequence[set[int]], outputs: Sequence[Any]) -> _Variant:
        self._exports += 1
        try:
            variant = _Variant(module, tensors, open_dims, self._options)
            variant.check(tensors, outputs)
            return variant
        except Exception as error:
            if not any(open_dims):
                raise
            log.info("exported again with fixed sizes: %s", root_cause(error))
        return self._export(module, tensors, [set()] * len(tensors), outputs)


def quern(graph: torch.fx.GraphModule, example_inputs: Sequence[Any],
          options: Optional[Mapping[str, Any]] = None) -> _Piece:
    """The backend; see the module."""
    unknown = set(options or {}) - {"precision", "max_error", "weights", "winograd"}
    if unknown:
        raise UsageError(f"the backend quern has no option {', '.join(sorted(unknown))}; "
                         "there are precision, max_error, weights and winograd")
    return _Piece(graph, dict(options or {}))
