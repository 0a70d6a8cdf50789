"""Models of Keras, TensorFlow, PyTorch and JAX: which of them an object or a file is, and what it
becomes. Exporting is left to the framework's own exporter, which is imported when it is needed.
"""
from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import re
import sys
import types
import zipfile
from typing import Any, Optional

from .errors import UnsupportedError, UsageError

_KERAS_CLASS = re.compile(r"(tf_)?keras\..*\.Model|tensorflow\.python\.keras\..*\.Model")
_TF_FUNCTIONS = re.compile(r"tensorflow\.python\.(eager|saved_model)\..*Function")


@dataclasses.dataclass
class Exported:
    """A model as ONNX or TFLite. `gives_dict`: what the framework gives for several outputs is a
    dict by their names."""

    content: bytes
    gives_dict: bool = False


def kinds_of(model: Any) -> set[str]:
    """The names of an object's class and of those it is derived from."""
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(model).__mro__}


def need(package: str, what: str, module: Optional[str] = None) -> Any:
    """A module of a package from PyPI, which `what` needs."""
    name = module or package
    try:
        __import__(name)
    except ImportError as error:
        raise UnsupportedError(f"{what} needs the package {package} ({error}): "
                               f"pip install {package}") from error
    return sys.modules[name]


#===-----------------------------------------------------------------------===#
# Which framework
#===-----------------------------------------------------------------------===#


def framework_of(model: Any) -> Optional[str]:
    """"Keras", "TensorFlow", "SavedModel", "torch", "torch.export" or "JAX"; None for others. Of a
    file by what it holds, whatever its name."""
    if isinstance(model, (str, os.PathLike)):
        return _framework_of_file(pathlib.Path(model))
    kinds = kinds_of(model)
    if any(map(_KERAS_CLASS.fullmatch, kinds)):
        return "Keras"
    if any(map(_TF_FUNCTIONS.fullmatch, kinds)):
        return "TensorFlow"
    if "torch.export.exported_program.ExportedProgram" in kinds:
        return "torch.export"
    if "torch.nn.modules.module.Module" in kinds:
        return "torch"
    if any(kind.endswith(".PjitFunction") for kind in kinds):
        return "JAX"
    # A function that nothing was done to yet; no other kind of model is one.
    if "jax" in sys.modules and isinstance(
            model, (types.FunctionType, types.MethodType, functools.partial)):
        return "JAX"
    return None


def _framework_of_file(path: pathlib.Path) -> Optional[str]:
    if (path / "saved_model.pb").is_file() or path.name == "saved_model.pb":
        return "SavedModel"
    try:
        with open(path, "rb") as file:
            head = file.read(8)
        if head == b"\x89HDF\r\n\x1a\n":
            return "Keras"
        members = zipfile.ZipFile(path).namelist() if head.startswith(b"PK\x03\x04") else []
    except (OSError, zipfile.BadZipFile):  # who reads it next says what is wrong with it
        return None
    if "model.weights.h5" in members and "config.json" in members:
        return "Keras"
    if any(name.endswith(("serialized_exported_program.json", "models/model.json"))
           for name in members):
        return "torch.export"
    return None


#===-----------------------------------------------------------------------===#
# Opening and exporting
#===-----------------------------------------------------------------------===#


def opened(model: Any) -> Any:
    """What a file or folder of a framework holds, as the framework has it; others as they are."""
    if not isinstance(model, (str, os.PathLike)):
        return model
    framework = framework_of(model)
    if framework == "Keras":
        from .tensorflow_models import load_keras
        return load_keras(os.fspath(model))
    if framework == "SavedModel":
        from .tensorflow_models import load_signature
        return load_signature(os.fspath(model))
    if framework == "torch.export":
        return need("torch", f"{os.fspath(model)}, a program of torch.export,").export.load(model)
    return model


def export(model: Any, example_inputs: Any, options: dict[str, Any]) -> Exported:
    """Of anything that framework_of knows."""
    framework = framework_of(model)
    if framework in ("torch", "torch.export"):
        from .converters import from_torch
        return from_torch(opened(model), example_inputs, options)
    if framework == "JAX":
        from .jax_functions import from_jax
        return from_jax(model, example_inputs, options)
    from .tensorflow_models import from_keras, from_function
    if framework == "Keras":
        return from_keras(opened(model), example_inputs, options)
    if framework in ("TensorFlow", "SavedModel"):
        return from_function(opened(model), example_inputs, options)
    raise UsageError(f"{type(model).__name__} is of no framework that is known")
