"""Ops that read or write at given places, and those of shapes."""
import collections

import numpy as np

from .model import TYPES, case, options, result
from .moves import moved


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
