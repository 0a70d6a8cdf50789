import enum
from typing import Any

from ._quern import Port

class GraphOptimizationLevel(enum.IntEnum):
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
    def __init__(self) -> None: ...

class SessionOptions(_Entries):
    intra_op_num_threads: int
    inter_op_num_threads: int
    graph_optimization_level: GraphOptimizationLevel
    execution_mode: ExecutionMode
    execution_order: ExecutionOrder
    enable_profiling: bool
    profile_file_prefix: str
    enable_mem_pattern: bool
    enable_mem_reuse: bool
    enable_cpu_mem_arena: bool
    use_per_session_threads: bool
    log_severity_level: int
    log_verbosity_level: int
    logid: str
    optimized_model_filepath: str
    use_deterministic_compute: bool
    def add_free_dimension_override_by_name(self, name: str, size: int) -> None: ...
    def add_free_dimension_override_by_denotation(self, denotation: str, size: int) -> None: ...
    def add_session_config_entry(self, key: str, value: str) -> None: ...
    def get_session_config_entry(self, key: str) -> str: ...
    def has_providers(self) -> bool: ...
    def add_provider(self, name: str, options: Any = None) -> None: ...
    def register_custom_ops_library(self, path: str) -> None: ...
    def add_initializer(self, name: str, value: Any) -> None: ...

class RunOptions(_Entries):
    log_severity_level: int
    log_verbosity_level: int
    logid: str
    only_execute_path_to_fetches: bool
    training_mode: bool
    @property
    def terminate(self) -> bool: ...
    @terminate.setter
    def terminate(self, asked: bool) -> None: ...
    def add_run_config_entry(self, key: str, value: str) -> None: ...
    def get_run_config_entry(self, key: str) -> str: ...

class NodeArg:
    name: str
    type: str
    shape: list[Any]
    def __init__(self, port: Port) -> None: ...

class ModelMetadata:
    producer_name: str
    graph_name: str
    domain: str
    description: str
    graph_description: str
    version: int
    custom_metadata_map: dict[str, str]
    def __init__(self, source: Any) -> None: ...
