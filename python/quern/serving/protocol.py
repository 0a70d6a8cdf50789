"""The Open Inference Protocol (v2), from the bytes of strangers to arrays and back.

Nothing is allocated for a tensor before its shape, its type and the bytes that are there have been
seen to agree with each other and with the limits.
"""
from __future__ import annotations

import dataclasses
import itertools
import json
import struct
from typing import Any, Mapping, Optional, Sequence, Union

import numpy as np

from .._dtypes import dtype_of
from ..errors import InvalidInputError, UnsupportedError
from .limits import Limits

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

Buffer = Union[bytes, bytearray, memoryview]

# The protocol's names of element types, and NumPy's.
_TYPES = {"BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32",
          "UINT64": "uint64", "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
          "FP16": "float16", "FP32": "float32", "FP64": "float64", "BF16": "bfloat16",
          "BYTES": "object"}
_NAMES = {name: datatype for datatype, name in _TYPES.items()}
_MOST_NESTING = 32


@dataclasses.dataclass
class InferenceRequest:
    """What a request asks for."""

    inputs: dict[str, Any]
    # Names, None for all; and those whose bytes are to follow the JSON.
    outputs: Optional[list[str]] = None
    binary: Union[bool, frozenset[str]] = False
    id: str = ""
    # That the client gives it; None for what the server allows.
    seconds: Optional[float] = None

    def is_binary(self, name: str) -> bool:
        return self.binary if isinstance(self.binary, bool) else name in self.binary


def datatype_of(port: Any) -> str:
    """The protocol's name of a port's type; UnsupportedError when it has none."""
    if port.kind != "tensor" or port.element_type not in (*_NAMES, "string"):
        raise UnsupportedError(f"'{port.name}' is {port.type}, which the protocol does not have")
    return "BYTES" if port.element_type == "string" else _NAMES[port.element_type]


def metadata_of(name: str, versions: Sequence[int], compiled: Any) -> dict[str, Any]:
    """The model metadata of the protocol; -1 is a size that is open."""
    def tensors(ports: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"name": port.name, "datatype": datatype_of(port) if _is_known(port) else port.type,
                 "shape": [size if isinstance(size, int) else -1 for size in port.shape or ()]}
                for port in ports]
    return {"name": name, "versions": list(map(str, versions)), "platform": "quern",
            "inputs": tensors(compiled.inputs), "outputs": tensors(compiled.outputs)}


def _is_known(port: Any) -> bool:
    try:
        return bool(datatype_of(port))
    except UnsupportedError:
        return False


def decode_request(body: Buffer, header_length: Optional[str], limits: Limits) -> InferenceRequest:
    """Of a body: JSON, or JSON of `header_length` bytes with the bytes of tensors behind it."""
    view = memoryview(body)
    length = len(view)
    if header_length is not None:
        if not header_length.isascii() or not header_length.isdigit() or len(header_length) > 12:
            raise InvalidInputError("Inference-Header-Content-Length is no number")
        length = int(header_length)
        if length > len(view):
            raise InvalidInputError(f"Inference-Header-Content-Length is {length}, the body has "
                                    f"{len(view)} bytes")
    limits.check_body(length, is_json=True)
    message = _json(view[:length])
    _want(isinstance(message, dict) and isinstance(message.get("inputs"), list),
          "the request is no object with a list 'inputs'")
    inputs: dict[str, Any] = {}
    rest = view[length:]
    for tensor in message["inputs"]:
        _want(isinstance(tensor, dict) and isinstance(tensor.get("name"), str),
              "an input has no name")
        name = tensor["name"]
        _want(name not in inputs, f"input '{name:.128}' is given twice")
        size = _parameters(tensor).get("binary_data_size")
        if size is None:
            inputs[name] = _from_json(tensor, limits)
            continue
        _want("data" not in tensor, f"input '{name:.128}' has 'data' and binary data")
        _want(type(size) is int and 0 <= size <= len(rest),
              f"input '{name:.128}': binary_data_size is {size!r:.40}, and {len(rest)} bytes are left")
        inputs[name] = from_bytes(name, tensor.get("datatype"), tensor.get("shape"), rest[:size],
                                  limits)
        rest = rest[size:]
    _want(not len(rest), f"{len(rest)} bytes of the body belong to no input")
    return _request(message, inputs)


def _request(message: Mapping[str, Any], inputs: dict[str, Any]) -> InferenceRequest:
    parameters = _parameters(message)
    listed = message.get("outputs")
    _want(listed is None or isinstance(listed, list), "'outputs' is no list")
    names: list[str] = []
    binary = set()
    for output in listed or ():
        _want(isinstance(output, dict) and isinstance(output.get("name"), str),
              "an output has no name")
        names.append(output["name"])
        if _parameters(output).get("binary_data", parameters.get("binary_data_output")) is True:
            binary.add(output["name"])
    request_id = message.get("id", "")
    _want(isinstance(request_id, str) and len(request_id) <= 256, "'id' is no string")
    return InferenceRequest(
        inputs, names or None,
        frozenset(binary) if names else parameters.get("binary_data_output") is True,
        request_id, seconds_of(parameters))


def seconds_of(parameters: Mapping[str, Any]) -> Optional[float]:
    """Triton's parameter: microseconds."""
    timeout = parameters.get("timeout")
    _want(timeout is None or (type(timeout) is int and timeout >= 0), "'timeout' is no integer")
    return timeout / 1e6 if timeout else None


def from_bytes(name: str, datatype: Any, shape: Any, data: Buffer, limits: Limits) -> Any:
    """An array on these bytes."""
    dtype = _dtype(name, datatype)
    count = limits.elements_of(name, shape)
    if dtype == object:
        return _strings(name, data, count).reshape(shape)
    _want(len(data) == count * dtype.itemsize,
          f"input '{name:.128}': {count} elements of {datatype} are {count * dtype.itemsize} bytes, "
          f"found {len(data)}")
    return np.frombuffer(data, dtype, count).reshape(shape)


def from_numbers(name: str, datatype: Any, shape: Any, values: Any, limits: Limits) -> Any:
    """An array of numbers or strings in lists, nested or not."""
    dtype = _dtype(name, datatype)
    count = limits.elements_of(name, shape)
    flat = _flat(name, values)
    _want(len(flat) == count, f"input '{name:.128}': its shape has {count} elements, its data "
          f"{len(flat)}")
    kinds = set(map(type, flat))
    if dtype == object:
        _want(kinds <= {str, bytes}, f"input '{name:.128}': its data are not all strings")
        array = np.empty(count, object)
        array[:] = [_text(value) for value in flat] if bytes in kinds else flat
        return array.reshape(shape)
    wanted: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}}
    _want(kinds <= wanted.get(dtype.kind, {int, float}), f"input '{name:.128}': its data are not all of {datatype}")
    try:
        with np.errstate(over="ignore"):
            return np.array(flat, dtype).reshape(shape)
    except (OverflowError, ValueError, TypeError):
        raise InvalidInputError(
            f"input '{name:.128}': its data do not all fit into {datatype}") from None


def _from_json(tensor: Mapping[str, Any], limits: Limits) -> Any:
    _want("data" in tensor, f"input '{tensor['name']:.128}' has no data")
    return from_numbers(tensor["name"], tensor.get("datatype"), tensor.get("shape"), tensor["data"],
                        limits)


def _flat(name: str, values: Any) -> list[Any]:
    _want(isinstance(values, list), f"input '{name:.128}': its data are no list")
    for _ in range(_MOST_NESTING):
        kinds = set(map(type, values))
        if list not in kinds:
            return values  # type: ignore[no-any-return]
        _want(kinds == {list}, f"input '{name:.128}': its data are lists and numbers")
        values = list(itertools.chain.from_iterable(values))
    raise InvalidInputError(f"input '{name:.128}': its data are nested too deeply")


def _strings(name: str, data: Buffer, count: int) -> Any:
    """Each has its length before it, in four bytes."""
    _want(len(data) >= 4 * count, f"input '{name:.128}': {count} strings do not fit into "
          f"{len(data)} bytes")
    array, at = np.empty(count, object), 0
    for i in range(count):
        _want(at + 4 <= len(data), f"input '{name:.128}': its strings end early")
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
        _want(size <= len(data) - at, f"input '{name:.128}': its strings end early")
        array[i] = _text(bytes(data[at:at + size]))
        at += size
    _want(at == len(data), f"input '{name:.128}': bytes follow its strings")
    return array


def _text(value: Union[str, bytes]) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def _dtype(name: str, datatype: Any) -> Any:
    _want(isinstance(datatype, str) and datatype in _TYPES,
          f"input '{name:.128}': there is no datatype {datatype!r:.40}")
    return dtype_of(_TYPES[datatype])


def _parameters(message: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = message.get("parameters")
    _want(parameters is None or isinstance(parameters, dict), "'parameters' is no object")
    return parameters or {}


def _json(text: Buffer) -> Any:
    try:
        return json.loads(bytes(text)) if orjson is None else orjson.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"the request is no JSON: {error}") from None


def _want(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidInputError(message)


def bytes_of(array: Any) -> Buffer:
    """As the protocol has tensors behind the JSON, and in raw_output_contents."""
    if array.dtype != object:
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    pieces = []
    for value in array.reshape(-1):
        text = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
        pieces += [struct.pack("<I", len(text)), text]
    return b"".join(pieces)


def encode_response(name: str, version: int, request: InferenceRequest,
                    outputs: Sequence[tuple[Any, Any]]) -> tuple[bytes, list[Buffer]]:
    """The JSON, and the bytes that follow it. `outputs`: (port, array)."""
    tensors: list[dict[str, Any]] = []
    binary: list[Buffer] = []
    for port, array in outputs:
        tensor: dict[str, Any] = {"name": port.name, "datatype": datatype_of(port),
                                  "shape": list(array.shape)}
        if request.is_binary(port.name):
            binary.append(bytes_of(array))
            tensor["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            flat = np.ascontiguousarray(array).reshape(-1)
            plain = orjson is None or flat.dtype.kind not in "biuf" or flat.dtype.itemsize == 2
            tensor["data"] = flat.tolist() if plain else flat
        tensors.append(tensor)
    message: dict[str, Any] = {"model_name": name, "model_version": str(version),
                               "outputs": tensors}
    if request.id:
        message["id"] = request.id
    if orjson is None:
        return json.dumps(message).encode(), binary
    try:
        return orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY), binary
    except TypeError:  # strings that are no UTF-8
        raise UnsupportedError("an output has strings that JSON cannot have; ask for binary data"
                               ) from None
