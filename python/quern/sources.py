"""What can be compiled: files, bytes, onnx.ModelProto; models of other frameworks (frameworks.py) and
fitted estimators (converters.py), which are converted.
"""
from __future__ import annotations

import io
import os
import pathlib
from typing import Any, Mapping, Optional, Sequence

from . import _quern, frameworks
from ._quern import CompiledModel, Model
from .errors import FileError, UsageError, refuses_types, wraps_errors

_LIBRARY_OPTIONS = ("threads", "profile", "flush_denormals", "memory_limit")
_ESTIMATORS = {"sklearn.base.BaseEstimator", "lightgbm.basic.Booster", "xgboost.core.Booster"}


def is_path(model: Any) -> bool:
    return isinstance(model, (str, os.PathLike))


def is_library(model: Any) -> bool:
    """Whether it is the path of a library that quern.aot has written."""
    return is_path(model) and _quern.is_library_file(os.fspath(model))


def is_estimator(model: Any) -> bool:
    """Whether it is an estimator of scikit-learn, LightGBM or XGBoost."""
    return not _ESTIMATORS.isdisjoint(frameworks.kinds_of(model))


def is_foreign(model: Any) -> bool:
    """Whether a framework has to export it: a model of one, or a file or folder of one."""
    return not is_estimator(model) and frameworks.framework_of(model) is not None


@wraps_errors("converting the model")
def exported(model: Any, example_inputs: Any, export_options: dict[str, Any]) -> frameworks.Exported:
    """Of a foreign model."""
    return frameworks.export(model, example_inputs, export_options)


def load_library_of(path: str, **run_options: Any) -> CompiledModel:
    """That of an artefact; the options are those of runs."""
    return _quern.load_library(path, **run_options)


@refuses_types
def load(model: Any, example_inputs: Any = None, *,
         shapes: Optional[Mapping[str, Sequence[int]]] = None,
         dims: Optional[Mapping[str, int]] = None, growing_caches: bool = False,
         timeout: Optional[float] = None, progress: Any = None, **export_options: Any) -> Any:
    """The quern.Model of whatever quern.compile takes. `shapes` gives inputs sizes by their name, `dims` gives them
    to symbolic dimensions; `export_options` are those of the exporter. `growing_caches`: inputs
    that outputs continue (past keys and values), and these outputs, have the dimension that grows
    first, [length, batch, heads, size]: such an output may begin in its input's memory, where a
    run then writes only what is new (Model.run_into).

    Of the path of a library that quern.aot has written, what quern.compile gives: ready to
    run, with the options `threads`, `memory_limit`, `profile` and `flush_denormals` of runs.
    Loading it runs code in it: trust it as you trust a program."""
    if isinstance(model, Model):
        return model
    if is_library(model):
        if shapes or dims or growing_caches:
            raise UsageError(f"{os.fspath(model)} is compiled: its sizes are given")
        _refuse(set(export_options).difference(_LIBRARY_OPTIONS))
        return load_library_of(os.fspath(model), **export_options)
    sizes: dict[str, Any] = {
        "shapes": {name: list(shape) for name, shape in (shapes or {}).items()},
        "dims": dict(dims or {}), "growing_caches": growing_caches, "timeout": timeout, "progress": progress}
    if is_path(model) and not is_foreign(model):
        _refuse(export_options)
        return Model.load(os.fspath(model), **sizes)
    return Model.from_bytes(serialized(model, example_inputs, **export_options),
                            name=name_of(model), **sizes)


def bytes_of(model: Any, example_inputs: Any = None, **export_options: Any) -> bytes:
    """Those of any model that `load` takes, but for one that is loaded."""
    if isinstance(model, Model):
        raise UsageError("a quern.Model has no bytes any more; give the file, or a message")
    if is_path(model) and not is_foreign(model):
        _refuse(export_options)
        try:
            return pathlib.Path(model).read_bytes()
        except OSError as error:
            raise FileError(f"{os.fspath(model)}: cannot open: {error.strerror}") from error
    return serialized(model, example_inputs, **export_options)


@wraps_errors("converting the model")
def serialized(model: Any, example_inputs: Any = None, **export_options: Any) -> bytes:
    """The bytes of a model that is not a file."""
    if is_foreign(model):
        return frameworks.export(model, example_inputs, export_options).content
    if isinstance(model, (bytes, bytearray, memoryview)):
        _refuse(export_options)
        return bytes(model)
    if isinstance(model, io.IOBase):
        _refuse(export_options)
        content: bytes = model.read()
        return content
    if is_estimator(model):
        from .converters import from_estimator
        return from_estimator(model, example_inputs, export_options)
    if hasattr(model, "SerializeToString") and hasattr(model, "graph"):
        _refuse(export_options)
        return bytes_of_message(model)
    raise UsageError(f"cannot compile a {type(model).__module__}.{type(model).__qualname__}; "
                     "wanted a path, bytes, an onnx.ModelProto, a keras.Model, a tf.function, a "
                     "torch.nn.Module or torch.export.ExportedProgram, a function of JAX or a "
                     "fitted estimator of scikit-learn, LightGBM or XGBoost")


def _refuse(export_options: Any) -> None:
    if export_options:
        raise UsageError(f"unknown options: {', '.join(sorted(export_options))}")


def name_of(model: Any) -> str:
    """What messages call a model: its path, or its type."""
    if is_path(model):
        return str(os.fspath(model))
    return "model" if isinstance(model, (bytes, bytearray, memoryview)) else type(model).__name__


def bytes_of_message(proto: Any) -> bytes:
    try:
        content: bytes = proto.SerializeToString()
        return content
    except ValueError as error:  # protobuf's bound of 2 GiB
        raise UsageError(f"the model cannot be serialized ({error}); save it with external data "
                         "and compile the file") from error
