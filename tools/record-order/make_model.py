#!/usr/bin/env python3
"""Writes typical.onnx, which record-order runs: a block of each kind that image networks and
transformers have, as exporters write them, on few channels.

    tools/record-order/make_model.py tools/record-order/typical.onnx
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(7)
CHANNELS, TOKENS, HEADS = 32, 64, 2


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, array, dtype=np.float32):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def random(self, *shape):
        return self.weight(RANDOM.standard_normal(shape) / 8)

    def op(self, kind, *inputs, **attributes):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def linear(self, x, inputs, outputs):
        return self.op("Add", self.op("MatMul", x, self.random(inputs, outputs)), self.random(outputs))

    def norm(self, x):
        centred = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1]))
        variance = self.op("ReduceMean", self.op("Pow", centred, self.weight(2.0)), axes=[-1])
        root = self.op("Sqrt", self.op("Add", variance, self.weight(1e-5)))
        scaled = self.op("Mul", self.op("Div", centred, root), self.random(CHANNELS))
        return self.op("Add", scaled, self.random(CHANNELS))

    def convolve(self, x, inputs, outputs, size, **attributes):
        y = self.op("Conv", x, self.random(outputs, inputs, size, size), self.random(outputs),
                    pads=[size // 2] * 4, **attributes)
        return self.op("Relu", y)

    def heads(self, x, perm):
        split = self.op("Reshape", x, self.weight([0, 0, HEADS, CHANNELS // HEADS], np.int64))
        return self.op("Transpose", split, perm=perm)

    def attention(self, x):
        queries = self.heads(self.linear(x, CHANNELS, CHANNELS), [0, 2, 1, 3])
        keys = self.heads(self.linear(x, CHANNELS, CHANNELS), [0, 2, 3, 1])
        values = self.heads(self.linear(x, CHANNELS, CHANNELS), [0, 2, 1, 3])
        scores = self.op("Div", self.op("MatMul", queries, keys), self.weight(4.0))
        seen = self.op("MatMul", self.op("Softmax", scores, axis=-1), values)
        joined = self.op("Transpose", seen, perm=[0, 2, 1, 3])
        return self.linear(self.op("Reshape", joined, self.weight([0, 0, CHANNELS], np.int64)), CHANNELS, CHANNELS)

    def perceptron(self, x):
        x = self.linear(x, CHANNELS, 4 * CHANNELS)
        erf = self.op("Erf", self.op("Div", x, self.weight(np.sqrt(2.0))))
        gelu = self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.weight(1.0))), self.weight(0.5))
        return self.linear(gelu, 4 * CHANNELS, CHANNELS)


def image_blocks(graph, x):
    x = graph.convolve(x, 3, CHANNELS, 3, strides=[2, 2])
    x = graph.op("Add", x, graph.convolve(x, CHANNELS, CHANNELS, 3))
    x = graph.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    deep = graph.convolve(x, 1, CHANNELS, 3, group=CHANNELS)
    squeezed = graph.convolve(graph.op("GlobalAveragePool", deep), CHANNELS, 8, 1)
    gate = graph.op("Sigmoid", graph.op("Conv", squeezed, graph.random(CHANNELS, 8, 1, 1)))
    x = graph.op("Concat", x, graph.op("Mul", deep, gate), axis=1)
    return graph.convolve(x, 2 * CHANNELS, CHANNELS, 1)


def main():
    graph = Graph()
    x = image_blocks(graph, "image")
    x = graph.op("Reshape", x, graph.weight([0, CHANNELS, TOKENS], np.int64))
    x = graph.op("Transpose", x, perm=[0, 2, 1])
    x = graph.op("Add", x, graph.attention(graph.norm(x)))
    x = graph.op("Add", x, graph.perceptron(graph.norm(x)))
    x = graph.op("Gather", graph.norm(x), graph.weight(0, np.int64), axis=1)
    x = graph.op("Gemm", x, graph.random(10, CHANNELS), graph.random(10), transB=1)
    graph.nodes.append(helper.make_node("Softmax", [x], ["scores"], "scores", axis=-1))
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
             for name, shape in (("image", ["N", 3, 32, 32]), ("scores", ["N", 10]))]
    whole = helper.make_graph(graph.nodes, "typical", ports[:1], ports[1:], graph.weights)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, sys.argv[1])


if __name__ == "__main__":
    main()
