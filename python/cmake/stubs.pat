# What is known of types in Python, and not by nanobind: see its documentation on stub generation.
_quern.__prefix__:
    __version__: str

CompiledModel.__call__$:
    \from typing import Any
    \from collections.abc import Callable
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """An array, or a tuple (with gives_dict a dict by name) of several outputs."""

\.(inputs|outputs)$:
    @property
    def \1(self) -> tuple[Port, ...]: ...

Port.dtype$:
    @property
    def dtype(self) -> Any:
        """NumPy's type of a tensor's elements."""

Port.shape$:
    @property
    def shape(self) -> tuple[int | str | None, ...] | None:
        """Sizes, names of symbolic dimensions, and None for what is not known; None as a whole when not even their number is."""

CompiledModel.run$:
    def run(self, names: Sequence[str] | None, inputs: Any, timeout: float | None = None, cancellation: Cancellation | None = None) -> list[Any]:
        \doc

CompiledModel.run_into$:
    def run_into(self, inputs: Any, outputs: Any, cancellation: Cancellation | None = None) -> list[Any]:
        \doc

CompiledModel.warm_up$:
    \from collections.abc import Mapping
    def warm_up(self, dims: Mapping[str, int] = {}, *, shapes: Mapping[str, Sequence[int]] = {}, timeout: float | None = None) -> None:
        \doc

CompiledModel.compare$:
    def compare(self, original: Any = None, inputs: Any = None, *, seconds: float = 0.5, rtol: float | None = None, atol: float | None = None, systems: Sequence[str] | None = None) -> Any:
        \doc

load_library$:
    def load_library(path: str, /, **kwargs: Any) -> CompiledModel: ...

Model.steps$:
    def steps(self, dims: object | None = None) -> list[Any]:
        \doc

inspect_(file|library)$:
    def inspect_\1(path: str) -> dict[str, Any]: ...

inspect_bytes$:
    def inspect_bytes(bytes: bytes) -> dict[str, Any]: ...

problems$:
    def problems(path: str) -> list[dict[str, Any]]:
        \doc

host_cpu$:
    def host_cpu() -> dict[str, Any]:
        \doc

compare_models$:
    def compare_models(model: Model, reference: CompiledModel, compiled: CompiledModel, inputs: object | None, rtol: float | None, atol: float | None, seconds: float, small_weights: bool) -> dict[str, Any]: ...

benchmark_model$:
    def benchmark_model(model: CompiledModel, inputs: object | None, seconds: float) -> dict[str, Any]: ...

output_differences$:
    def output_differences(model: CompiledModel, wanted: object, found: object, rtol: float | None, atol: float | None) -> list[dict[str, Any]]: ...

sample_feed$:
    def sample_feed(model: CompiledModel) -> list[Any]: ...
