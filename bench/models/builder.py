"""Writes ONNX graphs with random weights, node by node."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Appends nodes; values are their names."""

    def __init__(self, opset=16):
        self.opset = opset
        self.random = np.random.default_rng(0)
        self.nodes, self.initializers = [], []

    def add(self, array, name=None):
        name = name or f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape, scale=0.02):
        return self.add((self.random.standard_normal(shape) * scale).astype(np.float32))

    def ints(self, *values):
        return self.add(np.array(values, np.int64))

    def scalar(self, value):
        return self.add(np.array(value, np.float32))

    def op(self, kind, *inputs, **attributes):
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def linear(self, x, rows, columns, scale=0.02):
        return self.op("Add", self.op("MatMul", x, self.weight(rows, columns, scale=scale)),
                       self.weight(columns))

    def conv(self, x, channels, outputs, kernel, stride=1, groups=1, gain=1.0, dilation=1):
        """With weights that keep the magnitude of what a Relu leaves, times `gain`."""
        fan_in = channels // groups * kernel * kernel
        weight = self.weight(outputs, channels // groups, kernel, kernel,
                             scale=gain * (2 / fan_in) ** 0.5)
        return self.op("Conv", x, weight, self.weight(outputs, scale=0.05),
                       kernel_shape=[kernel] * 2, strides=[stride] * 2, group=groups,
                       dilations=[dilation] * 2, pads=[kernel // 2 * dilation] * 4)

    def gelu(self, x):
        erf = self.op("Erf", self.op("Div", x, self.scalar(2 ** 0.5)))
        return self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.scalar(1))),
                       self.scalar(0.5))

    def result(self, x, name):
        self.nodes.append(helper.make_node("Identity", [x], [name]))

    def save(self, inputs, outputs, path):
        """Ports are (name, shape), of floats, or (name, shape, type); a shape may be None."""
        def info(name, dims, kind=TensorProto.FLOAT):
            return helper.make_tensor_value_info(name, kind, dims)
        graph = helper.make_graph(self.nodes, path.stem, [info(*i) for i in inputs],
                                  [info(*o) for o in outputs], self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8
        onnx.save(onnx.shape_inference.infer_shapes(model), path)
