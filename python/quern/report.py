"""compare, benchmark, explain and inspect, with results that notebooks show as tables."""
from __future__ import annotations

import base64
import dataclasses
import html
import os
import re
import time
from typing import Any, ClassVar, Iterable, Mapping, Optional, Sequence, Union

from . import _quern, sources
from ._quern import (CompiledModel, Model, Port, benchmark_model, compare_models, inspect_file,
                     inspect_library)
from .errors import AccuracyError, UsageError, in_pythons_words, path_of, refuses_types


def _table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """HTML."""
    def line(cells: Iterable[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"
    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"


def _text(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    lines = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in lines)


def _shape(port: Port) -> str:
    return "any" if port.shape is None else "x".join(str(d or "?") for d in port.shape) or "scalar"


def _port_rows(ports: Iterable[Port], kind: str) -> list[tuple[str, ...]]:
    return [(kind, port.name, port.type, _shape(port)) for port in ports]


def model_html(model: Union[Model, CompiledModel]) -> str:
    """The inputs and outputs of a model."""
    rows = _port_rows(model.inputs, "input") + _port_rows(model.outputs, "output")
    return _table(("", "name", "type", "shape"), rows)


def _picture(svg: str) -> str:
    """An SVG file in a page whose styles it leaves alone."""
    if not svg:
        return ""
    label = re.search('aria-label="([^"]*)"', svg)
    data = base64.b64encode(svg.encode()).decode()
    return (f'<img style="max-width: 560px; width: 100%" alt="{label.group(1) if label else ""}" '
            f'src="data:image/svg+xml;base64,{data}">')


class _Shown:
    """A result that is a table: `_head` and `_rows()`."""

    _head: ClassVar[tuple[str, ...]]

    def _title(self) -> str:
        raise NotImplementedError

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{self._title()}\n{_text(self._head, self._rows())}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self._title())}</p>{_table(self._head, self._rows())}"


@dataclasses.dataclass(repr=False)
class Artifact(_Shown):
    """What quern.aot has written; `needed` is what it must be linked with, or needs,
    `target_cpus` whose code it is, and `precision` what it computes in."""

    path: str
    header: Optional[str]
    bytes: int
    seconds: float
    needed: list[str]
    target_cpus: list[str]
    precision: str = "f32"
    _head: ClassVar[tuple[str, ...]] = ("file", "bytes", "seconds")

    def _title(self) -> str:
        header = f", header {self.header}" if self.header else ""
        cpus = ", ".join(self.target_cpus)
        return f"compiled ahead of time for {cpus}, precision {self.precision}{header}; needs {' '.join(self.needed) or 'nothing'}"

    def _rows(self) -> Sequence[tuple[Any, ...]]:
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
    metadata: dict[str, str]
    ir_version: int
    opsets: dict[str, int]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    ops: dict[str, int]
    nodes: int
    initializers: int
    parameters: int
    _head: ClassVar[tuple[str, ...]] = ("", "name", "type", "shape")

    def _title(self) -> str:
        opsets = ", ".join(f"{name} {version}" for name, version in self.opsets.items())
        ops = ", ".join(f"{name} {count}" for name, count in self.ops.items())
        return (f"{self.producer or 'unknown producer'}, opset {opsets}, {self.nodes} nodes "
                f"({ops}), {self.parameters} parameters")

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        return _port_rows(self.inputs, "input") + _port_rows(self.outputs, "output")


@dataclasses.dataclass(repr=False)
class ArtifactFacts(_Shown):
    """What a library that quern.aot has written says of itself."""

    name: str
    target_cpu: str
    precision: str
    precision_choice: Optional[dict[str, Any]]
    abi_version: int
    workspace_bytes: int
    worker_bytes: int
    weights_bytes: int
    sizes: dict[str, list[int]]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    _head: ClassVar[tuple[str, ...]] = ("", "name", "type", "shape")

    def _title(self) -> str:
        text = (f"library of model {self.name}, for {self.target_cpu}, precision {self.precision}, "
                f"interface version {self.abi_version}; a run needs {self.workspace_bytes} bytes")
        for name, sizes in self.sizes.items():
            text += f"; {name} is {', '.join(map(str, sizes))}"
        return text + (f"; {self.weights_bytes} bytes of weights in a file of their own"
                       if self.weights_bytes else "")

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        return _port_rows(self.inputs, "input") + _port_rows(self.outputs, "output")


@refuses_types
def inspect(path: Union[str, os.PathLike[str]]) -> Union[ModelFacts, ArtifactFacts]:
    """What a file says: ports, ops, opsets and parameters of a model; ports and CPU of a
    library that quern.aot has written."""
    path = path_of(path)
    if sources.is_library(path):
        return ArtifactFacts(**inspect_library(path))
    return ModelFacts(**inspect_file(path))


@refuses_types
def problems(path: Union[str, os.PathLike[str]]) -> list[dict[str, Any]]:
    """All that keeps a model file from being compiled, as a list of dicts with the keys node, op,
    version and message; empty when nothing does. A file that cannot be read is an error."""
    return [{**row, "message": in_pythons_words(row["message"])}
            for row in _quern.problems(path_of(path))]


@dataclasses.dataclass
class OutputDifference:
    """How far an output of the compiled model is from the interpreted one's; `max_of_largest`
    as a share of the largest magnitude of the output, `max_ulp` in units in the last place, `top_1` the
    share of rows with the same largest entry (None where there are no rows), `ulps` how many elements are off by 0 units in the last place, by 1, by 2
    and 3, by 4 to 7, and so on. `flush_matters`: it agrees only where the interpreter takes subnormal numbers for zero as well."""

    name: str
    max_abs: float
    max_rel: float
    max_of_largest: float
    mismatches: int
    incomparable: str
    passed: bool
    flush_matters: bool = False
    max_ulp: float = 0
    cosine: float = 1
    top_1: Optional[float] = None
    ulps: list[int] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        if self.passed:
            return "pass (subnormals are zero)" if self.flush_matters else "pass"
        return f"FAIL ({self.incomparable or f'{self.mismatches} elements'})"


@dataclasses.dataclass(repr=False)
class Comparison(_Shown):
    """quern.compare's result. Times are dicts in milliseconds: min, mean, p50, ...; `picture` is an
    SVG file, the numbers of the outputs by their units in the last place ("" where none are floats)."""

    outputs: list[OutputDifference]
    interpreted: dict[str, float]
    compiled: dict[str, float]
    threads: int
    precision: str
    verdict: str
    picture: str = ""
    _head: ClassVar[tuple[str, ...]] = ("output", "max abs", "max rel", "of largest", "ulp", "cosine", "top-1", "")

    @property
    def passed(self) -> bool:
        return not self.verdict

    @property
    def speedup(self) -> float:
        return self.interpreted["p50"] / self.compiled["p50"]

    def raise_for_difference(self) -> Comparison:
        """AccuracyError when an output differs by more than the tolerance."""
        if self.verdict:
            raise AccuracyError(self.verdict)
        return self

    def _title(self) -> str:
        return (f"interpreter {self.interpreted['p50']:.3f} ms, native {self.compiled['p50']:.3f} "
                f"ms in {self.precision}, speed-up {self.speedup:.1f}x")

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        return [(o.name, f"{o.max_abs:.2e}", f"{o.max_rel:.2e}",
                 f"{100 * o.max_of_largest:.2g} %", f"{o.max_ulp:.3g}", f"{o.cosine:.6f}",
                 "-" if o.top_1 is None else f"{100 * o.top_1:.4g} %", o) for o in self.outputs]

    def _repr_html_(self) -> str:
        return super()._repr_html_() + _picture(self.picture)


@refuses_types
def compare(model: Any, inputs: Any = None, *, reference: Any = None, example_inputs: Any = None,
            shapes: Optional[Mapping[str, Sequence[int]]] = None,
            dims: Optional[Mapping[str, int]] = None, rtol: Optional[float] = None,
            atol: Optional[float] = None, seconds: float = 0.5, threads: int = 0,
            precision: str = "f32", max_error: Optional[float] = None, weights: str = "given",
            winograd: str = "auto", **export_options: Any) -> Comparison:
    """Runs a model interpreted and compiled on the same inputs (random ones by default): for
    each output the largest differences, for each its time, taken in turn. `reference`: another
    model that is interpreted; a library that quern.aot has written needs the one it is of.
    `precision`, `max_error`, `weights`, `winograd`: as of quern.compile, on these inputs. `rtol`, `atol`: 1e-3
    and 1e-5 unless given; at a lower precision an output may differ by 4 % of its largest
    magnitude, with "auto" by `max_error`, and 2 or 10 % more where results of float16 or bfloat16
    are not rounded before they are read, unless one is given."""
    if sources.is_library(model):
        if reference is None:
            raise UsageError(f"{os.fspath(model)} is compiled: give the model that it was compiled "
                             "from, reference=MODEL")
        if (precision, max_error, weights, winograd) != ("f32", None, "given", "auto"):
            raise UsageError(f"{os.fspath(model)} is compiled: its precision is given")
        loaded: Any = None
        compiled = sources.load(model, shapes=shapes, dims=dims, threads=threads, **export_options)
        # What is known of sizes, the library tells.
        shapes = {port.name: port.shape for port in compiled.inputs
                  if port.shape and all(isinstance(size, int) for size in port.shape)}
        dims = None
    else:
        loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **export_options)
        compiled = loaded.compile(
            threads=threads, precision=precision, max_error=max_error, weights=weights,
            winograd=winograd, samples=inputs if precision == "auto" else None)
    if reference is not None:
        loaded = sources.load(reference, shapes=shapes, dims=dims)
    interpreted = loaded.compile(backend="interpreter", threads=threads)
    facts = compare_models(loaded, interpreted, compiled, inputs, rtol, atol, seconds,
                           weights != "given")
    facts["outputs"] = [OutputDifference(**output) for output in facts["outputs"]]
    return Comparison(**facts)


@dataclasses.dataclass(repr=False)
class ComparedNodes(_Shown):
    """quern.compare_nodes's result: `nodes`, in the order in which they are computed, and what else
    `quern compare --per-node --json` has, in `report`."""

    report: dict[str, Any]
    verdict: str
    _head: ClassVar[tuple[str, ...]] = ("node", "op", "max abs", "max rel", "ulp", "cosine", "whole", "")

    @property
    def nodes(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self.report["nodes"]
        return nodes

    @property
    def passed(self) -> bool:
        return not self.verdict

    @property
    def first(self) -> Optional[str]:
        """The first node that differs by more than its bound."""
        first: Optional[str] = self.report["first"]
        return first

    @property
    def fault(self) -> str:
        """"none", "code" (of the first node) or "graph" (a pass before it)."""
        fault: str = self.report["fault"]
        return fault

    def _title(self) -> str:
        return self.verdict or f"all {len(self.nodes)} values agree with the interpreter"

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        def row(node: Mapping[str, Any]) -> tuple[Any, ...]:
            own, whole = node["difference"], node["whole"]
            numbers = [_number(own and own[key]) for key in ("max_abs", "max_rel", "max_ulp", "cosine")]
            return (node["node"], node["op"], *numbers, _number(whole and whole["max_abs"]),
                    "pass" if node["pass"] else "FAIL")
        return [row(node) for node in self.nodes]


def _number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.2g}"


@refuses_types
def compare_nodes(model: Any, inputs: Any = None, *, example_inputs: Any = None,
                  shapes: Optional[Mapping[str, Sequence[int]]] = None,
                  dims: Optional[Mapping[str, int]] = None, rtol: Optional[float] = None,
                  atol: Optional[float] = None, threads: int = 0, precision: str = "f32",
                  weights: str = "given", winograd: str = "auto",
                  **export_options: Any) -> ComparedNodes:
    """Compares each node as native code computes it, fused and all, with what the interpreter makes
    of the same operands: which is the first that differs. Inputs are random unless they are given;
    `rtol` and `atol` replace the bounds that each node has by its type."""
    if sources.is_library(model):
        raise UsageError(f"{os.fspath(model)} is compiled: give the model that it was compiled from")
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **export_options)
    bounds = {name: bound for name, bound in (("rtol", rtol), ("atol", atol)) if bound is not None}
    report, verdict = loaded.compare_nodes(inputs=inputs, threads=threads, precision=precision,
                                           weights=weights, winograd=winograd, **bounds)
    return ComparedNodes(report, in_pythons_words(verdict))


@dataclasses.dataclass(repr=False)
class Benchmark(_Shown):
    """quern.benchmark's result, in milliseconds; `steady` has min, mean, p50, p90, p99."""

    load_ms: float
    compile_ms: float
    first_run_ms: float
    steady: dict[str, float]
    runs: int
    threads: int
    precision: str
    peak_rss_mb: float
    warnings: list[str]
    _head: ClassVar[tuple[str, ...]] = ("", "ms")

    def _title(self) -> str:
        return "; ".join([f"{self.runs} runs on {self.threads} threads in {self.precision}", *self.warnings])

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        rows = [("load", self.load_ms), ("compile", self.compile_ms),
                ("first run", self.first_run_ms), *self.steady.items()]
        return [(name.replace("_", " "), f"{value:.4f}") for name, value in rows]


@refuses_types
def benchmark(model: Any, inputs: Any = None, *, example_inputs: Any = None,
              shapes: Optional[Mapping[str, Sequence[int]]] = None,
              dims: Optional[Mapping[str, int]] = None, seconds: float = 1.0, threads: int = 0,
              backend: str = "native", precision: str = "f32", max_error: Optional[float] = None,
              weights: str = "given", winograd: str = "auto", **export_options: Any) -> Benchmark:
    """Times loading, compiling, the first run, and runs for some seconds. Of a library that
    quern.aot has written there is nothing to compile. `precision`, `max_error`, `weights`,
    `winograd`: as of quern.compile, on these inputs."""
    is_library = sources.is_library(model)
    if backend not in ("native", "interpreter") or (is_library and backend != "native"):
        raise UsageError(f"there is no backend '{backend}'{' in a library' * is_library}")
    if is_library and (precision, max_error, weights, winograd) != ("f32", None, "given", "auto"):
        raise UsageError(f"{os.fspath(model)} is compiled: its precision is given")
    run_options: dict[str, Any] = {"threads": threads} if is_library else {}
    began = time.perf_counter()
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **run_options,
                          **export_options)
    at = time.perf_counter()
    compiled = loaded if is_library else loaded.compile(
        backend=backend, threads=threads, precision=precision, max_error=max_error, weights=weights,
        winograd=winograd, samples=inputs if precision == "auto" else None)
    compile_ms = (time.perf_counter() - at) * 1e3
    facts = benchmark_model(compiled, inputs, seconds)
    facts["warnings"] = [in_pythons_words(warning) for warning in facts["warnings"]]
    return Benchmark(load_ms=(at - began) * 1e3, compile_ms=compile_ms + facts.pop("plan_ms"),
                     **facts)


@dataclasses.dataclass(repr=False)
class Explained(_Shown):
    """quern.explain's result: `causes`, the one that costs most first, `steps`, and what else
    `quern explain --json` has, in `report`; `page` is one HTML file."""

    report: dict[str, Any]
    page: str
    _head: ClassVar[tuple[str, ...]] = ("cause", "saves", "what to do")

    @property
    def causes(self) -> list[dict[str, Any]]:
        causes: list[dict[str, Any]] = self.report["causes"]
        return causes

    @property
    def steps(self) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = self.report["steps"]
        return steps

    def save(self, path: Union[str, os.PathLike[str]]) -> None:
        """Writes the page."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.page)

    def _title(self) -> str:
        return (f"{self.report['p50_ms']:.4g} ms a run on {self.report['threads']} threads, "
                f"{100 * self.report['share_near_roof']:.0f} % of it near what this machine can do")

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        def saved(cause: Mapping[str, Any]) -> str:
            how = "" if cause["measured"] or cause["once"] else "up to "
            return f"{how}{cause['saved_ms']:.3g} ms{', once' * cause['once']}"
        return [(cause["title"], saved(cause), cause["advice"]) for cause in self.causes]

    def _repr_html_(self) -> str:
        """The page, in a frame of its own; the table for who shows no frames."""
        title = html.escape(self._title())
        return (f'<iframe title="{title}" sandbox="allow-scripts" loading="lazy" '
                'style="width: 100%; height: 640px; border: 0" '
                f'srcdoc="{html.escape(self.page)}"></iframe>'
                f"<details><summary>{title}</summary>{_table(self._head, self._rows())}</details>")


@refuses_types
def explain(model: Any, inputs: Any = None, *, example_inputs: Any = None,
            shapes: Optional[Mapping[str, Sequence[int]]] = None,
            dims: Optional[Mapping[str, int]] = None, seconds: float = 1.0, tries: bool = True,
            stages: bool = False, threads: int = 0, precision: str = "f32", weights: str = "given",
            **export_options: Any) -> Explained:
    """Why a prediction takes the time it takes: each step against the measured rates of this
    machine, and causes ranked by what they cost. Other precisions, weights, numbers of threads and
    batch sizes are tried unless `tries` is false. With `stages` the page has a run from the
    interpreter, which takes its time, to all optimisations, and how far the answers are off. Inputs are random unless they are given."""
    if sources.is_library(model):
        raise UsageError(f"{os.fspath(model)} is compiled: give the model that it was compiled from")
    began = time.perf_counter()
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, **export_options)
    load_ms = (time.perf_counter() - began) * 1e3
    title = os.fspath(model) if isinstance(model, (str, os.PathLike)) else type(model).__name__
    report, page = loaded.analyze_time(
        inputs=inputs, seconds=seconds, tries=tries, stages=stages, load_ms=load_ms, title=str(title),
        threads=threads, precision=precision, weights=weights)
    for cause in report["causes"]:
        for key in ("title", "advice"):
            cause[key] = in_pythons_words(cause[key])
        cause["evidence"] = [in_pythons_words(line) for line in cause["evidence"]]
    return Explained(report, page)
