#!/usr/bin/env python3
"""Compares TensorFlow Lite's ops, one by one with drawn shapes, types and options, with LiteRT.

Needs ai-edge-litert (PyPI), whose reference kernels are the oracle. Each model has many ops that do
not depend on each other; what LiteRT refuses is left out. Integers may be one step off, floats 1e-3
of the largest magnitude. Prints what differs, and how many ops were compared; exit code 1 when any
does.

  python3 compare_ops.py [--quern PROGRAM] [--seed N] [--models N] [--ops NAMES] [--keep FOLDER]
"""
import argparse
import collections
import pathlib
import subprocess
import sys
import tempfile

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

TYPES = {np.dtype(kind): getattr(schema.TensorType, name) for kind, name in {
    "float32": "FLOAT32", "int32": "INT32", "uint8": "UINT8", "int64": "INT64", "bool": "BOOL",
    "int16": "INT16", "int8": "INT8"}.items()}
QUANTIZED = (np.int8, np.uint8, np.int16)


class Model:
    """A model that is being made."""

    def __init__(self):
        self.tensors, self.buffers, self.ops = [], [schema.BufferT()], []
        self.codes, self.inputs, self.outputs, self.feed = {}, [], [], {}

    def tensor(self, shape, dtype, scale=None, zero=0, data=None, dimension=0):
        tensor = schema.TensorT()
        tensor.shape, tensor.type = list(shape), TYPES[np.dtype(dtype)]
        tensor.name = f"t{len(self.tensors)}"
        tensor.hasRank = True
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(s) for s in np.atleast_1d(scale)]
            tensor.quantization.zeroPoint = [int(zero)] * len(tensor.quantization.scale)
            tensor.quantization.quantizedDimension = dimension
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.ascontiguousarray(data, dtype).view(np.uint8).ravel()
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, data, dtype=np.int32, **scales):
        data = np.asarray(data, dtype)
        return self.tensor(data.shape, dtype, data=data, **scales)

    def input(self, data, **scales):
        data = np.asarray(data)
        number = self.tensor(data.shape, data.dtype, **scales)
        self.inputs.append(number)
        self.feed[f"t{number}"] = data
        return number

    def op(self, name, inputs, outputs, options=None):
        number = getattr(schema.BuiltinOperator, name)
        op = schema.OperatorT()
        op.opcodeIndex = self.codes.setdefault(number, len(self.codes))
        op.inputs, op.outputs = list(inputs), list(outputs)
        if options is not None:
            kind = type(options).__name__[:-1]
            op.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            op.builtinOptions = options
        self.ops.append(op)
        self.outputs += outputs

    def content(self):
        model, graph = schema.ModelT(), schema.SubGraphT()
        model.version = 3
        model.operatorCodes = []
        for number in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
            code.version = 1
            model.operatorCodes.append(code)
        graph.tensors, graph.operators = self.tensors, self.ops
        graph.inputs, graph.outputs = self.inputs, self.outputs
        model.subgraphs, model.buffers = [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def options(kind, **fields):
    made = getattr(schema, kind + "T")()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


class Draw:
    """Random choices, of which all of a case are made."""

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)

    def one(self, *choices):
        return choices[self.random.randint(len(choices))]

    def dims(self, rank, most=5):
        return [int(d) for d in self.random.randint(1, most + 1, rank)]

    def real(self, shape, low=-3.0, high=3.0):
        return self.random.uniform(low, high, shape).astype(np.float32)

    def value(self, dtype, shape, low=-3.0, high=3.0):
        dtype = np.dtype(dtype)
        if dtype == np.float32:
            return self.real(shape, low, high)
        if dtype == bool:
            return self.random.rand(*shape) < 0.5
        if dtype.type in QUANTIZED:
            info = np.iinfo(dtype)
            return self.random.randint(info.min, info.max + 1, shape).astype(dtype)
        return self.random.randint(int(low), int(high) + 1, shape).astype(dtype)

    def scales(self, dtype, low=0.004, high=0.05):
        """Of int16 there is no zero point."""
        dtype = np.dtype(dtype).type
        if dtype not in QUANTIZED:
            return {}
        zero = 0 if dtype == np.int16 else int(self.random.randint(-20, 20)) + 128 * (
            dtype == np.uint8)
        scale = float(self.random.uniform(low, high)) / (256 if dtype == np.int16 else 1)
        return {"scale": scale, "zero": zero}


CASES = {}
# Whose reference kernel is at odds with TensorFlow and with the optimized one: it leaves out the last
# neighbour.
FAULTY = {"LOCAL_RESPONSE_NORMALIZATION"}


def case(*names):
    def register(make):
        for name in names:
            CASES[name] = make
        return make
    return register


REALS = (np.float32, np.int8)
ACTIVATIONS = (0, 0, 1, 3)


def result(model, draw, shape, dtype, **scales):
    return model.tensor(shape, dtype, **(scales or draw.scales(dtype)))


@case("ADD", "SUB", "MUL", "DIV")
def arithmetic(model, draw, name):
    dtype = draw.one(*(REALS if name != "DIV" else (np.float32,)), np.int32 if name != "DIV" else
                     np.float32)
    shape = draw.dims(draw.one(1, 2, 3, 4))
    other = [d if draw.one(0, 1) else 1 for d in shape][draw.one(0, 0, 1):]
    a = model.input(draw.value(dtype, shape), **draw.scales(dtype))
    b = draw.value(dtype, other, 0.5 if name == "DIV" else -3.0)
    b = model.input(b, **draw.scales(dtype)) if draw.one(0, 1) else model.constant(
        b, dtype, **draw.scales(dtype))
    kind = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}
    model.op(name, [a, b], [result(model, draw, shape, dtype)],
             options(kind[name], fusedActivationFunction=draw.one(*ACTIVATIONS)))


@case("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD", "POW")
def binary(model, draw, name):
    dtype = draw.one(np.float32, np.int32) if name != "POW" else np.float32
    shape = draw.dims(draw.one(1, 2, 3, 4))
    low = 0.5 if name == "POW" else -3.0
    a = model.input(draw.value(dtype, shape, low))
    b = draw.value(dtype, shape, low)
    if name.startswith("FLOOR"):
        b = np.where(b == 0, b.dtype.type(2), b)
    kind = {"MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions",
            "SQUARED_DIFFERENCE": "SquaredDifferenceOptions", "FLOOR_DIV": "FloorDivOptions",
            "FLOOR_MOD": "FloorModOptions", "POW": "PowOptions"}[name]
    model.op(name, [a, model.input(b)], [result(model, draw, shape, dtype)], options(kind))


@case("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL")
def comparison(model, draw, name):
    dtype, shape = draw.one(np.float32, np.int32, np.int64), draw.dims(draw.one(1, 2, 4))
    a, b = (model.input(draw.value(dtype, shape)) for _ in range(2))
    kind = "".join(part.capitalize() for part in name.split("_")) + "Options"
    model.op(name, [a, b], [result(model, draw, shape, bool)], options(kind))


@case("LOGICAL_AND", "LOGICAL_OR")
def logical(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 4))
    a, b = (model.input(draw.value(bool, shape)) for _ in range(2))
    model.op(name, [a, b], [result(model, draw, shape, bool)])


@case("ABS", "NEG", "EXP", "SIN", "COS", "CEIL", "FLOOR", "ROUND", "SQUARE", "SQRT", "RSQRT",
      "LOG", "ELU", "HARD_SWISH", "GELU", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1",
      "LOGISTIC", "TANH", "LEAKY_RELU", "SIGN", "LOGICAL_NOT")
def unary(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 3, 4))
    quantizable = ("RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "LEAKY_RELU", "ABS",
                   "HARD_SWISH", "ELU")
    dtype = draw.one(np.float32, np.int8 if name in quantizable else np.float32)
    dtype = bool if name == "LOGICAL_NOT" else dtype
    positive = name in ("SQRT", "RSQRT", "LOG")
    x = model.input(draw.value(dtype, shape, 0.1 if positive else -3.0), **draw.scales(dtype))
    fixed = {"LOGISTIC": {"scale": 1 / 256, "zero": -128}, "TANH": {"scale": 1 / 128, "zero": 0}}
    scales = fixed.get(name, {}) if dtype == np.int8 else {}
    made = None
    if name == "LEAKY_RELU":
        made = options("LeakyReluOptions", alpha=float(draw.one(0.1, 0.3, 1.5)))
    if name == "GELU":
        made = options("GeluOptions", approximate=bool(draw.one(0, 1)))
    model.op(name, [x], [result(model, draw, shape, dtype, **scales)], made)


@case("PRELU")
def prelu(model, draw, name):
    shape = draw.dims(4)
    x, slope = model.input(draw.real(shape)), model.constant(draw.real([1, 1, shape[3]]),
                                                              np.float32)
    model.op(name, [x, slope], [result(model, draw, shape, np.float32)])


@case("SELECT", "SELECT_V2")
def select(model, draw, name):
    dtype, shape = draw.one(np.float32, np.int32), draw.dims(draw.one(1, 2, 3))
    test = shape if name == "SELECT_V2" or draw.one(0, 1) else shape[:1]
    inputs = [model.input(draw.value(bool, test)), model.input(draw.value(dtype, shape)),
              model.input(draw.value(dtype, shape))]
    model.op(name, inputs, [result(model, draw, shape, dtype)])


def same_size(size, window, stride, dilation, padding):
    if padding == 0:
        return -(-size // stride)
    return (size - (window - 1) * dilation - 1) // stride + 1


def weights(model, draw, dtype, shape, dimension, x_scale, bias):
    """Weights and biases, of int8 by channel."""
    filters = shape[dimension]
    if dtype == np.float32:
        w = model.constant(draw.real(shape, -1, 1), np.float32)
        return w, model.constant(draw.real([filters]), np.float32) if bias else -1
    scales = draw.random.uniform(0.002, 0.02, filters)
    data = draw.random.randint(-127, 128, shape)
    w = model.constant(data, np.int8, scale=scales, dimension=dimension)
    biases = draw.random.randint(-2000, 2000, filters)
    return w, model.constant(biases, np.int32, scale=scales * x_scale) if bias else -1


@case("CONV_2D", "DEPTHWISE_CONV_2D")
def convolution(model, draw, name):
    dtype, depthwise = draw.one(*REALS), name.startswith("DEPTH")
    n, h, w, c = draw.one(1, 2), draw.one(5, 8, 9), draw.one(6, 7), draw.one(1, 3, 8)
    window = draw.one(1, 2, 3), draw.one(1, 3)
    stride, dilation = (draw.one(1, 2),) * 2, (draw.one(1, 1, 2), draw.one(1, 1, 2))
    if stride[0] > 1:
        dilation = (1, 1)
    padding, multiplier = draw.one(0, 1), draw.one(1, 2)
    filters = c * multiplier if depthwise else draw.one(1, 4, 9)
    scales = draw.scales(dtype)
    x = model.input(draw.value(dtype, (n, h, w, c)), **scales)
    shape = [1, *window, filters] if depthwise else [filters, *window, c]
    k, b = weights(model, draw, dtype, shape, 3 if depthwise else 0, scales.get("scale", 1),
                   True)
    out = [n, *(same_size(s, *rest, padding) for s, *rest in zip((h, w), window, stride, dilation)),
           filters]
    made = options("DepthwiseConv2DOptions" if depthwise else "Conv2DOptions", padding=padding,
                   strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
                   dilationWFactor=dilation[1], fusedActivationFunction=draw.one(*ACTIVATIONS))
    if depthwise:
        made.depthMultiplier = multiplier
    model.op(name, [x, k, b], [result(model, draw, out, dtype)], made)


@case("TRANSPOSE_CONV")
def transpose_conv(model, draw, name):
    n, h, w, c, filters = 1, draw.one(3, 4), draw.one(3, 5), draw.one(1, 3), draw.one(1, 4)
    window, stride, padding = (draw.one(1, 2, 3),) * 2, draw.one(1, 2), draw.one(0, 1)
    if padding == 0:
        out = [n, h * stride, w * stride, filters]
    else:
        out = [n, *((s - 1) * stride + k for s, k in zip((h, w), window)), filters]
    x = model.input(draw.real((n, h, w, c)))
    k = model.constant(draw.real((filters, *window, c)), np.float32)
    model.op(name, [model.constant(out), k, x], [result(model, draw, out, np.float32)],
             options("TransposeConvOptions", padding=padding, strideH=stride, strideW=stride))


@case("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
def pool(model, draw, name):
    dtype = np.float32 if name.startswith("L2") else draw.one(*REALS)
    n, h, w, c = draw.one(1, 2), draw.one(5, 8), draw.one(6, 7), draw.one(1, 5)
    window, stride, padding = (draw.one(2, 3), draw.one(1, 2)), draw.one(1, 2), draw.one(0, 1)
    scales = draw.scales(dtype)
    x = model.input(draw.value(dtype, (n, h, w, c)), **scales)
    out = [n, same_size(h, window[0], stride, 1, padding), same_size(w, window[1], stride, 1,
                                                                     padding), c]
    model.op(name, [x], [result(model, draw, out, dtype, **scales)],
             options("Pool2DOptions", padding=padding, strideH=stride, strideW=stride,
                     filterHeight=window[0], filterWidth=window[1],
                     fusedActivationFunction=draw.one(*ACTIVATIONS)))


@case("FULLY_CONNECTED")
def fully_connected(model, draw, name):
    dtype, size, units = draw.one(*REALS), draw.one(1, 7, 16), draw.one(1, 3, 10)
    keeps = bool(draw.one(0, 1))
    shape = [draw.one(1, 3), size] if not keeps else [2, draw.one(1, 3), size]
    scales = draw.scales(dtype)
    x = model.input(draw.value(dtype, shape), **scales)
    w, b = weights(model, draw, dtype, [units, size], 0, scales.get("scale", 1),
                   draw.one(True, False))
    model.op(name, [x, w, b], [result(model, draw, [*shape[:-1], units], dtype)],
             options("FullyConnectedOptions", keepNumDims=keeps,
                     fusedActivationFunction=draw.one(*ACTIVATIONS)))


@case("BATCH_MATMUL")
def batch_matmul(model, draw, name):
    batch, m, k, n = draw.dims(draw.one(0, 1, 2), 3), *draw.dims(3, 6)
    turns = draw.one(False, True), draw.one(False, True)
    a = model.input(draw.real([*batch, k, m] if turns[0] else [*batch, m, k]))
    b = model.input(draw.real([*batch, n, k] if turns[1] else [*batch, k, n]))
    model.op(name, [a, b], [result(model, draw, [*batch, m, n], np.float32)],
             options("BatchMatMulOptions", adjX=turns[0], adjY=turns[1]))


@case("SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION")
def norm(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 4))
    dtype = draw.one(*REALS) if name == "SOFTMAX" else np.float32
    x = model.input(draw.value(dtype, shape), **draw.scales(dtype))
    made = {"SOFTMAX": lambda: options("SoftmaxOptions", beta=float(draw.one(1.0, 0.5, 2.0))),
            "LOG_SOFTMAX": lambda: options("LogSoftmaxOptions"),
            "L2_NORMALIZATION": lambda: options("L2NormOptions")}[name]()
    scales = {"scale": 1 / 256, "zero": -128} if dtype == np.int8 else {}
    model.op(name, [x], [result(model, draw, shape, dtype, **scales)], made)


@case("LOCAL_RESPONSE_NORMALIZATION")
def local_response(model, draw, name):
    shape = draw.dims(4, 6)
    model.op(name, [model.input(draw.real(shape))], [result(model, draw, shape, np.float32)],
             options("LocalResponseNormalizationOptions", radius=draw.one(0, 1, 2, 5), bias=1.0,
                     alpha=0.3, beta=float(draw.one(0.5, 0.75))))


@case("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL")
def reduction(model, draw, name):
    shape = draw.dims(draw.one(2, 3, 4))
    kinds = {"MEAN": REALS, "REDUCE_MAX": REALS, "REDUCE_MIN": REALS, "REDUCE_ANY": (bool,),
             "REDUCE_ALL": (bool,)}.get(name, (np.float32,))
    dtype, keeps = draw.one(*kinds), bool(draw.one(0, 1))
    axes = sorted(draw.random.choice(len(shape), draw.random.randint(1, len(shape) + 1), False))
    out = [1 if i in axes else d for i, d in enumerate(shape) if keeps or i not in axes]
    signed = [int(a) - (len(shape) if draw.one(0, 1) else 0) for a in axes]
    scales = draw.scales(dtype)
    x = model.input(draw.value(dtype, shape), **scales)
    scales = scales if name != "MEAN" else draw.scales(dtype)
    model.op(name, [x, model.constant(signed)], [result(model, draw, out, dtype, **scales)],
             options("ReducerOptions", keepDims=keeps))


@case("ARG_MAX", "ARG_MIN")
def arg_reduce(model, draw, name):
    shape, dtype = draw.dims(draw.one(2, 3, 4)), draw.one(*REALS)
    axis, wide = draw.random.randint(len(shape)), draw.one(np.int32, np.int64)
    x = model.input(draw.value(dtype, shape), **draw.scales(dtype))
    out = shape[:axis] + shape[axis + 1:]
    kind = "ArgMaxOptions" if name == "ARG_MAX" else "ArgMinOptions"
    model.op(name, [x, model.constant(axis - draw.one(0, len(shape)))],
             [model.tensor(out, wide)], options(kind, outputType=TYPES[np.dtype(wide)]))


@case("TOPK_V2")
def top_k(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 3), 8)
    k = draw.random.randint(1, shape[-1] + 1)
    out = [*shape[:-1], k]
    model.op(name, [model.input(draw.real(shape)), model.constant(k)],
             [model.tensor(out, np.float32), model.tensor(out, np.int32)])


@case("CUMSUM")
def cumsum(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 3))
    model.op(name, [model.input(draw.real(shape)),
                    model.constant(draw.random.randint(-len(shape), len(shape)))],
             [model.tensor(shape, np.float32)],
             options("CumsumOptions", exclusive=bool(draw.one(0, 1)), reverse=bool(draw.one(0, 1))))


@case("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def resize(model, draw, name):
    n, h, w, c = 1, draw.one(3, 4, 7), draw.one(2, 5), draw.one(1, 3)
    size = [draw.one(2, 6, 9), draw.one(4, 5, 11)]
    aligns = bool(draw.one(0, 1))
    half = not aligns and bool(draw.one(0, 1))
    dtype = draw.one(*REALS)
    scales = draw.scales(dtype)
    kind = ("ResizeBilinearOptions" if name == "RESIZE_BILINEAR" else
            "ResizeNearestNeighborOptions")
    model.op(name, [model.input(draw.value(dtype, (n, h, w, c)), **scales), model.constant(size)],
             [result(model, draw, [n, *size, c], dtype, **scales)],
             options(kind, alignCorners=aligns, halfPixelCenters=half))


def moved(draw):
    dtype = draw.one(np.float32, np.int8, np.int32)
    return dtype, draw.scales(dtype)


@case("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "TILE", "BROADCAST_TO", "REVERSE_V2")
def movement(model, draw, name):
    dtype, scales = moved(draw)
    shape = draw.dims(draw.one(2, 3, 4))
    rank = len(shape)
    if name == "SQUEEZE":
        shape[draw.random.randint(rank)] = 1
    x = model.input(draw.value(dtype, shape), **scales)
    more, made, count = [], None, int(np.prod(shape))
    if name == "RESHAPE":
        out = draw.one([count], [1, count], [*shape, 1])
        more = [model.constant([-1, *out[1:]] if draw.one(0, 1) else out)]
        made = options("ReshapeOptions", newShape=out)
    elif name == "SQUEEZE":
        dims = [i for i, d in enumerate(shape) if d == 1]
        dims = draw.one(dims, dims[:1])
        out = [d for i, d in enumerate(shape) if i not in dims]
        made = options("SqueezeOptions", squeezeDims=dims)
    elif name == "EXPAND_DIMS":
        axis = draw.random.randint(rank + 1)
        out = [*shape[:axis], 1, *shape[axis:]]
        more = [model.constant(axis - draw.one(0, rank + 1))]
    elif name == "TRANSPOSE":
        perm = draw.random.permutation(rank)
        out = [shape[i] for i in perm]
        more = [model.constant(perm)]
    elif name == "TILE":
        times = draw.dims(rank, 3)
        out = [d * t for d, t in zip(shape, times)]
        more = [model.constant(times)]
    elif name == "BROADCAST_TO":
        out = [draw.one(1, 2), *shape]
        more = [model.constant(out)]
    else:
        out, more = shape, [model.constant([draw.random.randint(rank)])]
    model.op(name, [x, *more], [result(model, draw, out, dtype, **scales)], made)


@case("PAD", "PADV2", "MIRROR_PAD")
def pad(model, draw, name):
    dtype, scales = (draw.one(np.float32, np.int32), {}) if name != "PAD" else moved(draw)
    shape = [d + 2 for d in draw.dims(draw.one(2, 3, 4))]
    pads = draw.random.randint(0, 3, (len(shape), 2))
    out = [int(d + sum(p)) for d, p in zip(shape, pads)]
    x = model.input(draw.value(dtype, shape), **scales)
    more, made = [], None
    if name == "PADV2":
        more = [model.constant(draw.value(dtype, [1]), dtype)]
    if name == "MIRROR_PAD":
        made = options("MirrorPadOptions", mode=draw.one(0, 1))
    model.op(name, [x, model.constant(pads), *more], [result(model, draw, out, dtype, **scales)],
             made)


@case("CONCATENATION", "PACK")
def concatenation(model, draw, name):
    dtype, scales = moved(draw)
    shape, count = draw.dims(draw.one(2, 3, 4)), draw.one(1, 2, 4)
    axis = draw.random.randint(len(shape) + (name == "PACK"))
    parts = []
    for _ in range(count):
        part = list(shape)
        if name == "CONCATENATION":
            part[axis] = draw.one(1, 2, 3)
        parts.append(part)
    inputs = [model.input(draw.value(dtype, part), **scales) for part in parts]
    if name == "PACK":
        out = [*shape[:axis], count, *shape[axis:]]
        made = options("PackOptions", valuesCount=count, axis=axis)
    else:
        out = [*shape[:axis], sum(part[axis] for part in parts), *shape[axis + 1:]]
        made = options("ConcatenationOptions", axis=axis - draw.one(0, len(shape)))
    model.op(name, inputs, [result(model, draw, out, dtype, **scales)], made)


@case("SPLIT", "UNPACK", "SPLIT_V")
def split(model, draw, name):
    dtype, scales = moved(draw)
    shape, count = draw.dims(draw.one(2, 3)), draw.one(1, 2, 3)
    axis = draw.random.randint(len(shape))
    sizes = [draw.one(1, 2) for _ in range(count)] if name == "SPLIT_V" else [2] * count
    shape[axis] = count if name == "UNPACK" else sum(sizes)
    x = model.input(draw.value(dtype, shape), **scales)
    outs = []
    for size in sizes:
        out = shape[:axis] + ([] if name == "UNPACK" else [size]) + shape[axis + 1:]
        outs.append(result(model, draw, out, dtype, **scales))
    if name == "SPLIT":
        model.op(name, [model.constant(axis), x], outs, options("SplitOptions", numSplits=count))
    elif name == "SPLIT_V":
        model.op(name, [x, model.constant(sizes), model.constant(axis)], outs,
                 options("SplitVOptions", numSplits=count))
    else:
        model.op(name, [x], outs, options("UnpackOptions", num=count, axis=axis))


@case("SLICE")
def cut(model, draw, name):
    dtype, scales = moved(draw)
    shape = draw.dims(draw.one(1, 2, 4))
    begin = [draw.random.randint(d) for d in shape]
    size = [draw.random.randint(1, d - b + 1) for d, b in zip(shape, begin)]
    out = list(size)
    if draw.one(0, 1):
        size[0], out[0] = -1, shape[0] - begin[0]
    model.op(name, [model.input(draw.value(dtype, shape), **scales), model.constant(begin),
                    model.constant(size)], [result(model, draw, out, dtype, **scales)])


@case("STRIDED_SLICE")
def strided(model, draw, name):
    dtype, scales = moved(draw)
    shape = draw.dims(draw.one(1, 2, 3, 4), 6)
    begin, end, stride, masks, index = [], [], [], collections.Counter(), []
    for i, d in enumerate(shape):
        step = draw.one(1, 1, 2, -1)
        low, high = sorted(draw.random.randint(0, d + 1, 2))
        low, high = (low, max(high, low + 1)) if low < d else (d - 1, d)
        first, last = (low, high) if step > 0 else (high - 1, low - 1)
        if draw.one(0, 0, 0, 1) and len(shape) > 1:
            masks["shrink"] |= 1 << i
            index.append(low)
            begin.append(low - draw.one(0, d))
            end.append(begin[-1] + 1)
            stride.append(1)
            continue
        if draw.one(0, 0, 1):
            masks["begin"] |= 1 << i
            first = None
        if draw.one(0, 0, 1) or last is not None and last < 0:
            masks["end"] |= 1 << i
            last = None
        index.append(slice(first, last, step))
        begin.append(0 if first is None else first)
        end.append(0 if last is None else last)
        stride.append(step)
    data = draw.value(dtype, shape)
    out = list(data[tuple(index)].shape)
    if 0 in out:
        return
    made = options("StridedSliceOptions", beginMask=masks["begin"], endMask=masks["end"],
                   shrinkAxisMask=masks["shrink"])
    model.op(name, [model.input(data, **scales), *map(model.constant, (begin, end, stride))],
             [result(model, draw, out, dtype, **scales)], made)


@case("GATHER")
def gather(model, draw, name):
    dtype, scales = moved(draw)
    shape = draw.dims(draw.one(1, 2, 3))
    axis = draw.random.randint(len(shape))
    batch = draw.one(0, axis)
    places = [*shape[:batch], *draw.dims(draw.one(1, 2), 3)]
    indices = draw.random.randint(0, shape[axis], places).astype(draw.one(np.int32, np.int64))
    out = [*shape[:axis], *places[batch:], *shape[axis + 1:]]
    model.op(name, [model.input(draw.value(dtype, shape), **scales), model.input(indices)],
             [result(model, draw, out, dtype, **scales)],
             options("GatherOptions", axis=axis, batchDims=batch))


@case("GATHER_ND", "SCATTER_ND")
def gather_nd(model, draw, name):
    shape, count = draw.dims(draw.one(1, 2, 3)), draw.one(1, 4)
    depth = draw.random.randint(1, len(shape) + 1)
    indices = np.stack([draw.random.randint(0, d, count) for d in shape[:depth]], -1)
    rest = [count, *shape[depth:]]
    if name == "GATHER_ND":
        model.op(name, [model.input(draw.real(shape)), model.input(indices.astype(np.int32))],
                 [model.tensor(rest, np.float32)])
    else:
        model.op(name, [model.input(indices.astype(np.int32)), model.input(draw.real(rest)),
                        model.constant(shape)], [model.tensor(shape, np.float32)])


@case("ONE_HOT")
def one_hot(model, draw, name):
    shape, depth = draw.dims(draw.one(1, 2)), draw.one(1, 3, 5)
    axis = draw.random.randint(-1, len(shape) + 1)
    at = len(shape) if axis == -1 else axis
    indices = draw.random.randint(-1, depth + 1, shape).astype(np.int32)
    model.op(name, [model.input(indices), model.constant(depth),
                    model.constant(2.5, np.float32), model.constant(-1.0, np.float32)],
             [model.tensor([*shape[:at], depth, *shape[at:]], np.float32)],
             options("OneHotOptions", axis=axis))


@case("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def blocks(model, draw, name):
    dtype, scales = moved(draw)
    n, h, w, c, size = 1, *draw.dims(2, 3), draw.one(1, 3), draw.one(2, 3)
    small, large = [n, h, w, c * size * size], [n, h * size, w * size, c]
    shape, out = (large, small) if name == "SPACE_TO_DEPTH" else (small, large)
    kind = "SpaceToDepthOptions" if name == "SPACE_TO_DEPTH" else "DepthToSpaceOptions"
    model.op(name, [model.input(draw.value(dtype, shape), **scales)],
             [result(model, draw, out, dtype, **scales)], options(kind, blockSize=size))


@case("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")
def batch_blocks(model, draw, name):
    size = [draw.one(1, 2), draw.one(2, 3)]
    edges = draw.random.randint(0, 2, (2, 2))
    n, c = draw.one(1, 2), draw.one(1, 3)
    inner = [draw.one(2, 3), draw.one(2, 3)]
    whole = [i * s for i, s in zip(inner, size)]
    cropped = [int(d - sum(e)) for d, e in zip(whole, edges)]
    if min(cropped) < 1:
        return
    image, batch = [n, *cropped, c], [n * size[0] * size[1], *inner, c]
    shape, out = (image, batch) if name.startswith("SPACE") else (batch, image)
    model.op(name, [model.input(draw.real(shape)), model.constant(size), model.constant(edges)],
             [model.tensor(out, np.float32)])


@case("CAST")
def cast(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 3))
    source, target = (draw.one(np.float32, np.int32, np.int64, bool) for _ in range(2))
    model.op(name, [model.input(draw.value(source, shape))], [model.tensor(shape, target)],
             options("CastOptions", inDataType=TYPES[np.dtype(source)],
                     outDataType=TYPES[np.dtype(target)]))


@case("QUANTIZE", "DEQUANTIZE")
def quantize(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 4))
    target = draw.one(np.int8, np.uint8, np.int16)
    if name == "DEQUANTIZE":
        x = model.input(draw.value(target, shape), **draw.scales(target))
        return model.op(name, [x], [model.tensor(shape, np.float32)])
    source = draw.one(np.float32, np.int8)
    x = model.input(draw.value(source, shape), **draw.scales(source))
    model.op(name, [x], [result(model, draw, shape, np.int8 if source == np.int8 else target)])


@case("SHAPE", "RANK", "ZEROS_LIKE", "FILL", "WHERE", "ADD_N", "EMBEDDING_LOOKUP")
def other(model, draw, name):
    shape = draw.dims(draw.one(2, 3))
    data = draw.real(shape)
    if name == "SHAPE":
        model.op(name, [model.input(data)], [model.tensor([len(shape)], np.int32)],
                 options("ShapeOptions", outType=TYPES[np.dtype(np.int32)]))
    elif name == "RANK":
        model.op(name, [model.input(data)], [model.tensor([], np.int32)])
    elif name == "ZEROS_LIKE":
        model.op(name, [model.input(data)], [model.tensor(shape, np.float32)])
    elif name == "FILL":
        model.op(name, [model.constant(shape), model.input(np.float32(1.5))],
                 [model.tensor(shape, np.float32)])
    elif name == "WHERE":
        test = data > 0
        model.op(name, [model.input(test)], [model.tensor([int(test.sum()), len(shape)], np.int64)])
    elif name == "ADD_N":
        model.op(name, [model.input(draw.real(shape)) for _ in range(draw.one(2, 3))],
                 [model.tensor(shape, np.float32)])
    else:
        ids = draw.random.randint(0, shape[0], 4).astype(np.int32)
        model.op(name, [model.input(ids), model.constant(data, np.float32)],
                 [model.tensor([4, *shape[1:]], np.float32)])


def litert(content, feed, reference=True):
    resolver = (OpResolverType.BUILTIN_REF if reference else
                OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], feed[detail["name"]])
    interpreter.invoke()
    return {detail["name"]: interpreter.get_tensor(detail["index"])
            for detail in interpreter.get_output_details()}


def one_op(name, seed):
    model = Model()
    CASES[name](model, Draw(seed), name)
    return model if model.ops else None


def is_taken(model):
    try:
        litert(model.content(), model.feed)
        return True
    except (RuntimeError, ValueError):
        return False


def difference(found, wanted):
    """What is wrong, or nothing."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return f"{found.dtype} {found.shape}, wanted {wanted.dtype} {wanted.shape}"
    if wanted.size == 0:
        return ""
    if wanted.dtype.kind == "f":
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        finite = np.abs(wanted[np.isfinite(wanted)])
        worst = np.where(same, 0, np.abs(found - wanted)).max()
        return "" if worst <= 1e-3 * max(finite.max(initial=0), 1e-3) else f"off by {worst:g}"
    worst = np.abs(found.astype(np.int64) - wanted.astype(np.int64)).max()
    return f"{worst} steps off" if worst > (wanted.dtype.type in QUANTIZED) else ""


def compare(name, model, quern, folder):
    """What differs, by the names of results, and how many integers are a step off, of how many."""
    (folder / "m.tflite").write_bytes(model.content())
    np.savez(folder / "x.npz", **model.feed)
    wanted = litert(model.content(), model.feed, reference=name not in FAULTY)
    faults, steps = [], [0, 0]
    for backend in ("native", "interpreter"):
        done = subprocess.run([quern, "run", folder / "m.tflite", "--input", folder / "x.npz", "-o",
                               folder / "y.npz", "-q", f"--backend={backend}"],
                              capture_output=True, text=True)
        if done.returncode:
            return [f"{backend}: {done.stderr.strip()}"], steps
        found = np.load(folder / "y.npz")
        for name, value in wanted.items():
            wrong = difference(found[name], value)
            if wrong:
                faults.append(f"{backend}: {name}: {wrong}")
            elif value.dtype.type in QUANTIZED:
                steps[0] += int((found[name] != value).sum())
                steps[1] += value.size
    return faults, steps


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quern", default=here / "build/release/bin/quern")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=15, help="cases of each op")
    parser.add_argument("--ops", help="names, with commas")
    parser.add_argument("--keep", type=pathlib.Path, help="where models that differ stay")
    options = parser.parse_args()
    names = options.ops.split(",") if options.ops else sorted(CASES)
    compared, refused, failed, steps = 0, 0, 0, np.zeros(2, np.int64)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for i in range(options.count):
                model = one_op(name, options.seed * 100003 + i)
                if model is None or not is_taken(model):
                    refused += 1
                    continue
                faults, more = compare(name, model, options.quern, pathlib.Path(folder))
                compared += 1
                steps += more
                if faults:
                    failed += 1
                    print(f"{name} (case {i}): {'; '.join(faults)}", flush=True)
                    if options.keep:
                        options.keep.mkdir(parents=True, exist_ok=True)
                        (options.keep / f"{name}_{i}.tflite").write_bytes(model.content())
    print(f"{compared} cases of {len(names)} ops compared, {refused} that LiteRT refuses left out, "
          f"{failed} differ; {steps[0]} of {steps[1]} integers one step off")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
