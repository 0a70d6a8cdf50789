"""quern.compile and quern.aot."""
from __future__ import annotations

import logging
import numbers
import os
import pathlib
import time
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, Optional, Sequence, Union

from . import cache as caching, frameworks, originals, sources
from ._quern import CompiledModel, Model
from .errors import UsageError, refuses_types

if TYPE_CHECKING:
    from .report import Artifact

Path = Union[str, "os.PathLike[str]"]
Progress = Callable[[str], object]
Shapes = Mapping[str, Sequence[int]]
Sizes = Union[int, Iterable[int]]

log = logging.getLogger("quern")
# What artefacts with reference kernels are linked with; the wheel has it.
_RUNTIME_ARCHIVE = pathlib.Path(__file__).with_name("libquern_runtime.a")


def _narrator(progress: Optional[Progress]) -> Optional[Progress]:
    """What is told what the work is at: the caller's function, the logger at level DEBUG, or
    nobody, which costs nothing."""
    if progress is not None or not log.isEnabledFor(logging.DEBUG):
        return progress
    began = time.perf_counter()
    return lambda doing: log.debug("%.1f s: %s", time.perf_counter() - began, doing)


@refuses_types
def compile(model: Any, example_inputs: Any = None, *, shapes: Optional[Shapes] = None,
            dims: Optional[Mapping[str, Sizes]] = None, growing_caches: bool = False,
            backend: str = "native",
            target_cpu: str = "host", opt_level: int = 3, precision: str = "f32",
            max_error: Optional[float] = None, samples: Any = None, weights: str = "given",
            winograd: str = "auto", tune_seconds: Optional[float] = None, threads: int = 0,
            profile: bool = False, flush_denormals: bool = True, timeout: Optional[float] = None,
            memory_limit: Optional[int] = None,
            progress: Optional[Progress] = None,
            cache: bool = False, kernel_cache: bool = True, cast: bool = False,
            **export_options: Any) -> CompiledModel:
    """Makes a model ready to run: a callable that takes and gives arrays.

    `model`: a path, bytes, an onnx.ModelProto, a keras.Model, a tf.function, a torch.nn.Module
    (with `example_inputs`; exported in eval mode) or torch.export.ExportedProgram, a function of
    JAX (with `example_inputs`), a fitted estimator of scikit-learn, LightGBM or XGBoost, a
    quern.Model, or a library that quern.aot has written. Paths may be those of .onnx, .tflite,
    .keras, .h5 and .pt2 files and of SavedModels. `growing_caches`: as of quern.load.
    `backend`: "native", or "interpreter" for the unoptimised reference. `precision`: what
    products and convolutions of float32 are computed in: "f32"; "bf16", with sums in float32; or
    "auto", which takes bf16 where it pays, as far as no output is off by more than `max_error`
    (0.01) of its largest magnitude and rows of scores have their largest entry where they had it,
    on `samples`, the inputs of a run, or on random ones. `weights`: what constant weights of
    matrix products are kept as, "given", "int8" or "int4". `winograd`: "off" keeps convolutions
    from Winograd's algorithm, whose rounding errors are larger than those of direct sums.
    `tune_seconds`: compute ops in the ways that measured best on this machine, as the cache folder
    keeps them, and measure for about so long, on `samples`, what it does not know (0: nothing).
    `threads`: of
    compiling and of runs; 0 is all this process may use. `timeout`: seconds for loading and
    compiling; `memory_limit`: bytes that a run may hold beside weights and inputs. `profile`: time every step.
    `progress`: a function that is told what the work is at ("optimising the graph") whenever
    that changes; what it raises ends the work. `cache`: compile ahead of time into a file that
    all processes of the user share, for the sizes that `shapes` and `dims` give, where `dims`
    may list several (quern.aot). `kernel_cache`: compiled kernels are kept in the cache folder,
    where other processes find them. `cast`: inputs of another type of numbers than the model's, as
    float64 for float32, are converted, as those of estimators always are; else they are refused.
    Other options go to the exporter.
    """
    original, was_given, given_options = model, example_inputs, export_options
    gives_dict = False
    if sources.is_foreign(model):
        made = sources.exported(model, example_inputs, export_options)
        model, gives_dict, example_inputs, export_options = made.content, made.gives_dict, None, {}
    compile_options: dict[str, Any] = {
        "target_cpu": target_cpu, "opt_level": opt_level, "precision": precision,
        "max_error": max_error, "weights": weights, "winograd": winograd,
        "tune_seconds": tune_seconds, "threads": threads}
    run_options: dict[str, Any] = {"profile": profile, "flush_denormals": flush_denormals,
                   "memory_limit": memory_limit}
    sizes: dict[str, Any] = {"shapes": shapes, "dims": dims, "growing_caches": growing_caches}
    if sources.is_library(model):
        given = (backend, target_cpu, opt_level, precision, max_error, weights, winograd, tune_seconds)
        if given != ("native", "host", 3, "f32", None, "given", "auto", None) or samples is not None:
            raise UsageError(f"{os.fspath(model)} is compiled: its backend, CPU, level and "
                             "precision are given")
        ready: CompiledModel = sources.load(model, example_inputs, threads=threads, **sizes,
                                            **run_options, **export_options)
    elif cache:
        if backend != "native":
            raise UsageError("the cache is for native code")
        if samples is not None or tune_seconds is not None:
            raise UsageError("the cache is for what the model and the options tell; samples are "
                             "neither, nor is what was measured")
        ready = _compile_cached(model, example_inputs, export_options,
                                {**sizes, **compile_options},
                                {"timeout": timeout, "progress": progress,
                                 "kernel_cache": kernel_cache},
                                {"threads": threads, **run_options})
    else:
        ready = _load_and_compile(model, example_inputs, {**sizes, **export_options},
                                  {"backend": backend, "kernel_cache": kernel_cache,
                                   "samples": samples, **compile_options, **run_options},
                                  timeout, progress)
    ready.cast = cast or sources.is_estimator(model) or frameworks.framework_of(original) == "Keras"
    ready.gives_dict = gives_dict
    originals.remember(ready, original, was_given, given_options)
    return ready


def _load_and_compile(model: Any, example_inputs: Any, load_options: dict[str, Any],
                      options: dict[str, Any], timeout: Optional[float],
                      progress: Optional[Progress]) -> CompiledModel:
    progress = _narrator(progress)
    began = time.perf_counter()
    loaded = sources.load(model, example_inputs, timeout=timeout, progress=progress, **load_options)
    at = time.perf_counter()
    if timeout is not None:
        timeout = max(timeout - (at - began), 1e-9)
    compiled: CompiledModel = loaded.compile(timeout=timeout, progress=progress, **options)
    log.info("loaded in %.1f ms, compiled in %.1f ms (%s)", (at - began) * 1e3,
             (time.perf_counter() - at) * 1e3, compiled.backend)
    return compiled


def _split_dims(dims: Optional[Mapping[str, Sizes]]
                ) -> tuple[dict[str, int], list[tuple[str, list[int]]]]:
    """The dimensions with one size, and those with several: [(name, sizes)]."""
    fixed: dict[str, int] = {}
    listed: list[tuple[str, list[int]]] = []
    for name, sizes in (dims or {}).items():
        if isinstance(sizes, numbers.Integral):
            fixed[name] = int(sizes)
        else:
            listed.append((name, sorted({int(size) for size in sizes})))  # type: ignore[union-attr]
    return fixed, listed


def _compile_cached(model: Any, example_inputs: Any, export_options: dict[str, Any],
                    options: dict[str, Any], bounds: dict[str, Any], run_options: dict[str, Any]
                    ) -> CompiledModel:
    """An artefact of a model: made now, or found. A file whose artefact is known is not read."""
    fixed, listed = _split_dims(options["dims"])
    shapes = {name: list(map(int, shape)) for name, shape in (options["shapes"] or {}).items()}
    options = {**options, "dims": {**fixed, **dict(listed)}, "shapes": shapes}

    def read(path: str) -> CompiledModel:
        return sources.load_library_of(path, **run_options)

    seen = None
    if sources.is_path(model) and not export_options:
        seen = caching.sighting(model, options)
        found = seen.recall(read) if seen else None
        if found is not None:
            return found
    content = sources.bytes_of(model, example_inputs, **export_options)
    name = caching.key(content, options)
    made = caching.load(name, lambda path: aot(content, path, **options, **bounds), read)
    if seen:
        seen.remember(name)
    return made


@refuses_types
def aot(model: Any, output: Path, *, header: Optional[Path] = None, prefix: Optional[str] = None,
        example_inputs: Any = None, shapes: Optional[Shapes] = None,
        dims: Optional[Mapping[str, Sizes]] = None, growing_caches: bool = False,
        target: Optional[str] = None,
        target_cpu: str = "host", target_cpus: Sequence[str] = (),
        max_iterations: int = 100_000_000, runtime_archive: Optional[Path] = None,
        weights: Union[str, Sequence[str]] = "embedded", main: Optional[Path] = None, seed: int = 0,
        opt_level: int = 3, precision: str = "f32", max_error: Optional[float] = None,
        samples: Any = None, winograd: str = "auto", tune_seconds: Optional[float] = None,
        threads: int = 0, kernel_cache: bool = True, timeout: Optional[float] = None,
        progress: Optional[Progress] = None, **export_options: Any) -> Artifact:
    """Compiles a model ahead of time into a library (.so), object file (.o) or archive (.a)
    that needs neither Quern nor Python, into code to read (.s, .ll), or into a folder .c-test
    with C programs that compare it with the interpreter, on inputs drawn with `seed`, and run
    it. Gives an Artifact; quern.load runs a library.

    `header`: where its C header goes; `prefix`: of its C names. `target`: this machine, or
    "x86_64-linux-gnu" or "aarch64-linux-gnu". `target_cpu`: "host" (this CPU), "baseline" or
    LLVM's name of a CPU; for a file that travels `target_cpus`, several in one, of which a
    machine takes the best that it can run. `max_iterations`: of all loops in a run. `runtime_archive`: libquern_runtime.a,
    for libraries with nodes that need reference kernels; the package brings one for x86-64.
    `dims` may list several sizes, {"N": [1, 8, 32], "seq": range(16, 513, 16)}: the artefact
    has a plan for each combination, and takes the sizes when it runs. `weights`: "embedded",
    or "file", in one beside the artefact with its name and the suffix .weights; what they are kept
    as, as of quern.compile; or both, ("file", "int8"). `kernel_cache`,
    `growing_caches`, `precision`, `max_error`, `samples`, `winograd` and `tune_seconds`: as of
    quern.compile. `main`: where
    a C program goes that runs the artefact on files.
    """
    from .report import Artifact

    words = (weights,) if isinstance(weights, str) else tuple(weights)
    for word in words:
        if word not in ("embedded", "file", "given", "int8", "int4"):
            raise UsageError(f"weights are 'embedded' or in a 'file', and 'given', 'int8' or "
                             f"'int4', not '{word}'")
    progress = _narrator(progress)
    fixed, listed = _split_dims(dims)
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=fixed,
                          growing_caches=growing_caches, timeout=timeout, progress=progress,
                          **export_options)
    if not isinstance(loaded, Model):
        raise UsageError(f"{os.fspath(model)} is compiled already")
    if runtime_archive is None and _RUNTIME_ARCHIVE.exists():
        runtime_archive = _RUNTIME_ARCHIVE
    path = os.fspath(output)
    paths = {"header": header, "main": main, "runtime_archive": runtime_archive}
    began = time.perf_counter()
    needed, cpus = loaded.write_artifact(
        target=target or "", target_cpu=target_cpu, opt_level=opt_level, precision=precision,
        max_error=max_error, samples=samples, winograd=winograd, tune_seconds=tune_seconds,
        threads=threads,
        weights=next((word for word in words if word in ("given", "int8", "int4")), "given"),
        kernel_cache=kernel_cache, output=path,
        **{name: os.fspath(place) for name, place in paths.items() if place is not None},
        prefix=prefix or "", max_iterations=max_iterations, target_cpus=list(target_cpus),
        listed_sizes=listed, weights_in_file="file" in words, seed=seed, timeout=timeout,
        progress=progress)
    seconds = time.perf_counter() - began
    log.info("wrote %s in %.1f ms", path, seconds * 1e3)
    written = pathlib.Path(path)
    files = [written] if written.is_file() else list(written.iterdir())
    return Artifact(path, os.fspath(header) if header else None,
                    sum(file.stat().st_size for file in files), seconds, needed, cpus,
                    precision)
