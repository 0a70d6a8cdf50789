"""Quern compiles neural networks and decision trees (ONNX) into native code.

    model = quern.compile("model.onnx")
    result = model(array)

`import quern as ort` stands in for onnxruntime.
"""
from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from .errors import *
from .errors import __all__ as _errors, refuses_types as _refuses_types


def _is_main_interpreter() -> bool:
    try:
        interpreters = importlib.import_module(
            "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    except ImportError:  # a Python without them
        return True
    current = interpreters.get_current()
    return int(current[0] if isinstance(current, tuple) else current) == 0


# The part in C++ is one for the whole process: a second one would break the first.
if not _is_main_interpreter():
    raise ImportError("quern runs in the main interpreter of a process only, not in a "
                      "sub-interpreter (mod_wsgi: WSGIApplicationGroup %{GLOBAL})")


def _load_native() -> None:
    """Loads the part in C++ so that it and its libraries find their own symbols before those of
    others: TensorFlow makes another protobuf's global, with which this one's would crash."""
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | getattr(os, "RTLD_DEEPBIND", 0))
    try:
        importlib.import_module("._quern", __name__)
    finally:
        sys.setdlopenflags(flags)


_load_native()
from ._quern import (Cancellation as Cancellation, CompiledModel as CompiledModel, Model as Model,
                     Port as Port, __version__ as __version__, host_cpu as host_cpu)
from .compiling import aot as aot, compile as compile
from .sources import load as load

if TYPE_CHECKING:  # for type checkers, which do not see what comes later
    from .binding import IOBinding as IOBinding, OrtValue as OrtValue
    from .errors import (
        AccuracyError as AccuracyError, CancelledError as CancelledError, FileError as FileError,
        IncompatibleError as IncompatibleError, InternalError as InternalError,
        InvalidInputError as InvalidInputError, InvalidModelError as InvalidModelError,
        QuernError as QuernError, ResourceLimitError as ResourceLimitError,
        TooSlowError as TooSlowError, UnsupportedError as UnsupportedError, UsageError as UsageError)
    from .options import (
        ExecutionMode as ExecutionMode, ExecutionOrder as ExecutionOrder,
        GraphOptimizationLevel as GraphOptimizationLevel, ModelMetadata as ModelMetadata,
        NodeArg as NodeArg, RunOptions as RunOptions, SessionOptions as SessionOptions)
    from .predict import Predictor as Predictor
    from .quantizing import Quantized as Quantized, quantize as quantize
    from .report import (Artifact as Artifact, benchmark as benchmark, compare as compare,
                         compare_nodes as compare_nodes, explain as explain, inspect as inspect, problems as problems)
    from .session import (
        InferenceSession as InferenceSession,
        disable_telemetry_events as disable_telemetry_events,
        enable_telemetry_events as enable_telemetry_events,
        get_all_providers as get_all_providers, get_available_providers as get_available_providers,
        get_build_info as get_build_info, get_device as get_device,
        get_version_string as get_version_string,
        set_default_logger_severity as set_default_logger_severity,
        set_default_logger_verbosity as set_default_logger_verbosity, set_seed as set_seed)
    from .tracing import trace as trace

# What needs NumPy or more time to import comes when it is asked for.
_LATER = {name: module for module, names in {
    "binding": ("IOBinding", "OrtValue"),
    "options": ("ExecutionMode", "ExecutionOrder", "GraphOptimizationLevel", "ModelMetadata",
                "NodeArg", "RunOptions", "SessionOptions"),
    "predict": ("Predictor",),
    "quantizing": ("Quantized", "quantize"),
    "report": ("Artifact", "benchmark", "compare", "compare_nodes", "explain", "inspect", "problems"),
    "tracing": ("trace",),
    "session": ("InferenceSession", "disable_telemetry_events", "enable_telemetry_events",
                "get_all_providers", "get_available_providers", "get_build_info", "get_device",
                "get_version_string", "set_default_logger_severity",
                "set_default_logger_verbosity", "set_seed"),
}.items() for name in names}

__all__ = sorted([
    "Cancellation", "CompiledModel", "Model", "Port", "__version__", "aot", "compile", "host_cpu",
    "load", *_errors, *_LATER])

for _class, _name in ((Model, "analyze_time"), (Model, "compare_nodes"), (Model, "compile"), (Model, "steps"), (Model, "write_artifact"),
                      (CompiledModel, "warm_up")):
    setattr(_class, _name, _refuses_types(getattr(_class, _name)))
for _name in ("from_bytes", "load"):
    setattr(Model, _name, staticmethod(_refuses_types(getattr(Model, _name))))


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module("." + _LATER[name], __name__), name)
    raise AttributeError(f"module 'quern' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
