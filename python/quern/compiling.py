"""quern.compile and quern.aot."""
import logging
import numbers
import os
import pathlib
import time

from . import cache as caching, sources
from ._quern import ArtifactOptions
from .errors import UsageError

log = logging.getLogger("quern")
# What artefacts with reference kernels are linked with; the wheel has it.
_RUNTIME_ARCHIVE = pathlib.Path(__file__).with_name("libquern_runtime.a")


def _narrator(progress):
    """What is told what the work is at: the caller's function, the logger at level DEBUG, or
    nobody, which costs nothing."""
    if progress is not None or not log.isEnabledFor(logging.DEBUG):
        return progress
    began = time.perf_counter()
    return lambda doing: log.debug("%.1f s: %s", time.perf_counter() - began, doing)


def compile(model, example_inputs=None, *, shapes=None, dims=None, backend="native",
            target_cpu="host", opt_level=3, threads=0, profile=False, flush_denormals=True,
            timeout=None, memory_limit=None, progress=None, cache=False, **export_options):
    """Makes a model ready to run: a callable that takes and gives arrays.

    `model`: a path, bytes, an onnx.ModelProto, a torch.nn.Module (with `example_inputs`), a
    fitted scikit-learn estimator, a quern.Model, or a library that quern.aot has written.
    `backend`: "native", or "interpreter" for the unoptimised reference. `threads`: of
    compiling and of runs; 0 is all this process may use. `timeout`: seconds for loading and
    compiling; `memory_limit`: bytes that a run may hold. `profile`: time every step.
    `progress`: a function that is told what the work is at ("optimising the graph") whenever
    that changes; what it raises ends the work. `cache`: compile ahead of time into a file that
    all processes of the user share, for the sizes that `shapes` and `dims` give, where `dims`
    may list several (quern.aot). Other options go to the exporter of torch or skl2onnx.
    """
    run_options = {"threads": threads, "profile": profile, "flush_denormals": flush_denormals,
                   "memory_limit": memory_limit}
    if sources.is_library(model):
        if (backend, target_cpu, opt_level) != ("native", "host", 3):
            raise UsageError(f"{os.fspath(model)} is compiled: its backend, CPU and level are given")
        return sources.load(model, example_inputs, shapes=shapes, dims=dims, **run_options,
                            **export_options)
    if cache:
        if backend != "native":
            raise UsageError("the cache is for native code")
        return _compile_cached(sources.bytes_of(model, example_inputs, **export_options),
                               {"shapes": shapes, "dims": dims, "target_cpu": target_cpu,
                                "opt_level": opt_level, "threads": threads},
                               {"timeout": timeout, "progress": progress}, run_options)
    progress = _narrator(progress)
    began = time.perf_counter()
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, timeout=timeout,
                          progress=progress, **export_options)
    at = time.perf_counter()
    if timeout is not None:
        timeout = max(timeout - (at - began), 1e-9)
    compiled = loaded.compile(backend=backend, target_cpu=target_cpu, opt_level=opt_level,
                              timeout=timeout, progress=progress, **run_options)
    log.info("loaded in %.1f ms, compiled in %.1f ms (%s)", (at - began) * 1e3,
             (time.perf_counter() - at) * 1e3, backend)
    return compiled


def _split_dims(dims):
    """The dimensions with one size, and those with several: [(name, sizes)]."""
    fixed, listed = {}, []
    for name, sizes in (dims or {}).items():
        if isinstance(sizes, numbers.Integral):
            fixed[name] = int(sizes)
        else:
            listed.append((name, sorted({int(size) for size in sizes})))
    return fixed, listed


def _compile_cached(model, options, bounds, run_options):
    """An artefact of a model, given as bytes: made now, or found."""
    fixed, listed = _split_dims(options["dims"])
    options = {**options, "dims": {**fixed, **dict(listed)}}
    return caching.load(caching.key(model, options),
                        lambda path: aot(model, path, **options, **bounds),
                        lambda path: sources.load(path, **run_options))


def aot(model, output, *, header=None, prefix=None, example_inputs=None, shapes=None, dims=None,
        target=None, target_cpu="baseline", target_cpus=(), max_iterations=100_000_000,
        runtime_archive=None, weights="embedded", main=None, seed=0, opt_level=3, threads=0,
        timeout=None, progress=None, **export_options):
    """Compiles a model ahead of time into a library (.so), object file (.o) or archive (.a)
    that needs neither Quern nor Python, into code to read (.s, .ll), or into a folder .c-test
    with C programs that compare it with the interpreter, on inputs drawn with `seed`, and run
    it. Gives an Artifact; quern.load runs a library.

    `header`: where its C header goes; `prefix`: of its C names. `target`: this machine, or
    "x86_64-linux-gnu" or "aarch64-linux-gnu". `target_cpu`: "baseline", "host" or LLVM's name
    of a CPU; or `target_cpus`, several in one file, of which a machine takes the best that it
    can run. `max_iterations`: of all loops in a run. `runtime_archive`: libquern_runtime.a,
    for libraries with nodes that need reference kernels; the package brings one for x86-64.
    `dims` may list several sizes, {"N": [1, 8, 32], "seq": range(16, 513, 16)}: the artefact
    has a plan for each combination, and takes the sizes when it runs. `weights`: "embedded",
    or "file", in one beside the artefact with its name and the suffix .weights. `main`: where
    a C program goes that runs the artefact on files.
    """
    from .report import Artifact

    if weights not in ("embedded", "file"):
        raise UsageError(f"weights are 'embedded' or in a 'file', not '{weights}'")
    progress = _narrator(progress)
    fixed, listed = _split_dims(dims)
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=fixed, timeout=timeout,
                          progress=progress, **export_options)
    if not hasattr(loaded, "write_artifact"):
        raise UsageError(f"{os.fspath(model)} is compiled already")
    options = ArtifactOptions()
    options.output = os.fspath(output)
    options.header = os.fspath(header) if header is not None else ""
    options.prefix = prefix or ""
    options.max_iterations = max_iterations
    options.target_cpus = list(target_cpus)
    options.list_sizes(listed)
    options.weights_in_file = weights == "file"
    options.main = os.fspath(main) if main is not None else ""
    options.seed = seed
    if runtime_archive is None and _RUNTIME_ARCHIVE.exists():
        runtime_archive = _RUNTIME_ARCHIVE
    options.runtime_archive = os.fspath(runtime_archive) if runtime_archive is not None else ""
    began = time.perf_counter()
    needed = loaded.write_artifact(options, target=target or "", target_cpu=target_cpu,
                                   opt_level=opt_level, threads=threads, timeout=timeout,
                                   progress=progress)
    seconds = time.perf_counter() - began
    log.info("wrote %s in %.1f ms", options.output, seconds * 1e3)
    written = pathlib.Path(options.output)
    files = [written] if written.is_file() else list(written.iterdir())
    return Artifact(options.output, options.header or None,
                    sum(path.stat().st_size for path in files), seconds, needed)
