"""quern.InferenceSession, as a stand-in for onnxruntime's."""
import json
import subprocess
import sys

import numpy as np
import pytest

import quern as ort
from models import TensorProto, helper, identity, mlp, two_ports


@pytest.fixture
def session():
    return ort.InferenceSession(two_ports().SerializeToString(),
                                providers=["CUDAExecutionProvider", "CPUExecutionProvider"])


A, B = np.array([3, 4], "f4"), np.array([1, 2], "f4")


def test_run(session):
    feed = {"a": A, "b": B}
    for names in (None, []):
        assert [y.tolist() for y in session.run(names, feed)] == [[4, 6], [2, 2]]
    assert session.run(["difference"], feed, ort.RunOptions())[0].tolist() == [2, 2]
    with pytest.raises(ValueError, match="input 'b' is missing"):
        session.run(None, {"a": A})
    stop = ort.RunOptions()
    stop.terminate = True
    with pytest.raises(ort.CancelledError):
        session.run(None, feed, stop)


def test_ports(session):
    first = session.get_inputs()[0]
    assert (first.name, first.type, first.shape) == ("a", "tensor(float)", ["N"])
    assert [port.name for port in session.get_outputs()] == ["sum", "difference"]
    assert session.get_providers() == ["CPUExecutionProvider"] == ort.get_available_providers()
    assert session.get_modelmeta().custom_metadata_map == {}
    assert ort.get_device() == "CPU"


def test_options(tmp_path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile_")
    options.add_free_dimension_override_by_name("N", 3)
    options.add_session_config_entry("session.set_denormal_as_zero", "0")
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    session = ort.InferenceSession(path, options)
    assert session.get_inputs()[0].shape == [3, 10]
    assert session.get_session_options() is options
    session.run(None, {"x": np.zeros((3, 10), "f4")})
    with open(session.end_profiling(), encoding="utf-8") as file:
        assert all(event["ph"] == "X" for event in json.load(file))
    with pytest.raises(ort.UnsupportedError, match="custom ops"):
        options.register_custom_ops_library("ops.so")


def test_denormals():
    tiny = np.array([1e-40], "f4")
    for entry, wanted in (("0", tiny * np.float32(2)), ("1", np.zeros(1, "f4"))):
        options = ort.SessionOptions()
        options.add_session_config_entry("session.set_denormal_as_zero", entry)
        session = ort.InferenceSession(two_ports().SerializeToString(), options)
        np.testing.assert_array_equal(session.run(["sum"], {"a": tiny, "b": tiny})[0], wanted)


def test_binding(session):
    binding = session.io_binding()
    binding.bind_cpu_input("a", A)
    binding.bind_ortvalue_input("b", ort.OrtValue.ortvalue_from_numpy(B))
    y = np.zeros(2, "f4")
    binding.bind_output("difference", "cpu", 0, np.float32, [2], y.ctypes.data)
    binding.bind_output("sum")
    session.run_with_iobinding(binding)
    assert y.tolist() == [2, 2]
    assert [v.tolist() for v in binding.copy_outputs_to_cpu()] == [[2, 2], [4, 6]]
    assert binding.get_outputs()[1].numpy().tolist() == [4, 6]
    a = A.copy()
    binding.bind_input("a", "cpu", 0, np.float32, [2], a.ctypes.data)
    a[:] = 1
    session.run_with_iobinding(binding)
    assert y.tolist() == [0, -1]
    with pytest.raises(ort.InvalidInputError, match="no input 'c'"):
        binding.bind_cpu_input("c", A)
    with pytest.raises(ort.InvalidInputError, match="no device 'cuda'"):
        binding.bind_output("sum", "cuda")


def test_ort_values(session):
    value = ort.OrtValue.ortvalue_from_shape_and_type([2], np.float32)
    value.update_inplace(A)
    assert value.shape() == [2] and value.data_type() == "tensor(float)" and value.is_tensor()
    results = session.run_with_ort_values(None, {"a": value, "b": value})
    assert results[0].numpy().tolist() == [6, 8]


def test_strings():
    session = ort.InferenceSession(identity(TensorProto.STRING).SerializeToString())
    assert session.get_inputs()[0].type == "tensor(string)"
    assert session.run(None, {"x": np.array(["a", "b"])})[0].tolist() == ["a", "b"]


PROGRAM = '''
import sys
import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
session = ort.InferenceSession(sys.argv[1], sess_options=options,
                               providers=["CPUExecutionProvider"])
for port in session.get_inputs() + session.get_outputs():
    print(port.name, port.type, port.shape)
x = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)
print(np.round(session.run([session.get_outputs()[0].name], {"x": x})[0], 3).tolist())
binding = session.io_binding()
binding.bind_cpu_input("x", x)
binding.bind_output("y")
session.run_with_iobinding(binding)
print(np.round(binding.copy_outputs_to_cpu()[0], 3).tolist())
try:
    session.run(None, {})
except ValueError:
    print("inputs are missing")
'''


def test_a_program_for_onnxruntime_runs_unchanged(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "mlp.onnx").write_bytes(mlp().SerializeToString())
    said = []
    for module in ("onnxruntime", "quern"):
        path = tmp_path / f"with_{module}.py"
        path.write_text(PROGRAM.replace("import onnxruntime as ort", f"import {module} as ort"))
        done = subprocess.run([sys.executable, path, tmp_path / "mlp.onnx"],
                              capture_output=True, text=True, check=True)
        said.append(done.stdout)
    assert said[0] == said[1]
