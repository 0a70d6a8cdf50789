"""InferenceSession and what belongs to it, as in the package onnxruntime.

A program that says `import quern as ort` instead of `import onnxruntime as ort` goes on.
Options that have no meaning here are taken and do nothing.
"""
import enum
import json
import os
import time

from . import sources
from ._quern import inspect_file
from .binding import IOBinding, OrtValue
from .errors import CancelledError, InvalidInputError, QuernError, UnsupportedError

_PROVIDERS = ["CPUExecutionProvider"]


class GraphOptimizationLevel(enum.IntEnum):
    """How much of the compiler is used."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class SessionOptions:
    """onnxruntime's options; those of threads, levels, profiles and sizes have a meaning."""

    def __init__(self):
        self.intra_op_num_threads = 0
        self.inter_op_num_threads = 0
        self.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.execution_mode = ExecutionMode.ORT_SEQUENTIAL
        self.enable_profiling = False
        self.profile_file_prefix = "quern_profile_"
        self.enable_mem_pattern = self.enable_mem_reuse = self.enable_cpu_mem_arena = True
        self.log_severity_level = -1
        self.log_verbosity_level = 0
        self.logid = ""
        self.optimized_model_filepath = ""
        self.use_deterministic_compute = False
        self._dims = {}
        self._entries = {}

    def add_free_dimension_override_by_name(self, name, size):
        self._dims[name] = size

    def add_session_config_entry(self, key, value):
        self._entries[key] = value

    def get_session_config_entry(self, key):
        return self._entries[key]

    def register_custom_ops_library(self, path):
        raise UnsupportedError(f"custom ops ({path}) cannot be loaded")

    def _compile_options(self):
        level = min(int(self.graph_optimization_level), 3)
        flush = self._entries.get("session.set_denormal_as_zero", "1") != "0"
        return {"threads": self.intra_op_num_threads, "opt_level": level,
                "profile": self.enable_profiling, "flush_denormals": flush}


class RunOptions:
    """onnxruntime's options of a run; `terminate` refuses the next one."""

    def __init__(self):
        self.log_severity_level = -1
        self.log_verbosity_level = 0
        self.logid = ""
        self.only_execute_path_to_fetches = False
        self.terminate = False
        self._entries = {}

    def add_run_config_entry(self, key, value):
        self._entries[key] = value


class NodeArg:
    """The name, type and shape of an input or output."""

    def __init__(self, port):
        self.name, self.type = port.name, port.type
        self.shape = [] if port.shape is None else list(port.shape)

    def __repr__(self):
        return f"NodeArg(name='{self.name}', type='{self.type}', shape={self.shape})"


class ModelMetadata:
    """What a model says about itself."""

    def __init__(self, facts):
        self.producer_name = facts.get("producer", "")
        self.graph_name = self.domain = self.description = self.graph_description = ""
        self.version = 0
        self.custom_metadata_map = {}


class InferenceSession:
    """A model ready to run. Any number of threads may call `run` at once."""

    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None,
                 **unused):
        options = sess_options or SessionOptions()
        self._options = options
        self._source = path_or_bytes
        self._model = sources.load(path_or_bytes, dims=options._dims)
        self._compiled = self._model.compile(**options._compile_options())
        self._inputs = self._model.inputs
        self._outputs = self._model.outputs
        self._run = self._compiled.run
        self._began = time.time_ns()

    def run(self, output_names, input_feed, run_options=None):
        """The outputs of these names, or all, as a list."""
        if run_options is not None and run_options.terminate:
            raise CancelledError("RunOptions.terminate is set")
        return self._run(output_names or None, input_feed)

    def run_with_ort_values(self, output_names, input_dict_ort_values, run_options=None):
        feed = {name: value._value for name, value in input_dict_ort_values.items()}
        return [OrtValue(value) for value in self.run(output_names, feed, run_options)]

    def io_binding(self):
        return IOBinding(self)

    def run_with_iobinding(self, iobinding, run_options=None):
        iobinding._run()

    def get_inputs(self):
        return [NodeArg(port) for port in self._inputs]

    def get_outputs(self):
        return [NodeArg(port) for port in self._outputs]

    def get_overridable_initializers(self):
        return []

    def get_modelmeta(self):
        is_path = isinstance(self._source, (str, os.PathLike))
        return ModelMetadata(inspect_file(os.fspath(self._source)) if is_path else {})

    def get_session_options(self):
        return self._options

    def get_providers(self):
        return list(_PROVIDERS)

    def get_provider_options(self):
        return {name: {} for name in _PROVIDERS}

    def set_providers(self, providers=None, provider_options=None):
        """There is one provider; others are passed over, as in a list of preferences."""

    def disable_fallback(self):
        """There is nothing to fall back to."""

    def enable_fallback(self):
        """There is nothing to fall back to."""

    def get_profiling_start_time_ns(self):
        return self._began

    def end_profiling(self):
        """Writes the profile as a trace for chrome://tracing or Perfetto; gives its name."""
        events, at = [], 0.0
        for row in self._compiled.profile():
            duration = row["nanoseconds"] / 1e3
            if row["depth"] == 0:
                events.append({"name": row["nodes"], "cat": "Node", "ph": "X", "pid": os.getpid(),
                               "tid": 0, "ts": at, "dur": duration,
                               "args": {"kernel": row["kernel"], "runs": row["runs"]}})
                at += duration
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        name = f"{self._options.profile_file_prefix}{stamp}.json"
        with open(name, "w", encoding="utf-8") as file:
            json.dump(events, file)
        return name


def get_available_providers():
    return list(_PROVIDERS)


get_all_providers = get_available_providers


def get_device():
    return "CPU"


def set_default_logger_severity(severity):
    """Messages go to Python's logger "quern": 0 and 1 show all of them, 2 warnings, ..."""
    import logging

    levels = [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
    logging.getLogger("quern").setLevel(levels[severity])


def set_seed(seed):
    """Random ops without a seed draw their own; there is nothing to set."""


__all__ = ["ExecutionMode", "GraphOptimizationLevel", "IOBinding", "InferenceSession",
           "InvalidInputError", "ModelMetadata", "NodeArg", "OrtValue", "QuernError",
           "RunOptions", "SessionOptions", "get_all_providers", "get_available_providers",
           "get_device", "set_default_logger_severity", "set_seed"]
