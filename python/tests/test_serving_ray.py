"""quern.serving.ray: replicas that come back, batches, the protocol over Serve's HTTP."""
import importlib.util
import json
import os
import subprocess
import sys

import pytest

if importlib.util.find_spec("ray") is None or importlib.util.find_spec("uvicorn") is None:
    pytest.skip("needs Ray Serve (pip install 'ray[serve]')", allow_module_level=True)

from models import mlp
from serving_cases import put

# In a process of its own: Ray leaves threads and children.
PROGRAM = '''
import json, os, signal, socket, sys, threading, time, urllib.error, urllib.request
import numpy as np
import ray
from ray import serve
import quern
from quern.serving.ray import deployment

folder = sys.argv[1]
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
handle = serve.run(deployment(folder, num_replicas=2), route_prefix="/")
x = np.random.default_rng(0).normal(size=(3, 10)).astype("f4")
wanted = quern.compile(os.path.join(folder, "mlp/1/model.onnx"))(x)

def check(y):
    np.testing.assert_allclose(np.reshape(y, wanted.shape), wanted, rtol=1e-5, atol=1e-5)

def ask(body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v2/models/mlp/infer", body)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

good = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [3, 10],
                               "data": x.reshape(-1).tolist()}]}).encode()
check(handle.infer.remote("mlp", {"x": x}).result(timeout_s=60)["y"])
status, found = ask(good)
assert status == 200, found
check(found["outputs"][0]["data"])
status, found = ask(b'{"inputs": []}')
assert (status, found) == (400, {"error": "input 'x' is missing"}), found

first = set()
while len(first) < 2:
    first.add(handle.process.remote().result(timeout_s=60))
killed = min(first)
os.kill(killed, signal.SIGKILL)
# Others answer meanwhile; what the dead one had may fail, and is asked again.
failed, end = 0, time.monotonic() + 120
now = set()
while len(now - {killed}) < 2 and time.monotonic() < end:
    try:
        check(handle.infer.remote("mlp", {"x": x}).result(timeout_s=60)["y"])
        now.add(handle.process.remote().result(timeout_s=60))
    except ray.exceptions.RayError:
        failed += 1
    time.sleep(0.05)
assert len(now - {killed}) == 2, now
assert ask(good)[0] == 200
print(json.dumps({"before": sorted(first), "after": sorted(now - {killed}), "failed": failed}))
serve.shutdown()
ray.shutdown()
'''


def test_replicas_answer_and_come_back_when_they_are_killed(tmp_path):
    put(tmp_path, "mlp", 1, mlp())
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True,
                          text=True, timeout=280, env={
                              # Of a machine that does other things as well.
                              **os.environ, "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "55"})
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith('{"before"')]
    found = json.loads(line)
    print(line)
    assert len(found["after"]) == 2 and found["after"] != found["before"]
