"""quern.compile and quern.aot."""
import logging
import os
import time

from . import sources

log = logging.getLogger("quern")


def compile(model, example_inputs=None, *, shapes=None, dims=None, backend="native",
            target="host", opt_level=3, threads=0, profile=False, flush_denormals=True,
            timeout=None, memory_limit=None, **export_options):
    """Makes a model ready to run: a callable that takes and gives arrays.

    `model`: a path, bytes, an onnx.ModelProto, a torch.nn.Module (with `example_inputs`), a
    fitted scikit-learn estimator, or a quern.Model. `backend`: "native", or "interpreter" for
    the unoptimised reference. `threads`: of compiling and of runs; 0 is all this process may
    use. `timeout`: seconds for loading and compiling; `memory_limit`: bytes that a run may
    hold. `profile`: time every step. Other options go to the exporter of torch or skl2onnx.
    """
    began = time.perf_counter()
    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, timeout=timeout,
                          **export_options)
    at = time.perf_counter()
    if timeout is not None:
        timeout = max(timeout - (at - began), 1e-9)
    compiled = loaded.compile(backend=backend, target=target, opt_level=opt_level,
                              threads=threads, profile=profile, flush_denormals=flush_denormals,
                              timeout=timeout, memory_limit=memory_limit)
    log.info("loaded in %.1f ms, compiled in %.1f ms (%s)", (at - began) * 1e3,
             (time.perf_counter() - at) * 1e3, backend)
    return compiled


def aot(model, output, *, header=None, prefix=None, example_inputs=None, shapes=None, dims=None,
        target="baseline", opt_level=3, threads=0, timeout=None, **export_options):
    """Compiles a model ahead of time into a library (.so), object file (.o) or archive (.a)
    that needs neither Quern nor Python; `header` is its C header. Gives an Artifact."""
    from .report import Artifact

    loaded = sources.load(model, example_inputs, shapes=shapes, dims=dims, timeout=timeout,
                          **export_options)
    began = time.perf_counter()
    output, header = os.fspath(output), "" if header is None else os.fspath(header)
    loaded.write_artifact(output, header=header, prefix=prefix or "", target=target,
                          opt_level=opt_level, threads=threads, timeout=timeout)
    seconds = time.perf_counter() - began
    log.info("wrote %s in %.1f ms", output, seconds * 1e3)
    return Artifact(output, header or None, os.path.getsize(output), seconds)
