"""Triton's repository, and its backend under a real server where there is one.

QUERN_TRITON_SERVER: the program tritonserver; QUERN_TRITON_BACKENDS: the folder that has
quern/libtriton_quern.so (docs/serving.md says how both are had).
"""
import os
import signal
import socket
import subprocess
import time
import urllib.request

import numpy as np
import pytest

import quern
from models import helper, make_model, mlp, relu, TensorProto
from quern.serving import triton
from serving_cases import rows, run_threads

SERVER, BACKENDS = (os.environ.get(f"QUERN_TRITON_{name}", "") for name in ("SERVER", "BACKENDS"))


def saved(folder, name, model):
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_configurations(tmp_path):
    text = triton.config(saved(tmp_path, "m", mlp()), "m", batch_sizes=[1, 8], threads=1,
                         max_delay_ms=5, instances=2, precision="bf16")
    assert text == '''name: "m"
backend: "quern"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [10] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [2] } ]
instance_group [ { count: 2 kind: KIND_CPU } ]
dynamic_batching { preferred_batch_size: [1, 8] max_queue_delay_microseconds: 5000 }
parameters { key: "threads" value: { string_value: "1" } }
parameters { key: "batch_sizes" value: { string_value: "1,8" } }
parameters { key: "precision" value: { string_value: "bf16" } }
'''
    fixed = triton.config(saved(tmp_path, "f", relu(dims=(2, 3))), "f")
    assert "max_batch_size: 0" in fixed and "dims: [2, 3]" in fixed and "dynamic" not in fixed
    library = tmp_path / "l.so"
    quern.aot(mlp(), library, dims={"N": [2, 4]})
    assert "preferred_batch_size: [2, 4]" in triton.config(library, "l")
    folder = triton.write_repository(library, tmp_path / "models", "l")
    assert sorted(path.name for path in folder.rglob("*")) == ["1", "config.pbtxt", "model.so"]
    strings = make_model([helper.make_node("Identity", ["x"], ["y"])],
                         [("x", TensorProto.STRING, ["N"])], [("y", TensorProto.STRING, ["N"])])
    with pytest.raises(quern.UnsupportedError, match="does not take"):
        triton.config(saved(tmp_path, "s", strings), "s")
    assert triton.main([str(tmp_path / "none.onnx"), "--into", str(tmp_path)]) == 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.skipif(not SERVER or not BACKENDS,
                    reason="needs QUERN_TRITON_SERVER and QUERN_TRITON_BACKENDS")
def test_the_backend_under_triton(tmp_path):
    client = pytest.importorskip("tritonclient.http", reason="needs tritonclient[all]")
    models = tmp_path / "models"
    triton.write_repository(saved(tmp_path, "mlp", mlp()), models, batch_sizes=[1, 4, 16])
    library = tmp_path / "library.so"
    quern.aot(mlp(), library, dims={"N": [2, 8]})
    triton.write_repository(library, models)
    gather = make_model([helper.make_node("Gather", ["table", "x"], ["y"])],
                        [("x", TensorProto.INT64, ["N", 1])], [("y", TensorProto.FLOAT, ["N", 1])],
                        [("table", np.arange(4, dtype="f4"))])
    triton.write_repository(saved(tmp_path, "gather", gather), models, max_delay_ms=200)
    triton.write_repository(saved(tmp_path, "fixed", relu(dims=(2, 3))), models)
    port = free_port()
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(
            [SERVER, f"--model-repository={models}", f"--backend-directory={BACKENDS}",
             f"--http-port={port}", "--http-address=127.0.0.1", "--allow-grpc=false",
             "--allow-metrics=false"], stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/v2/health/ready", server, tmp_path / "log")
        ask_all(client, port)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def wait_for(url, server, log):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            assert server.poll() is None, log.read_text()[-3000:]
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])


def ask_all(client, port):
    def infer(model, array):
        given = client.InferInput("x", array.shape, "INT64" if array.dtype == "i8" else "FP32")
        given.set_data_from_numpy(array)
        with client.InferenceServerClient(f"127.0.0.1:{port}") as asking:
            return asking.infer(model, [given]).as_numpy("y")
    compiled = quern.compile(mlp())

    def ask(seed):
        x = rows(seed % 15 + 1, seed=seed)
        for model in ("mlp", "library") if len(x) <= 8 else ("mlp",):
            for _ in range(10):
                np.testing.assert_allclose(infer(model, x), compiled(x), rtol=1e-5, atol=1e-5)
    assert not run_threads(16, ask)
    x = rows(2, width=3)
    np.testing.assert_array_equal(infer("fixed", x), np.maximum(x, 0))
    # One that fails does not take those along that it runs with.
    found = {}

    def look_up(i):
        try:
            found[i] = infer("gather", np.array([[i]])).item()
        except Exception as error:
            found[i] = str(error)
    run_threads(4, lambda i: look_up((0, 1, 9, 3)[i]))
    assert (found[0], found[1], found[3]) == (0, 1, 3) and "out of range" in found[9]
    from tritonclient.utils import InferenceServerException
    with pytest.raises(InferenceServerException):
        infer("mlp", rows(2, width=7))
