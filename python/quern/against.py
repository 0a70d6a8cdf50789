"""CompiledModel.compare: a compiled model against the framework that it comes from."""
from __future__ import annotations

import dataclasses
import json
import time
from typing import Any, ClassVar, Mapping, Optional, Sequence

import numpy as np

from ._quern import CompiledModel, output_differences, sample_feed
from .errors import AccuracyError, UsageError, refuses_types
from .originals import origin_of
from .report import OutputDifference, _Shown
from .systems import System, systems_of

_MOST_RUNS = 10_000


@dataclasses.dataclass
class SystemTime:
    """One system on the inputs: its times in milliseconds (p50, min, mean, max), how many times
    as long as Quern it takes, in turns, and how far its outputs are from the first system's.
    `threads`: None where it cannot be told; `problem`: why it was not run."""

    name: str
    times: dict[str, float]
    times_as_long: float
    threads: Optional[int]
    outputs: list[OutputDifference]
    problem: str = ""


@dataclasses.dataclass(repr=False)
class FrameworkComparison(_Shown):
    """CompiledModel.compare's result: Quern first, then the original, which all outputs are
    compared with, then others. `outputs` are Quern's."""

    systems: list[SystemTime]
    runs: int
    precision: str
    verdict: str
    _head: ClassVar[tuple[str, ...]] = ("system", "p50 ms", "of Quern's", "threads", "max abs",
                                        "of largest", "cosine", "top-1", "")

    @property
    def outputs(self) -> list[OutputDifference]:
        return self.systems[0].outputs

    @property
    def passed(self) -> bool:
        return not self.verdict

    @property
    def speedup(self) -> float:
        """How many times as long the original takes."""
        return self.systems[1].times_as_long

    def raise_for_difference(self) -> FrameworkComparison:
        """AccuracyError when an output of Quern differs by more than the tolerance."""
        if self.verdict:
            raise AccuracyError(self.verdict)
        return self

    def as_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "speedup": self.speedup}

    def json(self) -> str:
        return json.dumps(self.as_dict(), default=float)

    def _title(self) -> str:
        first = self.systems[1]
        return (f"Quern {self.systems[0].times['p50']:.4g} ms in {self.precision}, {first.name} "
                f"{first.times['p50']:.4g} ms, {self.speedup:.2f} times as long; {self.runs} runs "
                "in turns")

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        return [self._row(i, system) for i, system in enumerate(self.systems)]

    def _row(self, i: int, system: SystemTime) -> tuple[Any, ...]:
        if system.problem:
            return (system.name, "-", "-", "-", "-", "-", "-", "-", system.problem)
        threads = "its own" if system.threads is None else system.threads
        head = (system.name, f"{system.times['p50']:.4g}", f"{system.times_as_long:.2f}", threads)
        if i == 1:
            return (*head, "-", "-", "-", "-", "is compared with")
        worst = [o.top_1 for o in system.outputs if o.top_1 is not None]
        return (*head, f"{max(o.max_abs for o in system.outputs):.2e}",
                f"{100 * max(o.max_of_largest for o in system.outputs):.2g} %",
                f"{min(o.cosine for o in system.outputs):.6f}",
                f"{100 * min(worst):.4g} %" if worst else "-",
                ", ".join(f"{o.name}: {o}" if len(system.outputs) > 1 else str(o)
                          for o in system.outputs))


@refuses_types
def compare(compiled: CompiledModel, original: Any = None, inputs: Any = None, *,
            seconds: float = 0.5, rtol: Optional[float] = None, atol: Optional[float] = None,
            systems: Optional[Sequence[str]] = None) -> FrameworkComparison:
    """Runs a compiled model, what it was compiled from and other systems that run such models, on
    the same inputs (by name or in order; random ones unless given), in turns. `original`: what to
    compare with when the one that was compiled is gone, or another. `seconds`: of each system.
    `rtol`, `atol`: 1e-3 and 1e-5 unless given. `systems`: the names of those beside the original
    that are run; all that are installed, unless given."""
    origin = origin_of(compiled)
    example_inputs, options = (origin.example_inputs, origin.options) if origin else (None, {})
    if original is None:
        original = origin.model() if origin else None
        if original is None:
            raise UsageError("what was compiled is not there any more: give it, "
                             "compiled.compare(original)")
    feed = _feed_of(compiled, inputs, example_inputs, original)
    found = systems_of(original, compiled, feed, example_inputs, options)
    if systems is not None:
        known = [system.name for system in found]
        for name in systems:
            if name not in known:
                raise UsageError(f"there is no system '{name}' here; there are {', '.join(known)}")
        found = found[:1] + [system for system in found[1:] if system.name in systems]
    ours = System("Quern", lambda: compiled.run(None, feed), compiled.threads)
    return _measured(compiled, [ours, *found], seconds, rtol, atol)


def _feed_of(compiled: CompiledModel, inputs: Any, example_inputs: Any, original: Any) -> list[Any]:
    """Arrays in the order of the model's inputs."""
    if inputs is None and example_inputs is not None and _are_arrays(example_inputs):
        inputs = example_inputs
    if inputs is None:
        return sample_feed(compiled)
    if isinstance(inputs, Mapping):
        missing = [port.name for port in compiled.inputs if port.name not in inputs]
        if missing:
            raise UsageError(f"inputs has no '{missing[0]}'; the model takes "
                             f"{', '.join(port.name for port in compiled.inputs)}")
        inputs = [inputs[port.name] for port in compiled.inputs]
    elif not isinstance(inputs, (tuple, list)) or (
            len(compiled.inputs) == 1 and not hasattr(inputs[0], "shape")):
        inputs = [inputs]
    if len(inputs) != len(compiled.inputs):
        raise UsageError(f"{len(inputs)} inputs are given; the model takes {len(compiled.inputs)}")
    return [np.ascontiguousarray(np.asarray(value, getattr(port, "dtype", None)))
            for value, port in zip(map(_array_of, inputs), compiled.inputs)]


def _array_of(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _are_arrays(values: Any) -> bool:
    """Whether they can be run on: no shapes alone."""
    rows = values if isinstance(values, (tuple, list)) else [values]
    return all(hasattr(row, "__array__") for row in rows)


#===-----------------------------------------------------------------------===#
# Turns
#===-----------------------------------------------------------------------===#


def _measured(compiled: CompiledModel, systems: Sequence[System], seconds: float,
              rtol: Optional[float], atol: Optional[float]) -> FrameworkComparison:
    results = [_first_run(system, is_needed=i < 2) for i, system in enumerate(systems)]
    ready = [i for i, result in enumerate(results) if not isinstance(result, str)]
    times = _in_turns([systems[i] for i in ready], seconds)
    wanted = results[1]
    rows = []
    for i, system in enumerate(systems):
        result = results[i]
        if isinstance(result, str):
            rows.append(SystemTime(system.name, {}, 0.0, None, [], result))
            continue
        own = times[ready.index(i)]
        ratio = float(np.median(np.divide(own, times[0])))
        outputs = [OutputDifference(**row)
                   for row in output_differences(compiled, wanted, result, rtol, atol)]
        rows.append(SystemTime(system.name, _statistics(own), ratio, system.threads, outputs))
    failed = [f"output '{o.name}' differs from {systems[1].name}'s: {o}"
              for o in rows[0].outputs if not o.passed]
    return FrameworkComparison(rows, len(times[0]), compiled.precision, "; ".join(failed))


def _first_run(system: System, is_needed: bool) -> Any:
    """Its outputs; or why there are none, of systems that are not needed."""
    try:
        with system.telling_threads():
            system.run()  # compiles, in those that compile
            return [np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value
                    for value in system.run()]
    except Exception as error:
        if is_needed:
            raise
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}: {lines[0][:100] if lines else 'no reason given'}"


def _in_turns(systems: Sequence[System], seconds: float) -> list[list[float]]:
    """Milliseconds: each round runs each system for a moment and takes a time of it, so that what
    else the machine does meets all alike."""
    end = time.perf_counter() + seconds * len(systems)
    times: list[list[float]] = [[] for _ in systems]
    repeats = [max(1, int(2e-3 / max(_time(system, 1), 1e-7))) for system in systems]
    while len(times[0]) < _MOST_RUNS and (len(times[0]) < 3 or time.perf_counter() < end):
        for system, own, count in zip(systems, times, repeats):
            with system.telling_threads():
                own.append(_time(system, count) * 1e3)
    return times


def _time(system: System, count: int) -> float:
    """Seconds of a run, as the mean of `count` in a row, with which caches are its own."""
    run = system.run
    began = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - began) / count


def _statistics(times: Sequence[float]) -> dict[str, float]:
    return {"p50": float(np.median(times)), "min": float(np.min(times)),
            "mean": float(np.mean(times)), "max": float(np.max(times))}
