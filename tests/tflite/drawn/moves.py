"""Ops that move elements as a whole."""
import numpy as np

from .model import REALS, case, options, result


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
