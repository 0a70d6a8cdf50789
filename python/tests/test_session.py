"""quern.InferenceSession, as a stand-in for onnxruntime's."""
import json
import logging
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import quern as ort
from models import TensorProto, helper, identity, long_loop, make_model, many_kernels, mlp, two_ports


@pytest.fixture
def session():
    return ort.InferenceSession(two_ports().SerializeToString(),
                                providers=["CPUExecutionProvider"])


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
    stop.terminate = False
    assert session.run(["sum"], feed, stop)[0].tolist() == [4, 6]


def test_terminate_ends_a_run_of_another_thread():
    session = ort.InferenceSession(long_loop().SerializeToString())
    options = ort.RunOptions()
    timer = threading.Timer(0.3, setattr, (options, "terminate", True))
    timer.start()
    with pytest.raises(RuntimeError, match="cancelled"):
        session.run(None, {"x": np.zeros(64, "f4")}, options)
    binding = session.io_binding()
    binding.bind_cpu_input("x", np.zeros(64, "f4"))
    binding.bind_output("y")
    with pytest.raises(ort.CancelledError):
        session.run_with_iobinding(binding, options)


def test_run_async(session):
    done, said = threading.Event(), []

    def callback(outputs, user_data, error):
        said.append(([y.tolist() for y in outputs], user_data, error))
        done.set()

    for feed in ({"a": A, "b": B}, {"a": A}):
        done.clear()
        session.run_async(["sum"], feed, callback, "mine")
        assert done.wait(30)
    assert said == [([[4, 6]], "mine", ""), ([], "mine", "input 'b' is missing")]


def test_metadata(tmp_path):
    proto = two_ports()
    proto.producer_name, proto.domain, proto.model_version = "maker", "a.domain", 7
    proto.doc_string, proto.graph.doc_string = "a model", "a graph"
    helper.set_model_props(proto, {"author": "me", "note": "\u00fc"})
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    for source in (path, str(path), proto.SerializeToString(), proto):
        meta = ort.InferenceSession(source).get_modelmeta()
        assert vars(meta) == {
            "producer_name": "maker", "graph_name": "test", "domain": "a.domain",
            "description": "a model", "graph_description": "a graph", "version": 7,
            "custom_metadata_map": {"author": "me", "note": "\u00fc"}}


def test_providers(session):
    model = two_ports().SerializeToString()
    for providers in (["CUDAExecutionProvider", ("CPUExecutionProvider", {})],
                      [("CUDAExecutionProvider", {"device_id": 0})]):
        for set_them in (session.set_providers,
                         lambda names: ort.InferenceSession(model, providers=names)):
            with pytest.warns(UserWarning, match="CUDAExecutionProvider cannot be had: Quern runs "
                              "on the CPU") as warned:
                set_them(providers)
            assert warned[0].filename == __file__
    assert session.get_providers() == ["CPUExecutionProvider"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ort.InferenceSession(model, providers=[("CPUExecutionProvider", {})])
    for wrong in (["CPUExcutionProvider"], ["CPUExecutionProvider", "Cuda"], [3], [()]):
        with pytest.raises(ort.UsageError, match="[Pp]rovider"):
            ort.InferenceSession(model, providers=wrong)
    with pytest.raises(ValueError, match="wanted a list with CPUExecutionProvider"):
        session.set_providers(["NoExecutionProvider"])


def test_all_providers_of_onnxruntime_are_known():
    runtime = pytest.importorskip("onnxruntime")
    from quern.session import _OTHER_PROVIDERS

    assert set(runtime.get_all_providers()) <= {"CPUExecutionProvider", *_OTHER_PROVIDERS}


def test_misspelt_options_are_refused():
    with pytest.raises(AttributeError, match="intra_op_num_thread'"):
        ort.SessionOptions().intra_op_num_thread = 1
    with pytest.raises(AttributeError, match="terminated'"):
        ort.RunOptions().terminated = True
    model = two_ports().SerializeToString()
    with pytest.raises(ort.UsageError, match="unknown options: provider$"):
        ort.InferenceSession(model, provider=["CPUExecutionProvider"])
    ort.InferenceSession(model, disabled_optimizers=["ConstantFolding"], enable_fallback=0)
    with pytest.raises(ort.UsageError, match="wanted quern.SessionOptions, found dict"):
        ort.InferenceSession(model, {"intra_op_num_threads": 1})
    options = ort.SessionOptions()
    options.graph_optimization_level = "all"
    with pytest.raises(ort.UsageError, match="graph_optimization_level is a .*, not 'all'"):
        ort.InferenceSession(model, options)
    with pytest.raises(ort.UsageError, match="set_seed"):
        ort.set_seed("five")
    options = ort.SessionOptions()
    options.intra_op_num_threads = "1"
    with pytest.raises(ort.UsageError, match="threads: str"):
        ort.InferenceSession(model, options)
    with pytest.raises(ort.UsageError, match="wanted quern.RunOptions, found dict"):
        ort.InferenceSession(model).run(None, {"a": A, "b": B}, {})


def test_options_are_those_of_onnxruntime():
    runtime = pytest.importorskip("onnxruntime")
    for name in ("SessionOptions", "RunOptions"):
        theirs, ours = getattr(runtime, name)(), getattr(ort, name)()
        for option in dir(theirs):
            if not option.startswith("_") and not callable(getattr(theirs, option)):
                setattr(ours, option, getattr(ours, option))


def test_warm_up():
    proto = many_kernels()
    for port in (proto.graph.input[0], proto.graph.output[0]):
        port.type.tensor_type.shape.dim[0].dim_param = "N"
    session = ort.InferenceSession(proto.SerializeToString())
    began = time.perf_counter()
    session.warm_up({"N": 3})
    warm = time.perf_counter()
    assert session.run(None, {"x": np.zeros((3, 16), "f4")})[0].shape == (3, 16)
    assert time.perf_counter() - warm < (warm - began) / 4
    session.warm_up(shapes={"x": (5, 16)}, timeout=60)
    for arguments, message in (
            ({}, "input 'x' is float32 Nx16: give a size for 'N'"),
            ({"shapes": {"z": (1, 16)}}, "the model has no input 'z'; it has 'x'"),
            ({"shapes": {"x": (1, 17)}}, "'x': wanted shape Nx16, found 1x17")):
        with pytest.raises(ort.InvalidInputError, match=message):
            session.warm_up(**arguments)
    other = ort.compile(proto)
    with pytest.raises(ort.ResourceLimitError, match="time limit"):
        other.warm_up({"N": 2}, timeout=1e-9)


def test_warm_up_of_bodies():
    body = many_kernels().graph
    body.node[0].input[0] = "v"
    body.node.insert(0, helper.make_node("Identity", ["c"], ["again"]))
    del body.input[:], body.output[:]
    number, condition = (TensorProto.INT64, []), (TensorProto.BOOL, [])
    values = TensorProto.FLOAT, ["N", 16]
    body.input.extend(helper.make_tensor_value_info(name, *of) for name, of in (
        ("i", number), ("c", condition), ("v", values)))
    body.output.extend(helper.make_tensor_value_info(name, *of) for name, of in (
        ("again", condition), ("y", values)))
    proto = make_model([helper.make_node("Loop", ["n", "", "x"], ["z"], body=body)],
                       [("n", *number), ("x", *values)], [("z", *values)])
    session = ort.InferenceSession(proto.SerializeToString())
    began = time.perf_counter()
    session.warm_up({"N": 3})
    warm = time.perf_counter()
    feed = {"n": np.array(2), "x": np.zeros((3, 16), "f4")}
    assert session.run(None, feed)[0].shape == (3, 16)
    assert time.perf_counter() - warm < (warm - began) / 4


def test_seeds():
    proto = make_model([helper.make_node("RandomUniform", [], ["y"], shape=[4])], [],
                       [("y", TensorProto.FLOAT, [4])])
    session = ort.InferenceSession(proto.SerializeToString())
    draws = []
    for _ in range(2):
        ort.set_seed(5)
        draws.append(session.run(None, {})[0].tolist())
    assert draws[0] == draws[1] != session.run(None, {})[0].tolist()


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
    assert 0 < session.get_profiling_start_time_ns() < time.perf_counter_ns()
    with open(session.end_profiling(), encoding="utf-8") as file:
        assert all(event["ph"] == "X" for event in json.load(file))
    assert options.get_session_config_entry("session.set_denormal_as_zero") == "0"
    options.add_session_config_entry("quern.precision", "bf16")
    assert options._compile_options()["precision"] == "bf16"
    with pytest.raises(RuntimeError, match="no entry 'other'"):
        options.get_session_config_entry("other")
    for refused in (lambda: options.register_custom_ops_library("ops.so"),
                    lambda: options.add_initializer("w", None),
                    lambda: options.add_free_dimension_override_by_denotation("BATCH", 1)):
        with pytest.raises(ort.UnsupportedError):
            refused()


def test_no_profile_and_no_file_of_the_graph(session, caplog):
    assert session.end_profiling() == "" and session.get_profiling_start_time_ns() == 0
    options = ort.SessionOptions()
    options.optimized_model_filepath = "optimised.onnx"
    with caplog.at_level(logging.WARNING, "quern"):
        ort.InferenceSession(two_ports().SerializeToString(), options)
    assert "optimised.onnx is not written" in caplog.text


def test_denormals():
    tiny = np.array([1e-40], "f4")
    for entry, wanted in (("0", tiny * np.float32(2)), ("1", np.zeros(1, "f4"))):
        options = ort.SessionOptions()
        options.add_session_config_entry("session.set_denormal_as_zero", entry)
        session = ort.InferenceSession(two_ports().SerializeToString(), options)
        np.testing.assert_array_equal(session.run(["sum"], {"a": tiny, "b": tiny})[0], wanted)


def test_binding(session):
    binding = session.io_binding()
    assert binding.get_outputs() == []
    binding.bind_cpu_input("a", A)
    binding.bind_ortvalue_input("b", ort.OrtValue.ortvalue_from_numpy(B))
    y = np.zeros(2, "f4")
    binding.bind_output("difference", "cpu", 0, np.float32, [2], y.ctypes.data)
    binding.bind_output("sum")
    for early in (binding.get_outputs, binding.copy_outputs_to_cpu,
                  binding.get_outputs_as_ortvaluevector):
        with pytest.raises(ort.UsageError, match="there are no outputs yet"):
            early()
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
    assert value.element_type() == TensorProto.FLOAT and value.tensor_size_in_bytes() == 8
    assert not value.is_sparse_tensor() and not value.is_tensor_sequence()
    strings = ort.OrtValue.ortvalue_from_numpy(np.array(["a"]))
    assert strings.data_type() == "tensor(string)"
    assert ort.OrtValue([A, B]).data_type() == "seq(tensor(float))"
    shared = ort.OrtValue.from_dlpack(value)
    shared.update_inplace(A)
    assert value.numpy().tolist() == A.tolist()
    bits = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(np.array([0x3f80], "u2"), 10)
    assert bits.element_type() == TensorProto.FLOAT16
    results = session.run_with_ort_values(None, {"a": value, "b": value})
    assert results[0].numpy().tolist() == [6, 8]


def test_what_is_no_address():
    binding = ort.InferenceSession(two_ports().SerializeToString()).io_binding()
    for shape, pointer, kind, message in (
            ([2], 0, np.float32, "0 is no address"), ([2], "x", np.float32, "'x' is no address"),
            ([-2], 8, np.float32, "needs the shape"), (None, 8, np.float32, "needs the shape"),
            ([2], 8, str, "strings cannot be bound"), ([2], 8, 99, "no element type 99"),
            ([2], 8, object, "strings cannot be bound")):
        with pytest.raises(ort.InvalidInputError, match=message):
            binding.bind_input("a", "cpu", 0, kind, shape, pointer)
    with pytest.raises(ort.InvalidInputError, match="wanted a quern.OrtValue, found ndarray"):
        binding.bind_ortvalue_input("a", A)


@pytest.mark.parametrize("number", range(1, 27))
def test_types_of_ort_values(number):
    if number == TensorProto.STRING:
        return
    value = ort.OrtValue.ortvalue_from_shape_and_type([2, 3], number)
    assert value.element_type() == number and value.shape() == [2, 3]
    bits = np.zeros(4, f"u{value.numpy().itemsize}") if value.numpy().itemsize < 16 else (
        np.zeros(4, "c16"))
    same = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, number)
    assert same.element_type() == number and same.data_type() == value.data_type()


def test_types_of_ort_values_are_named_as_onnxruntime_does():
    runtime = pytest.importorskip("onnxruntime")
    for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20):
        ours = ort.OrtValue.ortvalue_from_shape_and_type([2], number)
        theirs = runtime.OrtValue.ortvalue_from_shape_and_type([2], number)
        assert ours.data_type() == theirs.data_type()


def test_types_without_ml_dtypes():
    code = ("import sys; sys.modules['ml_dtypes'] = None\n"
            "import numpy as np, quern\n"
            "value = quern.OrtValue.ortvalue_from_shape_and_type([2], 16)\n"
            "print(value.numpy().dtype, value.element_type(), value.data_type())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "uint16 16 tensor(bfloat16)"


@pytest.mark.parametrize("use, message", [
    (lambda: ort.OrtValue.ortvalue_from_numpy(np.zeros(1, "M8[s]")).element_type(),
     "'datetime64.*is no element type of ONNX"),
    (lambda: ort.OrtValue.ortvalue_from_numpy([1, 2]), "wanted a NumPy array, found list"),
    (lambda: ort.OrtValue.ortvalue_from_shape_and_type([2], "no"), "'no' is no element type"),
    (lambda: ort.OrtValue.ortvalue_from_shape_and_type([2], 99), "no element type 99"),
    (lambda: ort.OrtValue.ortvalue_from_shape_and_type([-2], 1), "cannot make an array of shape"),
    (lambda: ort.OrtValue.ortvalue_from_numpy_with_onnx_type(A, 16), "are no bits of bfloat16"),
    (lambda: ort.OrtValue([A, B]).shape(), "the value is list and no tensor"),
    (lambda: ort.OrtValue([A]).__dlpack__(), "the value is list and no tensor"),
    (lambda: ort.OrtValue(A.copy()).update_inplace(np.zeros(3, "f4")), r"found float32 of shape \(3,"),
    (lambda: ort.OrtValue({1: A}).data_type(), "the value is dict and no tensor"),
    (lambda: ort.OrtValue(None).tensor_size_in_bytes(), "the value is NoneType and no tensor"),
])
def test_ort_values_that_make_no_sense(use, message):
    with pytest.raises(ort.InvalidInputError, match=message):
        use()


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
