"""Options, enumerations and descriptions, as in the package onnxruntime.

Options that have no meaning here are taken and do nothing.
"""
import enum
import os

from ._quern import Cancellation, inspect_bytes, inspect_file
from .errors import UnsupportedError, UsageError


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


class ExecutionOrder(enum.IntEnum):
    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


class _Entries:
    """Settings by name. Attributes that are none of these, as misspelt ones, are refused."""

    __slots__ = ("_entries", "__weakref__")

    def __init__(self):
        self._entries = {}

    def _entry(self, key):
        if key not in self._entries:
            raise UsageError(f"there is no entry '{key}'")
        return self._entries[key]


class SessionOptions(_Entries):
    """onnxruntime's options; those of threads, levels, profiles and sizes have a meaning."""

    __slots__ = ("intra_op_num_threads", "inter_op_num_threads", "graph_optimization_level",
                 "execution_mode", "execution_order", "enable_profiling", "profile_file_prefix",
                 "enable_mem_pattern", "enable_mem_reuse", "enable_cpu_mem_arena",
                 "use_per_session_threads", "log_severity_level", "log_verbosity_level", "logid",
                 "optimized_model_filepath", "use_deterministic_compute", "_dims")

    def __init__(self):
        super().__init__()
        self.intra_op_num_threads = 0
        self.inter_op_num_threads = 0
        self.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.execution_mode = ExecutionMode.ORT_SEQUENTIAL
        self.execution_order = ExecutionOrder.DEFAULT
        self.enable_profiling = False
        self.profile_file_prefix = "quern_profile_"
        self.enable_mem_pattern = self.enable_mem_reuse = self.enable_cpu_mem_arena = True
        self.use_per_session_threads = True
        self.log_severity_level = -1
        self.log_verbosity_level = 0
        self.logid = ""
        self.optimized_model_filepath = ""
        self.use_deterministic_compute = False
        self._dims = {}

    def add_free_dimension_override_by_name(self, name, size):
        self._dims[name] = size

    def add_session_config_entry(self, key, value):
        self._entries[key] = value

    def get_session_config_entry(self, key):
        return self._entry(key)

    def has_providers(self):
        return False

    def add_provider(self, name, options=None):
        """There is one provider; others are passed over, as in a list of preferences."""

    def register_custom_ops_library(self, path):
        raise UnsupportedError(f"custom ops ({path}) cannot be loaded")

    def add_initializer(self, name, value):
        raise UnsupportedError(f"initializers ('{name}') cannot be replaced")

    def add_free_dimension_override_by_denotation(self, denotation, size):
        raise UnsupportedError(f"denotations ('{denotation}') are not looked at: override the "
                               "dimension by its name")

    def _compile_options(self):
        try:
            level = min(int(self.graph_optimization_level), 3)
        except (TypeError, ValueError):
            raise UsageError("graph_optimization_level is a GraphOptimizationLevel, not "
                             f"{self.graph_optimization_level!r}") from None
        bound = self._entries.get("quern.max_error")
        try:
            bound = None if bound is None else float(bound)
        except ValueError:
            raise UsageError(f"quern.max_error is a number, not '{bound}'") from None
        flush = self._entries.get("session.set_denormal_as_zero", "1") != "0"
        return {"threads": self.intra_op_num_threads, "opt_level": level,
                "precision": self._entries.get("quern.precision", "f32"), "max_error": bound,
                "weights": self._entries.get("quern.weights", "given"),
                "winograd": self._entries.get("quern.winograd", "auto"),
                "profile": self.enable_profiling, "flush_denormals": flush}


class RunOptions(_Entries):
    """onnxruntime's options of a run: `terminate`, from whatever thread, ends the runs that
    were given them, and refuses others until it is False again."""

    __slots__ = ("log_severity_level", "log_verbosity_level", "logid",
                 "only_execute_path_to_fetches", "training_mode", "_cancellation")

    def __init__(self):
        super().__init__()
        self.log_severity_level = -1
        self.log_verbosity_level = 0
        self.logid = ""
        self.only_execute_path_to_fetches = False
        self.training_mode = False
        self._cancellation = Cancellation()

    @property
    def terminate(self):
        return self._cancellation.cancelled

    @terminate.setter
    def terminate(self, asked):
        if asked:
            self._cancellation.cancel()
        else:
            self._cancellation.reset()

    def add_run_config_entry(self, key, value):
        self._entries[key] = value

    def get_run_config_entry(self, key):
        return self._entry(key)


class NodeArg:
    """The name, type and shape of an input or output."""

    def __init__(self, port):
        self.name, self.type = port.name, port.type
        self.shape = [] if port.shape is None else list(port.shape)

    def __repr__(self):
        return f"NodeArg(name='{self.name}', type='{self.type}', shape={self.shape})"


class ModelMetadata:
    """What a model says about itself."""

    def __init__(self, source):
        is_path = isinstance(source, (str, os.PathLike))
        facts = inspect_file(os.fspath(source)) if is_path else inspect_bytes(bytes(source))
        self.producer_name = facts["producer"]
        self.graph_name = facts["graph"]
        self.domain = facts["domain"]
        self.description = facts["description"]
        self.graph_description = facts["graph_description"]
        self.version = facts["version"]
        self.custom_metadata_map = facts["metadata"]
