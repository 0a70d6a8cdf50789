"""Element types that NumPy has from the package ml_dtypes, and what comes by DLPack."""
import numpy as np

try:
    import ml_dtypes
except ImportError:  # bits in integers stand for them
    ml_dtypes = None


def extension_dtype(name):
    """ml_dtypes' type of this name, or None."""
    kind = getattr(ml_dtypes, name, None)
    return None if kind is None else np.dtype(kind)


# NumPy's names of onnx.TensorProto.DataType, and ONNX Runtime's where it has others.
ONNX_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32",
               7: "int64", 8: "object", 9: "bool", 10: "float16", 11: "float64", 12: "uint32",
               13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16"}
RUNTIME_NAMES = {"float32": "float", "float64": "double", "object": "string"}


def dtype_of(element_type):
    """NumPy's type of a type, its name or ONNX's number."""
    name = ONNX_DTYPES.get(element_type) if isinstance(element_type, int) else None
    return extension_dtype(name) if name == "bfloat16" else np.dtype(name or element_type)


def from_dlpack(value):
    """A NumPy array on the memory of a tensor of another framework."""
    if getattr(value, "requires_grad", False):
        value = value.detach()
    return np.from_dlpack(value)
