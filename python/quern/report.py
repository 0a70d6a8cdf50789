"""compare, benchmark and inspect, with results that notebooks show as tables."""
import dataclasses
import html
import os
import time

from . import sources
from ._quern import benchmark_model, compare_model, inspect_file
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


@dataclasses.dataclass
class OutputDifference:
    """How far an output of the compiled model is from the interpreted one's."""

    name: str
    max_abs: float
    max_rel: float
    mismatches: int
    incomparable: str
    passed: bool

    def __str__(self):
        if self.passed:
            return "pass"
        return f"FAIL ({self.incomparable or f'{self.mismatches} elements'})"


@dataclasses.dataclass(repr=False)
class Comparison(_Shown):
    """quern.compare's result. Times are dicts in milliseconds: min, mean, p50, ..."""

    outputs: list
    interpreted: dict
    compiled: dict
    threads: int
    verdict: str
    _head = ("output", "max abs", "max rel", "")

    @property
    def passed(self):
        return not self.verdict

    @property
    def speedup(self):
        return self.interpreted["p50"] / self.compiled["p50"]

    def raise_for_difference(self):
        """AccuracyError when an output differs by more than the tolerance."""
        if self.verdict:
            raise AccuracyError(self.verdict)
        return self

    def _title(self):
        return (f"interpreter {self.interpreted['p50']:.3f} ms, native {self.compiled['p50']:.3f} "
                f"ms, speed-up {self.speedup:.1f}x")

    def _rows(self):
        return [(o.name, f"{o.max_abs:.2e}", f"{o.max_rel:.2e}", o) for o in self.outputs]


def compare(model, inputs=None, *, example_inputs=None, shapes=None, dims=None, rtol=1e-3,
            atol=1e-5, seconds=0.5, threads=0, **export_options):
    """Runs a model interpreted and compiled on the same inputs (random ones by default): for
    each output the largest differences, for each backend its time, taken in turn."""
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **export_options)
    facts = compare_model(loaded, inputs, rtol, atol, seconds, threads)
    facts["outputs"] = [OutputDifference(**output) for output in facts["outputs"]]
    return Comparison(**facts)


@dataclasses.dataclass(repr=False)
class Benchmark(_Shown):
    """quern.benchmark's result, in milliseconds; `steady` has min, mean, p50, p90, p99."""

    load_ms: float
    compile_ms: float
    first_run_ms: float
    steady: dict
    runs: int
    threads: int
    peak_rss_mb: float
    warnings: list
    _head = ("", "ms")

    def _title(self):
        return "; ".join([f"{self.runs} runs on {self.threads} threads", *self.warnings])

    def _rows(self):
        rows = [("load", self.load_ms), ("compile", self.compile_ms),
                ("first run", self.first_run_ms), *self.steady.items()]
        return [(name.replace("_", " "), f"{value:.4f}") for name, value in rows]


def benchmark(model, inputs=None, *, example_inputs=None, shapes=None, dims=None, seconds=1.0,
              threads=0, backend="native", **export_options):
    """Times loading, compiling, the first run, and runs for some seconds."""
    if backend not in ("native", "interpreter"):
        raise UsageError(f"there is no backend '{backend}'")
    began = time.perf_counter()
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **export_options)
    load_ms = (time.perf_counter() - began) * 1e3
    return Benchmark(load_ms=load_ms, **benchmark_model(
        loaded, inputs, seconds, threads, backend == "interpreter"))
