"""OrtValue and IOBinding, as in the package onnxruntime: arrays bound to ports."""
import ctypes

import numpy as np

from ._dtypes import ONNX_DTYPES, RUNTIME_NAMES, dtype_of, from_dlpack
from .errors import InvalidInputError


def _check_device(device_type):
    if device_type not in ("cpu", "CPU", 0):
        raise InvalidInputError(f"there is no device '{device_type}'; wanted 'cpu'")


class OrtValue:
    """An array, a list or a dict."""

    def __init__(self, value):
        self._value = value

    @staticmethod
    def ortvalue_from_numpy(array, device_type="cpu", device_id=0):
        _check_device(device_type)
        return OrtValue(array)

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        _check_device(device_type)
        return OrtValue(np.empty(shape, dtype_of(element_type)))

    @staticmethod
    def ortvalue_from_numpy_with_onnx_type(array, onnx_element_type):
        """The bits of an array as another type of the same width, as bfloat16."""
        return OrtValue(np.asarray(array).view(dtype_of(onnx_element_type)))

    @staticmethod
    def from_dlpack(data, is_bool_tensor=False):
        array = data._value if isinstance(data, OrtValue) else (
            data if isinstance(data, np.ndarray) else from_dlpack(data))
        return OrtValue(array.view(bool) if is_bool_tensor else array)

    def __dlpack__(self, **options):
        return self._value.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._value.__dlpack_device__()

    def numpy(self):
        return self._value

    def shape(self):
        return list(self._value.shape)

    def element_type(self):
        """Of onnx.TensorProto.DataType."""
        name = "object" if self._value.dtype.kind in "USO" else self._value.dtype.name
        return next(number for number, known in ONNX_DTYPES.items() if known == name)

    def data_type(self):
        if isinstance(self._value, (list, tuple)):
            return f"seq({OrtValue(self._value[0]).data_type()})" if self._value else "seq()"
        name = ONNX_DTYPES[self.element_type()]
        return f"tensor({RUNTIME_NAMES.get(name, name)})"

    def tensor_size_in_bytes(self):
        return self._value.nbytes

    def data_ptr(self):
        return self._value.ctypes.data

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
        np.copyto(self._value, array)


def _array_at(pointer, shape, element_type):
    """An array on memory that the caller keeps."""
    dtype = dtype_of(element_type)
    count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
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
        self._results = []

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
        self._inputs[self._index(0, name)] = value._value

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
        self._bind_output(name, value._value)

    def get_outputs(self):
        return [OrtValue(self._results[i]) for i in self._wanted]

    get_outputs_as_ortvaluevector = get_outputs

    def copy_outputs_to_cpu(self):
        return [self._results[i] for i in self._wanted]

    def clear_binding_inputs(self):
        self._inputs = [None] * len(self._inputs)

    def clear_binding_outputs(self):
        self._targets, self._wanted = [None] * len(self._targets), []

    def synchronize_inputs(self):
        """Nothing is under way."""

    def synchronize_outputs(self):
        """Nothing is under way."""
