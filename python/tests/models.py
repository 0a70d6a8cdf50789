"""Small models for the tests."""
import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper


def make_model(nodes, inputs, outputs, initializers=(), opset=17):
    """Ports are (name, element type, dims); dims None for none declared."""
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info(*port) for port in inputs],
        [helper.make_tensor_value_info(*port) for port in outputs],
        [numpy_helper.from_array(array, name) for name, array in initializers])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def relu(element_type=TensorProto.FLOAT, dims=("N", 3)):
    return make_model([helper.make_node("Relu", ["x"], ["y"])], [("x", element_type, dims)],
                      [("y", element_type, dims)])


def identity(element_type, dims=("N",)):
    return make_model([helper.make_node("Identity", ["x"], ["y"])], [("x", element_type, dims)],
                      [("y", element_type, dims)])


def mlp(inputs=10, hidden=50, outputs=2, batch="N"):
    random = np.random.default_rng(0)
    weights = [("w1", random.normal(size=(inputs, hidden)).astype("f4")),
               ("b1", random.normal(size=hidden).astype("f4")),
               ("w2", random.normal(size=(hidden, outputs)).astype("f4")),
               ("b2", random.normal(size=outputs).astype("f4"))]
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
             helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("Gemm", ["r", "w2", "b2"], ["y"])]
    return make_model(nodes, [("x", TensorProto.FLOAT, [batch, inputs])],
                      [("y", TensorProto.FLOAT, [batch, outputs])], weights)


def two_ports():
    """sum = a + b, difference = a - b."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]),
             helper.make_node("Sub", ["a", "b"], ["difference"])]
    ports = [(name, TensorProto.FLOAT, ["N"]) for name in ("a", "b", "sum", "difference")]
    return make_model(nodes, ports[:2], ports[2:])


def nonzero():
    return make_model([helper.make_node("NonZero", ["x"], ["places"])],
                      [("x", TensorProto.FLOAT, ["N"])], [("places", TensorProto.INT64, [1, None])])


def long_loop(trips=2_000_000_000):
    """A loop that runs for minutes."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["condition"], ["goes_on"]),
         helper.make_node("Sin", ["value"], ["next"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
         helper.make_tensor_value_info("value", TensorProto.FLOAT, [64])],
        [helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("next", TensorProto.FLOAT, [64])])
    loop = helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)
    return make_model([loop], [("x", TensorProto.FLOAT, [64])], [("y", TensorProto.FLOAT, [64])],
                      [("trips", np.array(trips, np.int64))])


def decoder():
    """past and present [batch 2, heads 3, length, size 4], and sums that read all of the present."""
    shape = lambda *length: [2, 3, *length, 4]  # noqa: E731
    return make_model(
        [helper.make_node("Concat", ["past", "new"], ["present"], axis=2),
         helper.make_node("Transpose", ["present"], ["turned"], perm=[0, 1, 3, 2]),
         helper.make_node("MatMul", ["query", "turned"], ["y"])],
        [("past", TensorProto.FLOAT, shape("length")), ("new", TensorProto.FLOAT, shape(1)),
         ("query", TensorProto.FLOAT, shape(1))],
        [("present", TensorProto.FLOAT, shape("total")),
         ("y", TensorProto.FLOAT, [2, 3, 1, "total"])])


def many_kernels():
    """A model that takes a second or more to compile: pairs of functions behind products."""
    functions = ("Sigmoid", "Tanh", "Erf", "Exp", "Softplus")
    weight = ("w", np.eye(16, dtype="f4"))
    nodes, last = [], "x"
    for first in functions:
        for second in functions:
            product, inner, outer = (f"{part}_{first}_{second}" for part in "pio")
            nodes += [helper.make_node("MatMul", [last, "w"], [product]),
                      helper.make_node(first, [product], [inner]),
                      helper.make_node(second, [inner], [outer])]
            last = outer
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    return make_model(nodes, [("x", TensorProto.FLOAT, [4, 16])],
                      [("y", TensorProto.FLOAT, [4, 16])], [weight])
