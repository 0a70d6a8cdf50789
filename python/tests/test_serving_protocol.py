"""The Open Inference Protocol: bodies to arrays and back, hostile ones."""
import json
import struct

import numpy as np
import pytest

import quern
from models import identity, TensorProto
from quern.serving import Limits, TooLargeError, protocol
from quern.serving.errors import answer_for
from serving_cases import folder, hostile_requests, rows, serve  # noqa: F401


def test_the_protocol_takes_json_and_binary_data():
    x = rows(2, width=3)
    head = {"id": "7", "parameters": {"binary_data_output": True, "timeout": 2_000_000}, "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": 24}},
        {"name": "i", "datatype": "INT8", "shape": [3], "data": [1, -2, 127]},
        {"name": "s", "datatype": "BYTES", "shape": [2, 1], "data": [["a"], ["b"]]}]}
    text = json.dumps(head).encode()
    request = protocol.decode_request(text + x.tobytes(), str(len(text)), Limits())
    np.testing.assert_array_equal(request.inputs["x"], x)
    np.testing.assert_array_equal(request.inputs["i"], np.array([1, -2, 127], "i1"))
    assert request.inputs["s"].tolist() == [["a"], ["b"]]
    assert request.id == "7" and request.seconds == 2 and request.is_binary("anything")
    strings = struct.pack("<I", 2) + "ü".encode() + struct.pack("<I", 0)
    array = protocol.from_bytes("s", "BYTES", [2], strings, Limits())
    assert array.tolist() == ["ü", ""]
    assert bytes(protocol.bytes_of(array)) == strings


def test_hostile_bodies_are_refused(folder):
    service = serve(folder)
    refused = 0
    for body, length in hostile_requests(1000):
        try:
            request = protocol.decode_request(body, length, service.limits)
            service.submit("mlp", request.inputs, outputs=request.outputs).future.result(30)
        except (quern.InvalidInputError, TooLargeError) as error:
            assert 400 <= answer_for(error)[0] < 500
            refused += 1
    assert refused > 900
    service.stop(10)


@pytest.mark.parametrize("shape", [[2**31, 2**31], [1 << 27], [0, -1], [1] * 40, [2.0], "3", [True]])
def test_shapes_are_looked_at_before_anything_is_allocated(shape):
    with pytest.raises((quern.InvalidInputError, TooLargeError)):
        protocol.from_bytes("x", "FP32", shape, b"", Limits())


def test_many_strings_do_not_become_one_wide_array():
    """NumPy would give each of them the width of the longest."""
    data = ["x" * 100_000] + ["y"] * 50_000
    array = protocol.from_numbers("s", "BYTES", [len(data)], data, Limits())
    assert array.dtype == object


def test_outputs_as_json_and_as_bytes():
    model = quern.compile(identity(TensorProto.FLOAT16))
    x = np.array([1.5, -2], "f2")
    request = protocol.InferenceRequest({}, ["y"], False, "q")
    head, binary = protocol.encode_response("m", 3, request, [(model.outputs[0], x)])
    assert json.loads(head) == {"model_name": "m", "model_version": "3", "id": "q", "outputs": [
        {"name": "y", "datatype": "FP16", "shape": [2], "data": [1.5, -2.0]}]} and not binary
    request.binary = True
    head, binary = protocol.encode_response("m", 3, request, [(model.outputs[0], x)])
    assert bytes(binary[0]) == x.tobytes()
    assert json.loads(head)["outputs"][0]["parameters"] == {"binary_data_size": 4}
