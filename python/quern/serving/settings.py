"""settings.json of a model: how it is compiled, batched and bounded."""
from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any, Mapping, Optional, Sequence, Union

from ..errors import FileError, UsageError

FILE_NAME = "settings.json"
_COMPILE_OPTIONS = {"precision", "max_error", "weights", "winograd", "opt_level", "target_cpu",
                    "dims", "shapes", "flush_denormals", "memory_limit", "tune_seconds"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of one model.

    `batch_sizes`: the numbers of rows that runs may have; an artefact has its own. `max_delay_ms`:
    how long a request waits at most for others to share a run with. `batching`: "auto" joins
    requests when the rows of the model have been seen to be independent, "trusted" asks for no
    proof, "off" runs each alone. `instances` runs at a time, of `threads` each (0: all).
    `queue`, `seconds`: as of Limits. `versions`: how many of the newest are served, or which.
    `warm_up`: sizes of symbolic dimensions, one dict for each set that is to be ready from the start.
    `compile`: options of quern.compile.
    """

    batch_sizes: Sequence[int] = (1, 2, 4, 8, 16, 32)
    max_delay_ms: float = 2.0
    batching: str = "auto"
    instances: int = 1
    threads: int = 0
    queue: Optional[int] = None
    seconds: Optional[float] = None
    versions: Union[int, Sequence[int]] = 1
    warm_up: Sequence[Mapping[str, int]] = ()
    compile: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = self.batch_sizes
        _want(isinstance(sizes, (list, tuple)) and bool(sizes) and all(map(_is_count, sizes)),
              "batch_sizes is a list of positive integers", sizes)
        _want(_is_number(self.max_delay_ms) and 0 <= self.max_delay_ms <= 60_000,
              "max_delay_ms is a number of milliseconds", self.max_delay_ms)
        _want(self.batching in ("auto", "trusted", "off"),
              'batching is "auto", "trusted" or "off"', self.batching)
        _want(_is_count(self.instances) and self.instances <= 256, "instances is a positive integer",
              self.instances)
        _want(type(self.threads) is int and self.threads >= 0, "threads is an integer", self.threads)
        _want(self.queue is None or _is_count(self.queue), "queue is a positive integer", self.queue)
        _want(self.seconds is None or (_is_number(self.seconds) and self.seconds > 0),
              "seconds is a positive number", self.seconds)
        _want(_is_count(self.versions) or (isinstance(self.versions, (list, tuple)) and
                                           all(map(_is_count, self.versions))),
              "versions is a positive integer or a list of such", self.versions)
        _want(isinstance(self.warm_up, (list, tuple)) and
              all(isinstance(dims, Mapping) and all(map(_is_count, dims.values()))
                  for dims in self.warm_up), "warm_up is a list of dicts of sizes", self.warm_up)
        _want(isinstance(self.compile, Mapping) and _COMPILE_OPTIONS.issuperset(self.compile),
              f"compile takes {', '.join(sorted(_COMPILE_OPTIONS))}", self.compile)

    def served(self, versions: Sequence[int]) -> list[int]:
        """Which of these versions are to be served."""
        if isinstance(self.versions, int):
            return sorted(versions)[-self.versions:]
        return sorted(set(versions).intersection(self.versions))


def read_settings(folder: pathlib.Path, defaults: Settings) -> Settings:
    """`defaults` with what the model's folder says."""
    path = folder / FILE_NAME
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return defaults
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot read: {error}") from error
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: no JSON: {error}") from None
    known = {field.name for field in dataclasses.fields(Settings)}
    if not isinstance(given, dict) or not known.issuperset(given):
        raise UsageError(f"{path}: wanted an object with some of {', '.join(sorted(known))}")
    try:
        return dataclasses.replace(defaults, **given)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _want(holds: bool, what: str, found: Any) -> None:
    if not holds:
        raise UsageError(f"{what}, not {found!r:.60}")
