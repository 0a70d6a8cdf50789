"""OrtValue and IOBinding, as in the package onnxruntime: arrays bound to ports."""
import ctypes
import math

import numpy as np

from ._dtypes import ONNX_DTYPES, RUNTIME_NAMES, dtype_of, element_type_of, from_dlpack
from .errors import InvalidInputError, UsageError, wraps_errors


def _check_device(device_type):
    if device_type not in ("cpu", "CPU", 0):
        raise InvalidInputError(f"there is no device '{device_type}'; wanted 'cpu'")


def _empty(shape, element_type):
    """A new array."""
    try:
        return np.empty(shape, dtype_of(element_type))
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"cannot make an array of shape {shape}: {error}") from None


class OrtValue:
    """An array, a list or a dict."""

    def __init__(self, value, element_type=None):
        self._value = value
        # What the bits of the array are where NumPy has no such type; else None.
        self._element_type = element_type

    @property
    def _array(self):
        """The array, when it is one."""
        if not isinstance(self._value, np.ndarray):
            raise InvalidInputError(
                f"the value is {type(self._value).__name__} and no tensor")
        return self._value

    @staticmethod
    def ortvalue_from_numpy(array, device_type="cpu", device_id=0):
        _check_device(device_type)
        if not isinstance(array, (np.ndarray, np.generic)):
            raise InvalidInputError(f"wanted a NumPy array, found {type(array).__name__}")
        return OrtValue(np.asarray(array))

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        _check_device(device_type)
        return OrtValue(_empty(shape, element_type), _given_type(element_type))

    @staticmethod
    def ortvalue_from_numpy_with_onnx_type(array, onnx_element_type):
        """The bits of an array as another type of the same width, as bfloat16."""
        array, dtype = np.asarray(array), dtype_of(onnx_element_type)
        if array.dtype.itemsize != dtype.itemsize or "O" in (array.dtype.kind, dtype.kind):
            raise InvalidInputError(f"elements of {array.dtype} are no bits of {dtype}")
        return OrtValue(array.view(dtype), _given_type(onnx_element_type))

    @staticmethod
    @wraps_errors("reading a value by DLPack")
    def from_dlpack(data, is_bool_tensor=False):
        array = data._array if isinstance(data, OrtValue) else (
            data if isinstance(data, np.ndarray) else from_dlpack(data))
        return OrtValue(array.view(bool) if is_bool_tensor else array)

    @wraps_errors("giving a value by DLPack")
    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    def numpy(self):
        return self._value

    def shape(self):
        return list(self._array.shape)

    def element_type(self):
        """Of onnx.TensorProto.DataType."""
        return self._element_type or element_type_of(self._array.dtype)

    def data_type(self):
        if isinstance(self._value, (list, tuple)):
            return f"seq({OrtValue(self._value[0]).data_type()})" if self._value else "seq()"
        name = ONNX_DTYPES[self.element_type()]
        return f"tensor({RUNTIME_NAMES.get(name, name)})"

    def tensor_size_in_bytes(self):
        return self._array.nbytes

    def data_ptr(self):
        return self._array.ctypes.data

    def device_name(self):
        return "cpu"

    def is_tensor(self):
        return isinstance(self._value, np.ndarray)

    def is_sparse_tensor(self):
        return False

    def is_tensor_sequence(self):
        return isinstance(self._value, (list, tuple))

    def has_value(self):
        return self._value is not None

    def update_inplace(self, array):
        target, array = self._array, np.asarray(array)
        if array.shape != target.shape or array.dtype != target.dtype:
            raise InvalidInputError(f"wanted {target.dtype} of shape {target.shape}, found "
                                    f"{array.dtype} of shape {array.shape}")
        np.copyto(target, array)


def value_of(value):
    """What an OrtValue holds."""
    if not isinstance(value, OrtValue):
        raise InvalidInputError(f"wanted a quern.OrtValue, found {type(value).__name__}")
    return value._value


def _given_type(element_type):
    """The number of a type that was given as such."""
    return element_type if isinstance(element_type, int) else None


def _array_at(pointer, shape, element_type):
    """An array on memory that the caller keeps."""
    dtype = dtype_of(element_type)
    if dtype.kind in "OUS":
        raise InvalidInputError("strings cannot be bound by an address")
    if shape is None or any(size < 0 for size in shape):
        raise InvalidInputError(f"an address needs the shape of the array, found {shape}")
    count = math.prod(shape) * dtype.itemsize
    if count == 0:
        return np.empty(shape, dtype)
    if not isinstance(pointer, int) or pointer <= 0:
        raise InvalidInputError(f"{pointer!r} is no address")
    memory = (ctypes.c_char * count).from_address(pointer)
    return np.frombuffer(memory, dtype).reshape(shape)


class IOBinding:
    """Inputs and outputs that stay the same for several runs: runs copy nothing."""

    def __init__(self, session):
        self._into = session._compiled.run_into
        self._ports = [[port.name for port in ports]
                       for ports in (session._inputs, session._outputs)]
        self._inputs, self._targets = ([None] * len(names) for names in self._ports)
        self._wanted = []
        self._results = None

    def _index(self, side, name):
        try:
            return self._ports[side].index(name)
        except ValueError:
            kind = ("input", "output")[side]
            raise InvalidInputError(f"the model has no {kind} '{name}'") from None

    def bind_cpu_input(self, name, array):
        self._inputs[self._index(0, name)] = array

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        _check_device(device_type)
        self._inputs[self._index(0, name)] = _array_at(buffer_ptr, shape, element_type)

    def bind_ortvalue_input(self, name, value):
        self._inputs[self._index(0, name)] = value_of(value)

    def _bind_output(self, name, array):
        i = self._index(1, name)
        if i not in self._wanted:
            self._wanted.append(i)
        self._targets[i] = array

    def bind_output(self, name, device_type="cpu", device_id=0, element_type=None, shape=None,
                    buffer_ptr=None):
        _check_device(device_type)
        self._bind_output(
            name, None if buffer_ptr is None else _array_at(buffer_ptr, shape, element_type))

    def bind_ortvalue_output(self, name, value):
        self._bind_output(name, value_of(value))

    def _outputs(self):
        if self._results is None and self._wanted:
            raise UsageError("there are no outputs yet: call run_with_iobinding first")
        return [self._results[i] for i in self._wanted]

    def get_outputs(self):
        return [OrtValue(value) for value in self._outputs()]

    get_outputs_as_ortvaluevector = get_outputs

    def copy_outputs_to_cpu(self):
        return self._outputs()

    def clear_binding_inputs(self):
        self._inputs = [None] * len(self._inputs)

    def clear_binding_outputs(self):
        self._targets, self._wanted = [None] * len(self._targets), []

    def synchronize_inputs(self):
        """Nothing is under way."""

    def synchronize_outputs(self):
        """Nothing is under way."""
