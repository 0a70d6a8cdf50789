"""A version of a model, compiled, warmed up and ready for requests."""
from __future__ import annotations

import logging
import pathlib
import threading
import time
from typing import Any, Hashable, Mapping, Optional, Sequence

import numpy as np

from ..compiling import compile as compile_model
from ..errors import InvalidInputError, UsageError
from .batch_sizes import BatchSizes
from .batching import Batch, Batcher, Request
from .limits import Limits
from .metrics import Metrics
from .rows import dependence, open_rows, random_inputs, row_shapes
from .settings import Settings
from .tracing import run_span

log = logging.getLogger("quern.serving")
_TIMED_RUNS = 3

Shapes = tuple[tuple[int, ...], ...]


class ServedVersion:
    """Takes requests until it is closed."""

    def __init__(self, name: str, version: int, path: pathlib.Path, settings: Settings,
                 limits: Limits, metrics: Metrics) -> None:
        """Compiles the model and all that runs of the listed sizes need, which comes from the
        kernel store where it has been compiled before."""
        began = time.perf_counter()
        self.name, self.version, self.path, self.settings = name, version, path, settings
        self._metrics = metrics
        self.compiled = compile_model(str(path), threads=settings.threads, **_options(path, settings))
        self.seconds = limits.seconds if settings.seconds is None else settings.seconds
        # By the shapes of a row: what their runs may be.
        self._sizes: dict[Hashable, BatchSizes] = {}
        self._met: set[Hashable] = set()
        self._memory = threading.local()
        self.why_alone = self._prepare()
        self._batcher = Batcher(
            self._run, most_rows=self._most_rows, delay=settings.max_delay_ms / 1e3,
            most_waiting=settings.queue or limits.queue, threads=settings.instances,
            on_batch=self._count)
        self.load_seconds = time.perf_counter() - began
        log.info("%s version %d is ready after %.2f s; %s", name, version, self.load_seconds,
                 f"runs of {list(self._any_sizes())} rows" if self.why_alone is None else
                 f"each request runs alone: {self.why_alone}")

    def __len__(self) -> int:
        """The requests that wait."""
        return len(self._batcher)

    def request(self, inputs: Mapping[str, Any], seconds: Optional[float] = None) -> Request:
        """Of arrays by name: InvalidInputError, in the words of `quern run`, when they do not fit."""
        try:
            self.compiled.check_inputs(inputs)
        except InvalidInputError as error:
            # What a program in Python could do about it is of no use to a client.
            raise InvalidInputError(str(error).partition(": convert it with .astype(")[0]) from None
        feed = [inputs[port.name] for port in self.compiled.inputs]
        rows, key = self._key_of(feed)
        seconds = self.seconds if seconds is None else min(seconds, self.seconds)
        return Request(feed, rows, key, time.monotonic() + seconds)

    def submit(self, request: Request) -> None:
        self._batcher.submit(request)

    def cancel(self, request: Request) -> None:
        self._batcher.cancel(request)

    def close(self, seconds: Optional[float] = None) -> bool:
        """Answers what waits, for at most `seconds`."""
        return self._batcher.close(seconds)

    def output_indices(self, names: Optional[Sequence[str]]) -> list[int]:
        """InvalidInputError for a name that is none."""
        known = [port.name for port in self.compiled.outputs]
        for name in names or ():
            if name not in known:
                raise InvalidInputError(f"the model has no output '{name}'; it has "
                                        f"{', '.join(repr(known_name) for known_name in known)}")
        return [known.index(name) for name in names] if names else list(range(len(known)))

    # What is known before the first request.

    def _prepare(self) -> Optional[str]:
        """Warms up; why requests run alone, or None when they share runs."""
        listed = self.compiled.listed_input_dims
        kinds = _listed_kinds(listed) if listed else self._settings_kinds()
        reason = self._why_alone(listed, kinds)
        if reason is not None:
            self._warm_up_alone(listed)
            return reason
        for shapes, sizes in kinds.items():
            self._learn(shapes, sizes)
        return None

    def _why_alone(self, listed: Sequence[Any], kinds: Mapping[Shapes, Sequence[int]]
                   ) -> Optional[str]:
        if self.settings.batching == "off":
            return "the settings say so"
        if listed and not kinds:
            return "its inputs have no rows in common"
        closed = None if listed else open_rows(self.compiled.inputs)
        if closed is not None or self.settings.batching == "trusted":
            return closed
        if not kinds:
            return "the settings do not say of which sizes its rows are (warm_up)"
        for shapes, sizes in kinds.items():
            reason = dependence(self.compiled, shapes, sizes)
            if reason is not None:
                return reason
        return None

    def _settings_kinds(self) -> dict[Shapes, Sequence[int]]:
        if open_rows(self.compiled.inputs) is not None:
            return {}
        kinds: dict[Shapes, Sequence[int]] = {}
        for dims in self.settings.warm_up or ({},):
            shapes = row_shapes(self.compiled.inputs, dims)
            if shapes is None and dims:
                raise UsageError(f"warm_up {dict(dims)} does not give all sizes of the inputs")
            if shapes is not None:
                kinds[tuple(shapes)] = sorted(set(self.settings.batch_sizes))
        return kinds

    def _warm_up_alone(self, listed: Sequence[Any]) -> None:
        """Of inputs whose shapes are known; others are planned by the first request."""
        for dims in self.settings.warm_up or ({},):
            shapes = [tuple(dims.get(size, size) if isinstance(size, str) else size
                            for size in port.shape or ()) for port in self.compiled.inputs]
            if not listed and all(isinstance(size, int) for shape in shapes for size in shape):
                self.compiled.warm_up(dict(dims))
                self._met.add(tuple(shapes))

    def _learn(self, shapes: Shapes, sizes: Sequence[int]) -> BatchSizes:
        """Warms up runs of these rows and measures them."""
        seconds = {}
        for size in sizes:
            feed = random_inputs(self.compiled.inputs, [(size, *shape) for shape in shapes])
            times = []
            for _ in range(_TIMED_RUNS + 1):
                began = time.perf_counter()
                try:
                    self.compiled.run(None, feed)
                except InvalidInputError:
                    pass  # values, not sizes: random ones may be none that the model takes
                times.append(time.perf_counter() - began)
            seconds[size] = min(times)
            self._met.add((size, shapes))
        self._sizes[shapes] = BatchSizes(seconds)
        return self._sizes[shapes]

    # Requests and runs.

    def _any_sizes(self) -> Sequence[int]:
        return next(iter(self._sizes.values())).sizes if self._sizes else sorted(
            set(self.settings.batch_sizes))

    def _key_of(self, feed: Sequence[Any]) -> tuple[int, Optional[Hashable]]:
        """The rows of a request, and with which others it may run."""
        if self.why_alone is not None or not all(isinstance(array, np.ndarray) for array in feed):
            return 1, None
        rows = len(feed[0])
        return rows, tuple(array.shape[1:] for array in feed) if rows else None

    def _sizes_for(self, key: Hashable) -> BatchSizes:
        """Those of rows that nothing is known of, as a new length, are the settings' and 1, so that
        little is padded, and take as long as they have rows."""
        known = self._sizes.get(key)
        if known is not None:
            return known
        return BatchSizes({size: 1.0 + size for size in {1, *self._any_sizes()}})

    def _most_rows(self, key: Hashable) -> int:
        known = self._sizes.get(key)
        return known.largest if known is not None else max(self._any_sizes())

    def _count(self, batch: Batch) -> None:
        for request in batch.requests:
            self._metrics.queue_seconds(self.name).observe(request.waited)
        self._metrics.batch_rows(self.name).observe(batch.rows)

    def _run(self, batch: Batch) -> list[list[Any]]:
        with run_span(self.name, batch.rows, batch.requests):
            began = time.perf_counter()
            try:
                if batch.requests[0].key is None:
                    return [self._run_once(batch, batch.requests[0].inputs)]
                return self._run_rows(batch)
            finally:
                self._metrics.run_seconds(self.name).observe(time.perf_counter() - began)

    def _run_once(self, batch: Batch, feed: Sequence[Any]) -> list[Any]:
        shapes = tuple(getattr(array, "shape", ()) for array in feed)
        self._note_size(shapes)
        outputs: list[Any] = self.compiled.run(None, feed, batch.seconds_left(), batch.cancellation)
        return outputs

    def _note_size(self, size: Hashable) -> None:
        if size not in self._met:
            # Bounded: of endless sizes the later ones count as new each time.
            if len(self._met) < 4096:
                self._met.add(size)
            self._metrics.new_sizes(self.name).inc()

    def _run_rows(self, batch: Batch) -> list[list[Any]]:
        """Joined, run in parts of the listed sizes, and parted again."""
        key, rows = batch.requests[0].key, batch.rows
        parts, begin = [], 0
        joined = _Joined([request.inputs for request in batch.requests])
        for size in self._sizes_for(key).cover(rows):
            count = min(size, rows - begin)
            feed = joined.part(begin, count, size, self._buffers(key, count, size, batch))
            self._note_size((size, key))
            outputs = self.compiled.run(None, feed, batch.seconds_left(), batch.cancellation)
            parts.append([output[:count] for output in outputs])
            begin += count
            if count < size:
                self._metrics.padded_rows(self.name).inc(size - count)
        whole = parts[0] if len(parts) == 1 else [np.concatenate(piece) for piece in zip(*parts)]
        results, begin = [], 0
        for request in batch.requests:
            results.append([output[begin:begin + request.rows] for output in whole])
            begin += request.rows
        return results

    def _buffers(self, key: Any, count: int, size: int, batch: Batch) -> list[Any]:
        """Memory for joined inputs: of this thread's, used from run to run, for rows that were
        known beforehand; what strangers make up is not kept."""
        if len(batch.requests) == 1 and count == size:
            return [None] * len(self.compiled.inputs)  # taken where they are
        kept: dict[Hashable, list[Any]] = self._memory.__dict__.setdefault("kept", {})
        if key in kept:
            return [buffer[:size] for buffer in kept[key]]
        room = self._most_rows(key) if key in self._sizes else size
        buffers = [np.empty((room, *shape), port.dtype)
                   for port, shape in zip(self.compiled.inputs, key)]
        if key in self._sizes:
            kept[key] = buffers
        return [buffer[:size] for buffer in buffers]


class _Joined:
    """The inputs of several requests, behind each other."""

    def __init__(self, feeds: Sequence[Sequence[Any]]) -> None:
        self._columns = list(zip(*feeds))

    def part(self, begin: int, count: int, size: int, buffers: Sequence[Any]) -> list[Any]:
        """`count` rows from `begin` on, and the last one again up to `size`."""
        return [self._column(column, begin, count, size, buffer)
                for column, buffer in zip(self._columns, buffers)]

    @staticmethod
    def _column(arrays: Sequence[Any], begin: int, count: int, size: int, target: Any) -> Any:
        if len(arrays) == 1 and count == size:
            return arrays[0][begin:begin + count]
        filled = 0
        for array in arrays:
            taken = array[begin:begin + count - filled]
            target[filled:filled + len(taken)] = taken
            filled += len(taken)
            begin = max(begin - len(array), 0)
            if filled == count:
                break
        target[count:] = target[count - 1]
        return target


def _options(path: pathlib.Path, settings: Settings) -> dict[str, Any]:
    """An artefact is compiled: it takes what runs take."""
    options = dict(settings.compile)
    if path.suffix == ".so":
        options = {key: options[key] for key in ("flush_denormals", "memory_limit") if key in options}
    return options


def _listed_kinds(listed: Sequence[Sequence[Sequence[int]]]) -> dict[Shapes, Sequence[int]]:
    """Of an artefact's plans: for each kind of rows the numbers of them; empty when its inputs have
    no rows in common."""
    kinds: dict[Shapes, list[int]] = {}
    for plan in listed:
        if not plan or len({dims[0] if dims else None for dims in plan}) != 1 or not plan[0]:
            return {}
        kinds.setdefault(tuple(tuple(dims[1:]) for dims in plan), []).append(plan[0][0])
    return {shapes: sorted(set(sizes)) for shapes, sizes in kinds.items()}
