"""Quern compiles neural networks and decision trees (ONNX) into native code.

    model = quern.compile("model.onnx")
    result = model(array)

`import quern as ort` stands in for onnxruntime.
"""
import importlib

from ._quern import Cancellation, CompiledModel, Model, Port, __version__, host_cpu, problems
from .compiling import aot, compile
from .errors import *
from .errors import __all__ as _errors
from .sources import load

# What needs NumPy or more time to import comes when it is asked for.
_LATER = {name: module for module, names in {
    "binding": ("IOBinding", "OrtValue"),
    "options": ("ExecutionMode", "ExecutionOrder", "GraphOptimizationLevel", "ModelMetadata",
                "NodeArg", "RunOptions", "SessionOptions"),
    "predict": ("Predictor",),
    "report": ("Artifact", "benchmark", "compare", "inspect"),
    "session": ("InferenceSession", "disable_telemetry_events", "enable_telemetry_events",
                "get_all_providers", "get_available_providers", "get_build_info", "get_device",
                "get_version_string", "set_default_logger_severity",
                "set_default_logger_verbosity", "set_seed"),
}.items() for name in names}

__all__ = sorted([
    "Cancellation", "CompiledModel", "Model", "Port", "__version__", "aot", "compile", "host_cpu",
    "load", "problems", *_errors, *_LATER])


def __getattr__(name):
    if name in _LATER:
        return getattr(importlib.import_module("." + _LATER[name], __name__), name)
    raise AttributeError(f"module 'quern' has no attribute '{name}'")


def __dir__():
    return __all__
