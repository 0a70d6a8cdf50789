"""Element types, and values that are no tensors."""
import numpy as np
import pytest

import quern
from models import TensorProto, helper, identity, make_model


@pytest.mark.parametrize("name", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32",
                                  "int64", "uint64", "float16", "float32", "float64", "complex64",
                                  "complex128"])
def test_numpy_types(name):
    x = np.array([0, 1, 100]).astype(name)
    y = quern.compile(identity(helper.np_dtype_to_tensor_dtype(x.dtype)))(x)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("name, element_type", [
    ("bfloat16", TensorProto.BFLOAT16), ("float8_e4m3fn", TensorProto.FLOAT8E4M3FN),
    ("float8_e5m2", TensorProto.FLOAT8E5M2), ("int4", TensorProto.INT4),
    ("uint4", TensorProto.UINT4)])
def test_extension_types(name, element_type):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    model = quern.compile(identity(element_type))
    x = np.array([0, 1, 3]).astype(getattr(ml_dtypes, name))
    y = model(x)
    assert y.dtype == x.dtype and model.inputs[0].dtype == x.dtype
    np.testing.assert_array_equal(y.astype("f4"), [0, 1, 3])
    # The bits as integers are taken, too.
    bits = x.view(f"{'i' if name == 'int4' else 'u'}{x.itemsize}")
    np.testing.assert_array_equal(model(bits).astype("f4"), [0, 1, 3])


@pytest.mark.parametrize("name, element_type", [
    ("bfloat16", TensorProto.BFLOAT16), ("float8_e4m3fn", TensorProto.FLOAT8E4M3FN),
    ("float8_e4m3fnuz", TensorProto.FLOAT8E4M3FNUZ), ("float8_e5m2", TensorProto.FLOAT8E5M2),
    ("float8_e5m2fnuz", TensorProto.FLOAT8E5M2FNUZ), ("int4", TensorProto.INT4),
    ("uint4", TensorProto.UINT4)])
@pytest.mark.parametrize("backend", ["native", "interpreter"])
def test_arrays_of_extension_types_as_outputs(name, element_type, backend):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    model = quern.compile(identity(element_type), backend=backend)
    x = np.array([0, 1, 3]).astype(getattr(ml_dtypes, name))
    y = np.zeros_like(x)
    assert model.run_into([x], [y])[0] is y
    np.testing.assert_array_equal(y.astype("f4"), [0, 1, 3])
    bits = np.zeros(3, f"{'i' if name == 'int4' else 'u'}{x.itemsize}")
    assert model.run_into([x], [bits])[0] is bits
    np.testing.assert_array_equal(bits, x.view(bits.dtype))
    session = quern.InferenceSession(identity(element_type).SerializeToString())
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", quern.OrtValue.ortvalue_from_numpy(x))
    target = quern.OrtValue.ortvalue_from_shape_and_type([3], int(element_type))
    assert target.element_type() == element_type and target.numpy().dtype == x.dtype
    binding.bind_ortvalue_output("y", target)
    session.run_with_iobinding(binding)
    np.testing.assert_array_equal(target.numpy().astype("f4"), [0, 1, 3])
    for wrong, message in ((np.zeros(3, "f8"), "output 'y': wanted"),
                           (np.array(["a"] * 3), "NumPy type 'str32' cannot be computed in")):
        with pytest.raises(quern.InvalidInputError, match=message):
            model.run_into([x], [wrong])


@pytest.mark.parametrize("name, element_type, values", [
    ("int4", TensorProto.INT4, [-8, -1, 7]), ("uint4", TensorProto.UINT4, [0, 8, 15])])
def test_bits_beside_small_integers_do_not_count(name, element_type, values):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    model = quern.compile(make_model(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)],
        [("x", element_type, ["N"])], [("y", TensorProto.FLOAT, ["N"])], opset=21))
    x = np.array(values).astype(getattr(ml_dtypes, name))
    np.testing.assert_array_equal(model(x), values)
    for upper in (0x00, 0xF0):
        bits = (x.view("u1") & 0x0F) | upper
        np.testing.assert_array_equal(model(bits.view("i1" if name == "int4" else "u1")), values)


def test_strings():
    model = quern.compile(identity(TensorProto.STRING))
    for x in (["a", "häß", ""], np.array(["a", "häß", ""], object), np.array(["a", "häß", ""])):
        y = model(x)
        assert y.dtype == object and y.tolist() == ["a", "häß", ""]
    assert model(np.array([b"a\xff"], object)).tolist() == ["a\udcff"]
    assert model(np.array(["a\udcff"], object)).tolist() == ["a\udcff"]
    assert model([]).tolist() == []


def test_sequences():
    sequence = helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    graph = helper.make_graph(
        [helper.make_node("SequenceInsert", ["s", "x"], ["t"])], "g",
        [helper.make_value_info("s", sequence),
         helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_value_info("t", sequence)])
    model = quern.compile(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    assert [port.type for port in model.inputs] == ["seq(tensor(float))", "tensor(float)"]
    result = model([np.array([1, 2], "f4")], np.array(3, "f4"))
    assert [x.tolist() for x in result] == [[1, 2], 3]
    assert [x.tolist() for x in model([], np.array(3, "f4"))] == [3]
    with pytest.raises(quern.InvalidInputError, match="input 's': wanted a list for a sequence"):
        model(np.array([1], "f4"), np.array(3, "f4"))
    with pytest.raises(quern.InvalidInputError, match="'s'"):
        model([np.array([1], "f8")], np.array(3, "f4"))


def test_optionals():
    optional = helper.make_optional_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, [2]))
    graph = helper.make_graph(
        [helper.make_node("OptionalHasElement", ["o"], ["has"])], "g",
        [helper.make_value_info("o", optional)],
        [helper.make_tensor_value_info("has", TensorProto.BOOL, [])])
    model = quern.compile(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8))
    assert not model(None) and model(np.zeros(2, "f4"))


def test_maps():
    kind = helper.make_map_type_proto(
        TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    graph = helper.make_graph(
        [helper.make_node("DictVectorizer", ["m"], ["y"], domain="ai.onnx.ml",
                          string_vocabulary=["a", "b", "c"])], "g",
        [helper.make_value_info("m", kind)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = quern.compile(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=8))
    result = model({"c": np.array(2, "f4"), "a": np.array(1, "f4")})
    np.testing.assert_array_equal(np.ravel(result), [1, 0, 2])


def test_scalar_and_empty_results():
    graph = make_model([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0),
                        helper.make_node("NonZero", ["x"], ["places"])],
                       [("x", TensorProto.FLOAT, ["N"])],
                       [("y", TensorProto.FLOAT, []), ("places", TensorProto.INT64, [1, None])])
    total, places = quern.compile(graph)(np.array([0, 2, 3], "f4"))
    assert total.shape == () and total == 5 and places.tolist() == [[1, 2]]
    total, places = quern.compile(graph)(np.empty(0, "f4"))
    assert total == 0 and places.shape == (1, 0)
