"""compare, benchmark and inspect, with results that notebooks show as tables."""
import dataclasses
import html
import os
import statistics
import time

import numpy as np

from . import sources
from ._quern import inspect_file
from .errors import AccuracyError, UsageError


def _table(head, rows):
    """HTML."""
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"
    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"


def _text(head, rows):
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows)


def _shape(port):
    return "any" if port.shape is None else "x".join(str(d or "?") for d in port.shape) or "scalar"


def _port_rows(ports, kind):
    return [(kind, port.name, port.type, _shape(port)) for port in ports]


def model_html(model):
    """The inputs and outputs of a model."""
    rows = _port_rows(model.inputs, "input") + _port_rows(model.outputs, "output")
    return _table(("", "name", "type", "shape"), rows)


class _Shown:
    """A result that is a table: `_head` and `_rows()`."""

    def __repr__(self):
        return f"{self._title()}\n{_text(self._head, self._rows())}"

    def _repr_html_(self):
        return f"<p>{html.escape(self._title())}</p>{_table(self._head, self._rows())}"


@dataclasses.dataclass(repr=False)
class Artifact(_Shown):
    """What quern.aot has written."""

    path: str
    header: str
    bytes: int
    seconds: float
    _head = ("file", "bytes", "seconds")

    def _title(self):
        return f"compiled ahead of time{', header ' + self.header if self.header else ''}"

    def _rows(self):
        return [(self.path, self.bytes, f"{self.seconds:.2f}")]


@dataclasses.dataclass(repr=False)
class ModelFacts(_Shown):
    """What a model file says, whether or not its ops are supported."""

    producer: str
    ir_version: int
    opsets: dict
    inputs: tuple
    outputs: tuple
    ops: dict
    nodes: int
    initializers: int
    parameters: int
    _head = ("", "name", "type", "shape")

    def _title(self):
        opsets = ", ".join(f"{name} {version}" for name, version in self.opsets.items())
        ops = ", ".join(f"{name} {count}" for name, count in self.ops.items())
        return (f"{self.producer or 'unknown producer'}, opset {opsets}, {self.nodes} nodes "
                f"({ops}), {self.parameters} parameters")

    def _rows(self):
        return _port_rows(self.inputs, "input") + _port_rows(self.outputs, "output")


def inspect(path):
    """What a model file says: ports, ops, opsets, parameters."""
    return ModelFacts(**inspect_file(os.fspath(path)))


def random_inputs(model, seed=0):
    """Random arrays for the inputs of a model whose sizes are all known."""
    generator = np.random.default_rng(seed)
    arrays = []
    for port in model.inputs:
        if port.kind != "tensor" or port.shape is None or not all(
                isinstance(d, int) for d in port.shape):
            raise UsageError(f"input '{port.name}' ({port.type} {_shape(port)}) needs a value, or "
                             "sizes by shapes= or dims=")
        if port.element_type == "bool":
            arrays.append(generator.integers(0, 2, port.shape).astype(bool))
        elif port.dtype.kind in "iu":
            arrays.append(generator.integers(0, 2, port.shape).astype(port.dtype))
        elif port.dtype.kind == "O":
            arrays.append(np.full(port.shape, "a", object))
        else:
            arrays.append(generator.uniform(0, 1, port.shape).astype(port.dtype))
    return arrays


def _seconds(call, budget, least=5):
    """The times of calls, for about `budget` seconds."""
    call()
    times, end = [], time.perf_counter() + budget
    while len(times) < least or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times


@dataclasses.dataclass
class OutputDifference:
    """How far an output of the compiled model is from the interpreted one's."""

    name: str
    max_abs: float
    max_rel: float
    mismatches: int
    passed: bool


@dataclasses.dataclass(repr=False)
class Comparison(_Shown):
    """quern.compare's result."""

    outputs: list
    interpreted_seconds: float
    compiled_seconds: float
    _head = ("output", "max abs", "max rel", "")

    @property
    def passed(self):
        return all(output.passed for output in self.outputs)

    @property
    def speedup(self):
        return self.interpreted_seconds / self.compiled_seconds

    def raise_for_difference(self):
        """AccuracyError when an output differs by more than the tolerance."""
        bad = [output.name for output in self.outputs if not output.passed]
        if bad:
            raise AccuracyError(f"outputs differ: {', '.join(bad)}")
        return self

    def _title(self):
        return (f"interpreter {self.interpreted_seconds * 1e3:.3f} ms, native "
                f"{self.compiled_seconds * 1e3:.3f} ms, speed-up {self.speedup:.1f}x")

    def _rows(self):
        return [(o.name, f"{o.max_abs:.2e}", f"{o.max_rel:.2e}", "pass" if o.passed else
                 f"FAIL ({o.mismatches} elements)") for o in self.outputs]


def _difference(name, wanted, found, rtol, atol):
    if not isinstance(wanted, np.ndarray) or wanted.dtype.kind not in "fciu":
        same = (np.array_equal(wanted, found) if isinstance(wanted, np.ndarray)
                else str(wanted) == str(found))
        return OutputDifference(name, 0.0 if same else np.inf, 0.0 if same else np.inf,
                                0 if same else 1, same)
    kind = complex if wanted.dtype.kind == "c" else float
    wanted, found = wanted.astype(kind), found.astype(kind)
    if wanted.shape != found.shape:
        return OutputDifference(name, np.inf, np.inf, wanted.size, False)
    close = np.isclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    with np.errstate(all="ignore"):
        distance = np.where((wanted == found) | (np.isnan(wanted) & np.isnan(found)), 0,
                            np.abs(wanted - found))
        relative = np.where(distance == 0, 0, distance / np.abs(wanted))
    return OutputDifference(name, float(distance.max(initial=0)), float(relative.max(initial=0)),
                            int((~close).sum()), bool(close.all()))


def compare(model, inputs=None, *, example_inputs=None, shapes=None, dims=None, rtol=1e-3,
            atol=1e-5, seconds=0.2, threads=0, **export_options):
    """Runs a model interpreted and compiled on the same inputs (random ones by default): for
    each output the largest differences, for each backend its median time."""
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **export_options)
    reference = loaded.compile(backend="interpreter")
    compiled = loaded.compile(threads=threads)
    inputs = random_inputs(loaded) if inputs is None else inputs
    wanted, found = reference.run(None, inputs), compiled.run(None, inputs)
    outputs = [_difference(port.name, w, f, rtol, atol)
               for port, w, f in zip(loaded.outputs, wanted, found)]
    times = [statistics.median(_seconds(lambda run=each.run: run(None, inputs), seconds))
             for each in (reference, compiled)]
    return Comparison(outputs, *times)


@dataclasses.dataclass(repr=False)
class Benchmark(_Shown):
    """quern.benchmark's result; times in seconds."""

    load: float
    compile: float
    first_run: float
    times: list
    threads: int
    _head = ("", "ms")

    @property
    def median(self):
        return statistics.median(self.times)

    def quantile(self, share):
        return float(np.quantile(self.times, share))

    def _title(self):
        return f"{len(self.times)} runs on {self.threads} threads"

    def _rows(self):
        rows = [("load", self.load), ("compile", self.compile), ("first run", self.first_run),
                ("mean", statistics.fmean(self.times)), ("min", min(self.times)),
                ("p50", self.median), ("p90", self.quantile(0.9)), ("p99", self.quantile(0.99))]
        return [(name, f"{value * 1e3:.4f}") for name, value in rows]


def benchmark(model, inputs=None, *, example_inputs=None, shapes=None, dims=None, seconds=1.0,
              threads=0, backend="native", **export_options):
    """Times loading, compiling, the first run, and runs for some seconds."""
    clock = [time.perf_counter()]
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **export_options)
    clock.append(time.perf_counter())
    compiled = loaded.compile(threads=threads, backend=backend)
    clock.append(time.perf_counter())
    inputs = random_inputs(loaded) if inputs is None else inputs
    began = time.perf_counter()
    compiled.run(None, inputs)
    first = time.perf_counter() - began
    times = _seconds(lambda: compiled.run(None, inputs), seconds)
    return Benchmark(clock[1] - clock[0], clock[2] - clock[1], first, times, compiled.threads)
