"""What can be compiled: files, bytes, onnx.ModelProto, torch modules, scikit-learn estimators.

Converting is left to the converters that users of these packages have; none is needed to
import quern.
"""
import io
import logging
import os
import pathlib

from ._quern import Model, is_library_file, load_library
from .errors import FileError, UnsupportedError, UsageError

log = logging.getLogger("quern")


_LIBRARY_OPTIONS = ("threads", "profile", "flush_denormals", "memory_limit")


def is_library(model):
    """Whether it is the path of a library that quern.aot has written."""
    return isinstance(model, (str, os.PathLike)) and is_library_file(os.fspath(model))


def load(model, example_inputs=None, *, shapes=None, dims=None, timeout=None, progress=None,
         **export_options):
    """The quern.Model of a path, bytes, an onnx.ModelProto, a torch.nn.Module with example
    inputs, or a fitted scikit-learn estimator. `shapes` gives inputs sizes by their name,
    `dims` gives them to symbolic dimensions; `export_options` are those of the exporter.

    Of the path of a library that quern.aot has written, what quern.compile gives: ready to
    run, with the options `threads`, `memory_limit`, `profile` and `flush_denormals` of runs.
    Loading it runs code in it: trust it as you trust a program."""
    if isinstance(model, Model):
        return model
    if is_library(model):
        if shapes or dims:
            raise UsageError(f"{os.fspath(model)} is compiled: its sizes are given")
        _refuse(set(export_options).difference(_LIBRARY_OPTIONS))
        return load_library(os.fspath(model), **export_options)
    sizes = {"shapes": {name: list(shape) for name, shape in (shapes or {}).items()},
             "dims": dict(dims or {}), "timeout": timeout, "progress": progress}
    if isinstance(model, (str, os.PathLike)):
        _refuse(export_options)
        return Model.load(os.fspath(model), **sizes)
    return Model.from_bytes(serialized(model, example_inputs, **export_options),
                            name=_name_of(model), **sizes)


def bytes_of(model, example_inputs=None, **export_options):
    """Those of any model that `load` takes, but for one that is loaded."""
    if isinstance(model, Model):
        raise UsageError("a quern.Model has no bytes any more; give the file, or a message")
    if isinstance(model, (str, os.PathLike)):
        _refuse(export_options)
        try:
            return pathlib.Path(model).read_bytes()
        except OSError as error:
            raise FileError(f"{os.fspath(model)}: cannot open: {error.strerror}") from error
    return serialized(model, example_inputs, **export_options)


def serialized(model, example_inputs=None, **export_options):
    """The bytes of a model that is not a file."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        _refuse(export_options)
        return bytes(model)
    if isinstance(model, io.IOBase):
        _refuse(export_options)
        return model.read()
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(model).__mro__}
    if "torch.nn.modules.module.Module" in kinds:
        return _from_torch(model, example_inputs, export_options)
    if "sklearn.base.BaseEstimator" in kinds:
        return _from_sklearn(model, example_inputs, export_options)
    if hasattr(model, "SerializeToString") and hasattr(model, "graph"):
        _refuse(export_options)
        return _bytes_of(model)
    raise UsageError(f"cannot compile a {type(model).__module__}.{type(model).__qualname__}; "
                     "wanted a path, bytes, an onnx.ModelProto, a torch.nn.Module or a fitted "
                     "scikit-learn estimator")


def _refuse(export_options):
    if export_options:
        raise UsageError(f"unknown options: {', '.join(sorted(export_options))}")


def _name_of(model):
    return "model" if isinstance(model, (bytes, bytearray, memoryview)) else type(model).__name__


def _bytes_of(proto):
    try:
        return proto.SerializeToString()
    except ValueError as error:  # protobuf's bound of 2 GiB
        raise UsageError(f"the model cannot be serialized ({error}); save it with external data "
                         "and compile the file") from error


def _from_torch(module, example_inputs, options):
    import torch

    if example_inputs is None:
        raise UsageError("a torch.nn.Module needs example inputs: quern.compile(module, (tensor,))")
    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(f"torch.onnx needs the package {error.name}: "
                               "pip install onnx onnxscript") from error
    log.info("exporting %s with torch.onnx", type(module).__name__)
    with torch.no_grad():
        program = torch.onnx.export(module, tuple(example_inputs),
                                    **{"dynamo": True, "verbose": False, **options})
    return _bytes_of(program.model_proto)


def _from_sklearn(estimator, example_inputs, options):
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as error:
        raise UnsupportedError("scikit-learn estimators need the package skl2onnx: "
                               "pip install skl2onnx") from error
    if example_inputs is None:
        if not hasattr(estimator, "n_features_in_"):
            raise UsageError(f"{type(estimator).__name__} is not fitted; give a fitted estimator, "
                             "or example inputs")
        options.setdefault("initial_types",
                           [("X", FloatTensorType([None, estimator.n_features_in_]))])
    if hasattr(estimator, "predict_proba"):  # arrays instead of a list of dicts
        options.setdefault("options", {id(estimator): {"zipmap": False}})
    log.info("converting %s with skl2onnx", type(estimator).__name__)
    return _bytes_of(to_onnx(estimator, example_inputs, **options))
