"""python -m quern.serving, asked by public clients and by hostile ones."""
import http.client
import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import quern
from models import long_loop, mlp
from serving_cases import hostile_requests, put, rows

# Not imported: its protocol buffers have the names of tritonclient's.
if importlib.util.find_spec("kserve") is None:
    pytest.skip("needs kserve (pip install kserve)", allow_module_level=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, folder, *options):
        self.http, self.grpc = free_port(), free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "quern.serving", "--models", str(folder), "--host", "127.0.0.1",
             "--http-port", str(self.http), "--grpc-port", str(self.grpc), "--poll-seconds", "0.1",
             *options], stderr=subprocess.PIPE, text=True)
        self.lines = []
        ready = threading.Event()

        def read():
            for line in self.process.stderr:
                self.lines.append(line)
                if "http://" in line:
                    ready.set()
            ready.set()
        threading.Thread(target=read, daemon=True).start()
        assert ready.wait(120) and self.process.poll() is None, "".join(self.lines)

    def ask(self, method, path, body=None, headers=None):
        """(status, JSON or text)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=60)
        try:
            headers = headers or {}
            connection.request(method, path, body, headers,
                               encode_chunked="Transfer-Encoding" in headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, (json.loads(text) if text[:1] in b"{[" else text.decode())
        finally:
            connection.close()

    def infer(self, x, model="mlp", **message):
        message["inputs"] = [{"name": "x", "datatype": "FP32", "shape": list(x.shape),
                              "data": x.reshape(-1).tolist()}]
        return self.ask("POST", f"/v2/models/{model}/infer", json.dumps(message))

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) * 1024

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    put(folder, "mlp", 3, mlp())
    server = Server(folder, "--json-mb", "1", "--request-mb", "2")
    yield server
    server.stop()


def test_health_metadata_and_metrics(server):
    assert server.ask("GET", "/v2/health/live") == (200, {"live": True})
    assert server.ask("GET", "/v2/health/ready") == (200, {"ready": True})
    assert server.ask("GET", "/v2/models/mlp/ready") == (200, {"name": "mlp", "ready": True})
    for path in ("/v2/models/mlp", "/v2/models/mlp/versions/3"):
        status, found = server.ask("GET", path)
        assert status == 200 and found["versions"] == ["3"]
        assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 10]}]
    assert server.ask("GET", "/v2/models/none")[0] == 404
    assert server.ask("GET", "/v2/models") == (200, {"models": ["mlp"]})
    status, text = server.ask("GET", "/metrics")
    assert status == 200 and "quern_loads_total{" in text


def test_answers_are_the_librarys(server):
    x = rows(5)
    status, found = server.infer(x, id="q1")
    assert status == 200 and found["id"] == "q1" and found["model_version"] == "3"
    (y,) = found["outputs"]
    np.testing.assert_allclose(np.reshape(y["data"], y["shape"]), quern.compile(mlp())(x),
                               rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tritons_clients(server, protocol):
    client = pytest.importorskip(f"tritonclient.{protocol}", reason="needs tritonclient[all]")
    from tritonclient.utils import InferenceServerException
    with client.InferenceServerClient(f"127.0.0.1:{getattr(server, protocol)}") as triton:
        assert triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready("mlp")
        x = rows(3)

        def tensor(array):
            given = client.InferInput("x", array.shape, "FP32")
            given.set_data_from_numpy(array)
            return [given]
        for version in ("", "3"):
            result = triton.infer("mlp", tensor(x), model_version=version,
                                  outputs=[client.InferRequestedOutput("y")])
            np.testing.assert_allclose(result.as_numpy("y"), quern.compile(mlp())(x),
                                       rtol=1e-5, atol=1e-5)
        for wrong, named, message in ((rows(3, width=4), {}, "wanted shape Nx10, found 3x4"),
                                      (x, {"model_version": "8"}, "has no version '8'"),
                                      (x, {"outputs": [client.InferRequestedOutput("z")]},
                                       "no output 'z'")):
            with pytest.raises(InferenceServerException, match=message) as error:
                triton.infer("mlp", tensor(wrong), **named)
            assert error.value.status() in ("400", "404", "StatusCode.INVALID_ARGUMENT",
                                            "StatusCode.NOT_FOUND")


def test_hostile_bodies_are_answered_with_4xx_and_leave_nothing(server):
    x = rows(1)
    bodies = list(hostile_requests(1000))
    for round_ in range(2):
        for body, length in bodies:
            headers = {} if length is None or not length.isascii() else {
                "Inference-Header-Content-Length": length}
            status, _ = server.ask("POST", "/v2/models/mlp/infer", body, headers)
            assert status == 200 or 400 <= status < 500
        if round_ == 0:  # after what comes once: imports, arenas
            before = server.resident()
    assert server.resident() < before + (16 << 20)
    assert server.infer(x)[0] == 200
    # Larger than anything may be: refused by its length, or where it goes beyond.
    assert server.ask("POST", "/v2/models/mlp/infer", b"x" * (3 << 20))[0] == 413
    assert server.ask("POST", "/v2/models/mlp/infer", (b"x" * 65536 for _ in range(40)),
                      {"Transfer-Encoding": "chunked"})[0] == 413
    connection = socket.create_connection(("127.0.0.1", server.http))
    connection.sendall(b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Length: 999999999999999\r\n\r\n")
    assert b" 413 " in connection.recv(100)
    connection.close()
    assert server.ask("POST", "/v1/models/mlp:predict", '{"instances": [1]}')[0] == 400
    status, found = server.ask("POST", "/v2/repository/models/mlp/unload")
    assert status == 400 and "--control" in found["error"]


def test_hostile_messages_over_grpc(server):
    pytest.importorskip("tritonclient.grpc", reason="needs tritonclient[all]")
    import grpc
    from tritonclient.grpc import service_pb2 as messages, service_pb2_grpc as calls
    draw = random.Random(2)
    codes = set()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        stub = calls.GRPCInferenceServiceStub(channel)
        for _ in range(300):
            request = messages.ModelInferRequest(model_name=draw.choice(["mlp", "mlp", "none", ""]),
                                                 model_version=draw.choice(["", "3", "-1", "x" * 999]))
            for _ in range(draw.choice([0, 1, 1, 2])):
                given = request.inputs.add(name=draw.choice(["x", "x", "", "y"]),
                                           datatype=draw.choice(["FP32", "FP64", "BYTES", "what", ""]))
                given.shape.extend(draw.choice([[1, 10], [], [-1], [2**62, 2**62], [0] * 99, [3, 3]]))
                if draw.random() < 0.5:
                    given.contents.fp32_contents.extend([1.0] * draw.randrange(12))
            for _ in range(draw.choice([0, 0, 1, 2])):
                request.raw_input_contents.append(b"x" * draw.choice([0, 3, 40]))
            if draw.random() < 0.2:
                request.outputs.add(name=draw.choice(["y", "z"]))
            try:
                stub.ModelInfer(request)
                codes.add("OK")
            except grpc.RpcError as error:
                codes.add(error.code().name)
        with pytest.raises(grpc.RpcError) as error:
            stub.ModelInfer(messages.ModelInferRequest(
                model_name="mlp", raw_input_contents=[b"x" * (3 << 20)]))
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert codes <= {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED"}, codes
    assert server.infer(rows(1))[0] == 200


def test_numbers_of_a_message_over_grpc(server):
    pytest.importorskip("tritonclient.grpc", reason="needs tritonclient[all]")
    import grpc
    from tritonclient.grpc import service_pb2 as messages, service_pb2_grpc as calls
    x = rows(2)

    def message(datatype="FP32", **fields):
        request = messages.ModelInferRequest(model_name="mlp", id="q1", **fields)
        request.inputs.add(name="x", datatype=datatype).shape.extend(x.shape)
        return request
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        stub = calls.GRPCInferenceServiceStub(channel)
        numbers = message()
        numbers.inputs[0].contents.fp32_contents.extend(x.reshape(-1).tolist())
        for request in (numbers, message(raw_input_contents=[x.tobytes()])):
            found = stub.ModelInfer(request)
            assert (found.id, found.model_version) == ("q1", "3")
            np.testing.assert_allclose(
                np.frombuffer(found.raw_output_contents[0], "f4").reshape(found.outputs[0].shape),
                quern.compile(mlp())(x), rtol=1e-5, atol=1e-5)
        both, twice, late = (message(raw_input_contents=[x.tobytes()] * count) for count in (1, 2, 1))
        both.inputs[0].contents.fp32_contents.append(1)
        twice.inputs.append(twice.inputs[0])
        late.parameters["timeout"].int64_param = -1
        for request, code, text in (
                (message(), "INVALID_ARGUMENT", "its data 0"),
                (message("FP16"), "INVALID_ARGUMENT", "FP16 comes in raw_input_contents only"),
                (message(raw_input_contents=[b"", b""]), "INVALID_ARGUMENT",
                 "1 inputs and 2 raw_input_contents"),
                (both, "INVALID_ARGUMENT", "'x' has contents and raw_input_contents"),
                (twice, "INVALID_ARGUMENT", "'x' is given twice"),
                (late, "INVALID_ARGUMENT", "'timeout' is no integer"),
                (messages.ModelInferRequest(model_name="none"), "NOT_FOUND", "no model 'none'")):
            with pytest.raises(grpc.RpcError) as error:
                stub.ModelInfer(request)
            assert error.value.code().name == code and text in error.value.details()


def test_lines_for_requests_are_there_when_they_are_asked_for(tmp_path):
    put(tmp_path, "mlp", 1, mlp())
    for options, count in (((), 0), (("--access-log",), 1)):
        server = Server(tmp_path, *options)
        assert server.infer(rows(1))[0] == 200
        server.stop()
        assert sum("POST /v2/models/mlp/infer" in line for line in server.lines) == count


def test_a_client_that_goes_away_ends_its_run_and_others_go_on(tmp_path):
    put(tmp_path, "slow", 1, long_loop(), batching="off")
    put(tmp_path, "mlp", 1, mlp())
    server = Server(tmp_path, "--queue", "2")
    x = np.zeros(64, "f4")
    message = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [64],
                                      "data": x.tolist()}]}).encode()
    clients = []
    for _ in range(3):
        clients.append(socket.create_connection(("127.0.0.1", server.http)))
        clients[-1].sendall(b"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                            str(len(message)).encode() + b"\r\n\r\n" + message)
        time.sleep(0.3)
    status, found = server.infer(x, "slow")
    assert status == 429 and "2 requests wait" in found["error"]
    assert server.infer(rows(1))[0] == 200
    for client in clients:
        client.close()
    # Two runs more than this one would wait for minutes.
    status, end = 429, time.monotonic() + 60
    while status == 429 and time.monotonic() < end:  # until it has noticed
        status, found = server.infer(x, "slow", parameters={"timeout": 1_500_000})
    assert status == 504 and "not answered in time" in found["error"]
    assert server.stop() == 0


def test_sigterm_answers_what_has_been_asked(tmp_path):
    put(tmp_path, "mlp", 1, mlp())
    server = Server(tmp_path, "--max-delay-ms", "1500", "--batch-sizes", "1,64")
    answers = []
    asked = [threading.Thread(target=lambda: answers.append(server.infer(rows(1))[0]))
             for _ in range(8)]
    for thread in asked:
        thread.start()
    time.sleep(0.7)
    assert server.stop() == 0
    for thread in asked:
        thread.join()
    assert answers == [200] * 8
    assert "stopped" in server.lines[-1]


def test_wrong_folders_end_with_a_reason(tmp_path):
    ended = subprocess.run([sys.executable, "-m", "quern.serving", "--models",
                            str(tmp_path / "none")], capture_output=True, text=True, timeout=120,
                           env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert ended.returncode == 10 and "no folder of models" in ended.stderr


def test_a_port_that_is_taken_is_an_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = subprocess.run(
            [sys.executable, "-m", "quern.serving", "--models", str(tmp_path), "--host", "127.0.0.1",
             "--http-port", str(free_port()), "--grpc-port", str(taken.getsockname()[1])],
            capture_output=True, text=True, timeout=120)
    assert ended.returncode == 10 and "cannot listen on 127.0.0.1" in ended.stderr
