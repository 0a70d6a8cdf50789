"""compare, benchmark and inspect, with results that notebooks show as tables."""
import dataclasses
import html
import os
import time

from . import sources
from ._quern import benchmark_model, compare_models, inspect_file, inspect_library
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
    """What quern.aot has written; `needed` is what it must be linked with, or needs."""

    path: str
    header: str
    bytes: int
    seconds: float
    needed: list
    _head = ("file", "bytes", "seconds")

    def _title(self):
        header = f", header {self.header}" if self.header else ""
        return f"compiled ahead of time{header}; needs {' '.join(self.needed) or 'nothing'}"

    def _rows(self):
        return [(self.path, self.bytes, f"{self.seconds:.2f}")]


@dataclasses.dataclass(repr=False)
class ModelFacts(_Shown):
    """What a model file says, whether or not its ops are supported."""

    producer: str
    graph: str
    domain: str
    description: str
    graph_description: str
    version: int
    metadata: dict
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


@dataclasses.dataclass(repr=False)
class ArtifactFacts(_Shown):
    """What a library that quern.aot has written says of itself."""

    name: str
    target_cpu: str
    abi_version: int
    workspace_bytes: int
    worker_bytes: int
    weights_bytes: int
    sizes: dict
    inputs: tuple
    outputs: tuple
    _head = ("", "name", "type", "shape")

    def _title(self):
        text = (f"library of model {self.name}, for {self.target_cpu}, interface version "
                f"{self.abi_version}; a run needs {self.workspace_bytes} bytes")
        for name, sizes in self.sizes.items():
            text += f"; {name} is {', '.join(map(str, sizes))}"
        return text + (f"; {self.weights_bytes} bytes of weights in a file of their own"
                       if self.weights_bytes else "")

    def _rows(self):
        return _port_rows(self.inputs, "input") + _port_rows(self.outputs, "output")


def inspect(path):
    """What a file says: ports, ops, opsets and parameters of a model; ports and CPU of a
    library that quern.aot has written."""
    if sources.is_library(path):
        return ArtifactFacts(**inspect_library(os.fspath(path)))
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


def compare(model, inputs=None, *, reference=None, example_inputs=None, shapes=None, dims=None,
            rtol=1e-3, atol=1e-5, seconds=0.5, threads=0, **export_options):
    """Runs a model interpreted and compiled on the same inputs (random ones by default): for
    each output the largest differences, for each its time, taken in turn. `reference`: another
    model that is interpreted; a library that quern.aot has written needs the one it is of."""
    if sources.is_library(model):
        if reference is None:
            raise UsageError(f"{os.fspath(model)} is compiled: give the model that it was compiled "
                             "from, reference=MODEL")
        loaded = None
        compiled = sources.load(model, shapes=shapes, dims=dims, threads=threads, **export_options)
        # What is known of sizes, the library tells.
        shapes = {port.name: port.shape for port in compiled.inputs
                  if port.shape and all(isinstance(size, int) for size in port.shape)}
        dims = None
    else:
        loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **export_options)
        compiled = loaded.compile(threads=threads)
    if reference is not None:
        loaded = sources.load(reference, shapes=shapes, dims=dims)
    interpreted = loaded.compile(backend="interpreter", threads=threads)
    facts = compare_models(interpreted, compiled, inputs, rtol, atol, seconds)
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
    """Times loading, compiling, the first run, and runs for some seconds. Of a library that
    quern.aot has written there is nothing to compile."""
    is_library = sources.is_library(model)
    if backend not in ("native", "interpreter") or (is_library and backend != "native"):
        raise UsageError(f"there is no backend '{backend}'{' in a library' * is_library}")
    run_options = {"threads": threads} if is_library else {}
    began = time.perf_counter()
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **run_options,
                          **export_options)
    at = time.perf_counter()
    compiled = loaded if is_library else loaded.compile(backend=backend, threads=threads)
    compile_ms = (time.perf_counter() - at) * 1e3
    facts = benchmark_model(compiled, inputs, seconds)
    return Benchmark(load_ms=(at - began) * 1e3, compile_ms=compile_ms + facts.pop("plan_ms"),
                     **facts)
