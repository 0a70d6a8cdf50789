"""Evaluates an ONNX CNN in float64 with NumPy: an oracle that shares no code with Quern.

    tests/oracle/evaluate.py MODEL INPUTS.npz -o OUT.npz

INPUTS.npz holds the graph inputs by name, '/' in a name included. Without it, every
input is arange(n).reshape(shape) / n as float32, as the light models expect.
Floating tensors are float64 throughout, weights included; the results are too.
Written to be obviously right, not fast: a convolution is a sum over window positions.
"""
import argparse
import itertools
import sys

import numpy as np
import onnx
from onnx import numpy_helper

OPS = {}


def op(function):
    """Registers a function under its own name as the evaluator of an ONNX op."""
    OPS[function.__name__] = function
    return function


# Windows: pads, strides and dilations of Conv and pooling.


def window_pads(attrs, sizes, kernel, strides, dilations):
    """(begin, end) per spatial axis, auto_pad resolved."""
    rank = len(sizes)
    mode = attrs.get("auto_pad", b"NOTSET")
    if mode in (b"NOTSET", b""):
        pads = attrs.get("pads", [0] * 2 * rank)
        return list(zip(pads[:rank], pads[rank:]))
    if mode == b"VALID":
        return [(0, 0)] * rank
    result = []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        small, large = total // 2, total - total // 2
        result.append((small, large) if mode == b"SAME_UPPER" else (large, small))
    return result


def windows(x, attrs, kernel, fill):
    """Yields (kernel position, x at that position of every window)."""
    rank = len(kernel)
    sizes = x.shape[2:]
    strides = attrs.get("strides", [1] * rank)
    dilations = attrs.get("dilations", [1] * rank)
    pads = window_pads(attrs, sizes, kernel, strides, dilations)
    rounding = attrs.get("ceil_mode", 0)
    outs, padding = [], [(0, 0), (0, 0)]
    for size, k, stride, dilation, (begin, end) in zip(sizes, kernel, strides, dilations, pads):
        span = (k - 1) * dilation + 1
        room = size + begin + end - span
        out = (-(-room // stride) if rounding else room // stride) + 1
        outs.append(out)
        padding.append((begin, max(end, (out - 1) * stride + span - size - begin)))
    padded = np.pad(x, padding, constant_values=fill)
    for position in itertools.product(*(range(k) for k in kernel)):
        index = tuple(slice(p * d, p * d + (out - 1) * s + 1, s)
                      for p, d, out, s in zip(position, dilations, outs, strides))
        yield position, padded[(slice(None), slice(None)) + index]


@op
def Conv(attrs, x, weight, bias=None):
    groups = attrs.get("group", 1)
    parts = []
    for xg, wg in zip(np.split(x, groups, axis=1), np.split(weight, groups, axis=0)):
        y = 0
        for position, part in windows(xg, attrs, weight.shape[2:], 0):
            n, c = part.shape[:2]
            flat = np.matmul(wg[(slice(None), slice(None)) + position], part.reshape(n, c, -1))
            y = y + flat.reshape((n, len(wg)) + part.shape[2:])
        parts.append(y)
    y = np.concatenate(parts, axis=1)
    return y if bias is None else y + bias.reshape((-1,) + (1,) * (y.ndim - 2))


@op
def MaxPool(attrs, x):
    return np.maximum.reduce([part for _, part in windows(x, attrs, attrs["kernel_shape"],
                                                          -np.inf)])


@op
def AveragePool(attrs, x):
    if attrs.get("count_include_pad", 0):
        raise NotImplementedError("AveragePool with count_include_pad")
    kernel = attrs["kernel_shape"]
    total = sum(part for _, part in windows(x, attrs, kernel, 0))
    inside = np.ones((1, 1) + x.shape[2:])
    return total / sum(part for _, part in windows(inside, attrs, kernel, 0))


@op
def GlobalAveragePool(attrs, x):
    return x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)


# Normalization.


@op
def BatchNormalization(attrs, x, scale, bias, mean, var):
    shape = (-1,) + (1,) * (x.ndim - 2)
    normal = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + attrs.get("epsilon", 1e-5))
    return normal * scale.reshape(shape) + bias.reshape(shape)


@op
def LRN(attrs, x):
    size = attrs["size"]
    before = (size - 1) // 2
    squares = np.pad(x * x, [(0, 0), (before, size - 1 - before)] + [(0, 0)] * (x.ndim - 2))
    total = sum(squares[:, i:i + x.shape[1]] for i in range(size))
    scale = attrs.get("bias", 1.0) + attrs.get("alpha", 1e-4) / size * total
    return x / scale ** attrs.get("beta", 0.75)


@op
def Softmax(attrs, x):
    """Over the last axes together before opset 13, over one axis since."""
    if attrs["opset"] >= 13:
        axes = attrs.get("axis", -1)
    else:
        axes = tuple(range(attrs.get("axis", 1) % x.ndim, x.ndim))
    odds = np.exp(x - x.max(axis=axes, keepdims=True))
    return odds / odds.sum(axis=axes, keepdims=True)


# Contraction and elementwise.


@op
def Gemm(attrs, a, b, c=None):
    a = a.T if attrs.get("transA", 0) else a
    b = b.T if attrs.get("transB", 0) else b
    y = attrs.get("alpha", 1.0) * (a @ b)
    return y if c is None else y + attrs.get("beta", 1.0) * c


@op
def Relu(attrs, x):
    return np.maximum(x, 0)


@op
def Sum(attrs, *terms):
    return sum(terms[1:], terms[0])


@op
def Add(attrs, a, b):
    return a + b


@op
def Mul(attrs, a, b):
    return a * b


# Data movement.


@op
def Concat(attrs, *parts):
    return np.concatenate(parts, axis=attrs["axis"])


@op
def Dropout(attrs, x):
    return x


@op
def Flatten(attrs, x):
    axis = attrs.get("axis", 1)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


@op
def Reshape(attrs, x, shape):
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])


@op
def Transpose(attrs, x):
    return x.transpose(attrs.get("perm"))


@op
def Unsqueeze(attrs, x, axes=None):
    return np.expand_dims(x, tuple(attrs["axes"] if axes is None else axes))


@op
def ConstantOfShape(attrs, shape):
    value = numpy_helper.to_array(attrs["value"]) if "value" in attrs else np.zeros(1, np.float32)
    return widened(np.full(shape, value.item(), value.dtype))


def widened(array):
    """Floating arrays as float64, others as they are."""
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def graph_inputs(model):
    """{name: shape} of the inputs that are not initializers; a named dimension is 1."""
    initializers = {t.name for t in model.graph.initializer}
    return {i.name: [d.dim_value or 1 for d in i.type.tensor_type.shape.dim]
            for i in model.graph.input if i.name not in initializers}


def ramp_inputs(model):
    """The inputs that the expected outputs of the light models belong to."""
    return {name: (np.arange(np.prod(shape)).reshape(shape) / np.prod(shape)).astype(np.float32)
            for name, shape in graph_inputs(model).items()}


def evaluate(model, inputs):
    """{output name: float64 array} for {input name: array}."""
    missing = sorted({n.op_type for n in model.graph.node} - set(OPS))
    if missing:
        raise NotImplementedError("no oracle for " + ", ".join(missing))
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    values = {t.name: widened(numpy_helper.to_array(t)) for t in model.graph.initializer}
    values.update({name: widened(array) for name, array in inputs.items()})
    last_use = {name: i for i, node in enumerate(model.graph.node) for name in node.input}
    keep = {o.name for o in model.graph.output}
    for i, node in enumerate(model.graph.node):
        attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        attrs["opset"] = opset
        operands = [values[name] if name else None for name in node.input]
        values[node.output[0]] = OPS[node.op_type](attrs, *operands)
        for name in set(node.input) - keep:
            if last_use[name] == i:
                values.pop(name, None)
    return {name: values[name] for name in keep}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("inputs", nargs="?", help="an .npz file; default: the ramp input")
    parser.add_argument("-o", "--output", required=True, help="the .npz file to write")
    args = parser.parse_args()
    model = onnx.load(args.model)
    inputs = dict(np.load(args.inputs)) if args.inputs else ramp_inputs(model)
    wanted = graph_inputs(model)
    if set(inputs) != set(wanted):
        sys.exit(f"{args.model}: wants inputs {sorted(wanted)}, found {sorted(inputs)}")
    np.savez(args.output, **evaluate(model, inputs))


if __name__ == "__main__":
    main()
