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


def from_dlpack(value):
    """A NumPy array on the memory of a tensor of another framework."""
    if getattr(value, "requires_grad", False):
        value = value.detach()
    return np.from_dlpack(value)
