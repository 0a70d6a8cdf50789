"""Element types that NumPy has from the package ml_dtypes, and what comes by DLPack."""
import importlib
from typing import Any, Optional

import numpy as np

from .errors import InvalidInputError

try:
    ml_dtypes: Any = importlib.import_module("ml_dtypes")
except ImportError:  # bits in integers stand for them
    ml_dtypes = None


def extension_dtype(name: str) -> Optional[Any]:
    """ml_dtypes' type of this name, or None."""
    kind = getattr(ml_dtypes, name, None)
    return None if kind is None else np.dtype(kind)


# NumPy's and ml_dtypes' names of onnx.TensorProto.DataType, and ONNX Runtime's where it has others.
ONNX_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32",
               7: "int64", 8: "object", 9: "bool", 10: "float16", 11: "float64", 12: "uint32",
               13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
               17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2",
               20: "float8_e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4_e2m1fn",
               24: "float8_e8m0fnu", 25: "uint2", 26: "int2"}
RUNTIME_NAMES = {"float32": "float", "float64": "double", "object": "string",
                 "float8_e4m3fn": "float8e4m3fn", "float8_e4m3fnuz": "float8e4m3fnuz",
                 "float8_e5m2": "float8e5m2", "float8_e5m2fnuz": "float8e5m2fnuz",
                 "float4_e2m1fn": "float4e2m1", "float8_e8m0fnu": "float8e8m0"}
# Those that NumPy does not have itself, and the integers that store their bits.
STORAGE = {name: "int8" if name.startswith("int") else "uint16" if name == "bfloat16" else "uint8"
           for number, name in ONNX_DTYPES.items() if number >= 16}


def element_type_of(dtype: Any) -> int:
    """ONNX's number of one of NumPy's types."""
    name = "object" if dtype.kind in "USO" else dtype.name
    for number, known in ONNX_DTYPES.items():
        if known == name:
            return number
    raise InvalidInputError(f"NumPy's type '{dtype}' is no element type of ONNX")


def dtype_of(element_type: Any) -> Any:
    """NumPy's type of a type, its name or ONNX's number; the integer that stores the bits where
    neither NumPy nor ml_dtypes has the type."""
    name = element_type
    if isinstance(element_type, int):
        name = ONNX_DTYPES.get(element_type)
        if name is None:
            raise InvalidInputError(f"there is no element type {element_type} in ONNX")
    if isinstance(name, str) and name in STORAGE:
        found = extension_dtype(name)
        return np.dtype(STORAGE[name]) if found is None else found
    try:
        return np.dtype(name)
    except TypeError as error:
        raise InvalidInputError(f"{element_type!r} is no element type: {error}") from None


def from_dlpack(value: Any) -> Any:
    """A NumPy array on the memory of a tensor of another framework."""
    if getattr(value, "requires_grad", False):
        value = value.detach()
    return np.from_dlpack(value)
