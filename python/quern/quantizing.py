"""quern.quantize."""
from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from typing import Any, ClassVar, Iterable, Mapping, Optional, Sequence, Union

from . import sources
from ._quern import quantize_model
from .errors import FileError, UsageError, error_of, path_of, refuses_types
from .report import _Shown

Path = Union[str, "os.PathLike[str]"]


@dataclasses.dataclass
class QuantizedLayer:
    """A layer with weights; `sqnr` in decibels is that of its result, `sensitivity` that of the
    worst output when it alone is quantized (NaN unless layers had to be ranked)."""

    node: str
    op: str
    quantized: bool
    reason: str
    sqnr: float
    sensitivity: float


@dataclasses.dataclass
class QuantizedOutput:
    """How far an output is from what it was: `error` is the largest difference by the largest
    magnitude."""

    name: str
    max_abs: float
    magnitude: float
    error: float
    sqnr: float
    mismatches: int
    incomparable: str


@dataclasses.dataclass(repr=False)
class Quantized(_Shown):
    """quern.quantize's result: the bytes of the model, and what was measured of it on inputs that
    took no part in calibration. `rows` of outputs, `agreeing` of which have the same largest
    entry; `decided` are those where it leads by more than the bound on the error."""

    model: bytes = dataclasses.field(repr=False)
    layers: list[QuantizedLayer]
    outputs: list[QuantizedOutput]
    rows: int
    agreeing: int
    decided: int
    decided_agreeing: int
    before_ms: float
    after_ms: float
    threads: int
    bytes_before: int
    bytes_after: int
    calibrated: int
    held_back: int
    measured_on_calibration: bool
    code: int
    verdict: str
    _head: ClassVar[tuple[str, ...]] = ("layer", "op", "quantized", "SQNR dB")

    @property
    def passed(self) -> bool:
        """Whether it is fast and accurate enough; `verdict` says why not."""
        return not self.verdict

    @property
    def speedup(self) -> float:
        return self.before_ms / max(self.after_ms, 1e-9)

    def save(self, output: Path) -> None:
        """Writes the model: all of it appears, or nothing."""
        _write(path_of(output), self.model)

    def _title(self) -> str:
        errors = ", ".join(f"{o.name} {o.error:.2%}" for o in self.outputs)
        return (f"{self.speedup:.2f} times as fast, {self.bytes_after / max(self.bytes_before, 1):.2f} of "
                f"the bytes; errors: {errors}; largest entry the same in {self.agreeing} of {self.rows} "
                f"rows" + (f"; {self.verdict}" if self.verdict else ""))

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        return [(layer.node, layer.op, "yes" if layer.quantized else layer.reason,
                 "-" if math.isnan(layer.sqnr) else f"{layer.sqnr:.1f}") for layer in self.layers]


def _write(path: str, content: bytes) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(path) or ".", prefix=".quern-",
                                         delete=False) as file:
            try:
                file.write(content)
                file.flush()
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(file.name, 0o666 & ~mask)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise FileError(f"cannot write '{path}': {error.strerror}") from error


def _feeds(data: Any, samples: int) -> Any:
    """Their number when they are random, else inputs as C++ takes them."""
    if isinstance(data, str) and data == "random":
        return int(samples)
    if isinstance(data, (str, bytes, Mapping)) or not isinstance(data, Iterable):
        raise UsageError("data= is 'random' or a list of inputs: arrays, or dicts by name")
    return [feed if isinstance(feed, (dict, list, tuple)) else [feed] for feed in data]


@refuses_types
def quantize(model: Any, output: Optional[Path] = None, *, data: Any = "random", samples: int = 16,
             example_inputs: Any = None, shapes: Optional[Mapping[str, Sequence[int]]] = None,
             dims: Optional[Mapping[str, int]] = None, mode: str = "static",
             calibration: str = "min-max", percentile: float = 99.99, per_channel: bool = True,
             signed_activations: bool = False, block_size: int = 32, correct_bias: bool = True,
             equalize: bool = True, keep: Sequence[str] = (), max_error: float = 0.01, min_speedup: float = 1.1,
             seconds: float = 2.0, seed: int = 0, force: bool = False, opt_level: int = 3,
             threads: int = 0, timeout: Optional[float] = None, progress: Any = None,
             **export_options: Any) -> Quantized:
    """A model with smaller numbers: standard ONNX, which runs in ONNX Runtime, too. Written to
    `output`, if given. An AccuracyError, or a TooSlowError, with the result as `report`, when an
    output is off by more than `max_error` of its largest magnitude, or a run is not `min_speedup`
    times as fast as before, unless `force`.

    `model`: as of quern.compile. `data`: inputs to calibrate and measure with, each an array, or a
    dict or list of several; every fourth is held back for measuring. Or "random": `samples` of them,
    drawn with `seed`. `mode`: "static" (activations and weights in 8 bits), "dynamic" (of products,
    ranges found in each run), "weights-int8", "weights-int4" (in blocks of `block_size`) or
    "float16". `calibration`: how ranges follow from what was seen: "min-max", "percentile"
    (`percentile` of the values), "entropy" or "mse". `per_channel`: a scale for each output channel
    of weights. `signed_activations`: int8 rather than uint8. `correct_bias`, `equalize`: in "static", where it
    helps, biases make up for the mean error of rounded weights, and neighbouring convolutions share
    out the magnitudes of their weights. `keep`: nodes that stay as they are.
    `seconds`: how long to measure times. `threads`, `opt_level`, `timeout`, `progress`: as of
    quern.compile.
    """
    sizes: dict[str, Any] = {"shapes": {name: list(shape) for name, shape in (shapes or {}).items()},
                             "dims": dict(dims or {})}
    if sources.is_library(model):
        raise UsageError(f"{os.fspath(model)} is compiled; give the model")
    name = sources.name_of(model)
    source: Any = os.fspath(model) if sources.is_path(model) else sources.bytes_of(
        model, example_inputs, **export_options)
    loaded = sources.load(source, timeout=timeout, progress=progress, **sizes)
    facts = quantize_model(
        source, name, loaded, _feeds(data, samples), sizes["shapes"],
        sizes["dims"], mode=mode,
        calibration=calibration, percentile=float(percentile), per_channel=per_channel,
        signed_activations=signed_activations, block_size=block_size, correct_bias=correct_bias, equalize=equalize,
        keep=list(keep), max_error=float(max_error), min_speedup=float(min_speedup),
        seconds=float(seconds), seed=seed, opt_level=opt_level, threads=threads, timeout=timeout,
        progress=progress)
    facts["layers"] = [QuantizedLayer(**layer) for layer in facts["layers"]]
    facts["outputs"] = [QuantizedOutput(**row) for row in facts["outputs"]]
    result = Quantized(**facts)
    if not result.passed and not force:
        error = error_of(result.code, result.verdict)
        error.report = result  # type: ignore[attr-defined]
        raise error
    if output is not None:
        result.save(output)
    return result
