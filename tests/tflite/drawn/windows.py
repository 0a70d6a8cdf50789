"""Ops that sum up or compare many elements: windows, products, reductions, norms."""
import numpy as np

from .model import ACTIVATIONS, REALS, TYPES, case, options, result


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
