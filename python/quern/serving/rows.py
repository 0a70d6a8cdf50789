"""Whether requests may share a run: whether rows of a model's inputs are independent.

Nothing in a file says so. The inputs must have a first dimension in common that is open, and a run on
several rows must give what runs on each of them give.
"""
from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

import numpy as np

from ..errors import QuernError

# Of random rows: as much as the sums of another kernel may differ, far less than other rows do.
_TOLERANCE = 1e-2


def random_inputs(ports: Sequence[Any], shapes: Sequence[Sequence[int]], seed: int = 0) -> list[Any]:
    """Rows that differ. Integers are 0 and 1, which most models take for an id or a mask."""
    random = np.random.default_rng(seed)
    arrays = []
    for port, shape in zip(ports, shapes):
        if port.dtype.kind in "OUS":
            arrays.append(random.integers(0, 2, shape).astype(str).astype(object))
        elif port.dtype.kind in "iub":
            arrays.append(random.integers(0, 2, shape).astype(port.dtype))
        else:
            arrays.append(random.normal(size=shape).astype(port.dtype))
    return arrays


def row_shapes(ports: Sequence[Any], dims: Mapping[str, int]) -> Optional[list[tuple[int, ...]]]:
    """The shapes of a row of each input, without the first dimension; None when they are not known."""
    shapes = []
    for port in ports:
        sizes = [dims.get(size) if isinstance(size, str) else size for size in port.shape[1:]]
        known = tuple(size for size in sizes if isinstance(size, int))
        if len(known) < len(sizes):
            return None
        shapes.append(known)
    return shapes


def open_rows(ports: Sequence[Any]) -> Optional[str]:
    """Why requests cannot share a run whatever the model computes; None when they may."""
    if not ports:
        return "it has no inputs"
    for port in ports:
        if port.kind != "tensor" or port.shape is None or not port.shape:
            return f"input '{port.name}' has no rows"
        if isinstance(port.shape[0], int):
            return f"input '{port.name}' has {port.shape[0]} rows, not any number"
        if port.shape[0] != ports[0].shape[0]:
            return f"inputs '{ports[0].name}' and '{port.name}' have different numbers of rows"
    return None


def dependence(compiled: Any, shapes: Sequence[tuple[int, ...]], sizes: Sequence[int]
               ) -> Optional[str]:
    """What shows that rows depend on each other, or keeps it from being seen; None when they are
    independent. `shapes`: of a row of each input; `sizes`: the numbers of rows that runs may have."""
    largest = max((size for size in sizes if size <= 8), default=min(sizes))
    smallest = min(sizes)
    if largest == smallest:
        return None if smallest == 1 else _mixed(compiled, shapes, smallest)
    feed = random_inputs(compiled.inputs, [(largest, *shape) for shape in shapes])
    try:
        together = compiled.run(None, feed)
        reason = _counted(compiled, together, largest)
        for row in range(0, largest - smallest + 1, smallest):
            if reason:
                break
            alone = compiled.run(None, [array[row:row + smallest] for array in feed])
            reason = _counted(compiled, alone, smallest) or _differs(
                compiled, [output[row:row + smallest] for output in together], alone)
        return reason
    except QuernError as error:
        return f"it could not be tried on random rows: {error}"


def _mixed(compiled: Any, shapes: Sequence[tuple[int, ...]], size: int) -> Optional[str]:
    """With one size alone: the first row's outputs, whatever the others are."""
    feed = random_inputs(compiled.inputs, [(size, *shape) for shape in shapes])
    other = random_inputs(compiled.inputs, [(size, *shape) for shape in shapes], seed=1)
    for array, given in zip(other, feed):
        array[:1] = given[:1]
    try:
        first, second = compiled.run(None, feed), compiled.run(None, other)
        return _counted(compiled, first, size) or _differs(
            compiled, [output[:1] for output in first], [output[:1] for output in second])
    except QuernError as error:
        return f"it could not be tried on random rows: {error}"


def _counted(compiled: Any, outputs: Sequence[Any], rows: int) -> Optional[str]:
    for port, output in zip(compiled.outputs, outputs):
        if not isinstance(output, np.ndarray) or output.ndim == 0 or len(output) != rows:
            return f"output '{port.name}' has no row for each of the inputs'"
    return None


def _differs(compiled: Any, found: Sequence[Any], wanted: Sequence[Any]) -> Optional[str]:
    for port, a, b in zip(compiled.outputs, found, wanted):
        if a.shape != b.shape:
            same = False
        elif a.dtype.kind in "OUSb":
            same = bool(np.all(a == b))
        elif a.dtype.kind in "iu" and a.dtype.itemsize > 1:
            same = bool(np.array_equal(a, b))
        else:
            a, b = (x.astype(np.float64) for x in (a, b))
            scale = np.nanmax(np.abs(b), initial=0)
            # Small integers are quantized numbers: the last step may differ.
            bound = 1 if port.dtype.kind in "iu" else _TOLERANCE * scale
            same = bool(np.array_equal(np.isnan(a), np.isnan(b)) and
                        np.nanmax(np.abs(a - b), initial=0) <= bound)
        if not same:
            return f"rows of output '{port.name}' depend on other rows"
    return None
