"""Custom ops: LiteRT's detections, and MediaPipe's pools and transposed convolution, which LiteRT does
not have: what these give is computed here, one element after the other."""
import struct

import numpy as np
from flatbuffers import flexbuffers

from .model import case

SAME, VALID = 1, 2


def results(model, *shapes):
    return [model.tensor(shape, np.float32) for shape in shapes]


@case("TFLite_Detection_PostProcess")
def detection(model, draw, name):
    boxes, classes, background = draw.one(1, 12, 60), draw.one(1, 3, 7), draw.one(0, 1)
    most, each, regular = draw.one(1, 5, 30), draw.one(1, 1, 2, 4), draw.one(0, 1)
    made = {"max_detections": most, "max_classes_per_detection": each, "num_classes": classes,
            "nms_iou_threshold": float(draw.one(0.3, 0.5, 1.0)),
            "nms_score_threshold": float(draw.one(0.0, 0.25, 0.7, -1.0)),
            "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 4.5}
    if regular or draw.one(0, 1):
        made["use_regular_nms"] = bool(regular)
    if draw.one(0, 1):
        made["detections_per_class"] = draw.one(1, 4, 100)
    encoded = draw.real((1, boxes, draw.one(4, 4, 6)))
    anchors = np.concatenate([draw.real((boxes, 2), 0, 1), draw.real((boxes, 2), 0.1, 0.6)], 1)
    scores = draw.real((1, boxes, classes + background), 0, 1)
    if draw.one(0, 1):
        # Of equal scores the first class, and the first box, leads; how LiteRT sorts several classes
        # of a box is not said.
        scores = np.round(scores, 1) if regular or each == 1 else scores
    if draw.one(0, 0, 1) and scores.size <= 256:
        # Different bytes: LiteRT makes floats of equal ones that are not, in vectors and after them.
        stored = draw.random.permutation(256)[:scores.size].reshape(scores.shape).astype(np.uint8)
        others = [model.input((x * 40 + 128).clip(0, 255).astype(np.uint8), scale=1 / 40, zero=128)
                  for x in (encoded, anchors)]
        inputs = [others[0], model.input(stored, scale=1 / 256, zero=0), others[1]]
    else:
        inputs = [model.input(encoded), model.input(scores), model.constant(anchors, np.float32)]
    places = most * each
    boxes, kinds, scores, count = results(model, (1, places, 4), (1, places), (1, places), (1,))
    model.op(name, inputs, [boxes, kinds, scores, count], flexbuffers.Dumps(made))

    def said(found):
        """Without what LiteRT leaves as it was in its memory."""
        there = int(found[f"t{count}"][0])
        for number in (boxes, kinds, scores):
            value = found[f"t{number}"] = found[f"t{number}"].copy()
            if regular:
                value[:, most:] = 0
            else:
                parts = value.reshape(most, each, -1)
                parts[there:] = 0
                parts[:, classes:] = 0
    model.said = said


def image_of(draw):
    return draw.real((draw.one(1, 2), draw.one(4, 5, 8), draw.one(4, 7), draw.one(1, 3)))


def pooled_size(size, window, stride, padding):
    """Places, and how much is before the first element of the image."""
    places = -(-size // stride) if padding == SAME else (size - window + stride) // stride
    return places, max(0, ((places - 1) * stride + window - size) // 2)


@case("MaxPoolingWithArgmax2D")
def argmax_pool(model, draw, name):
    x = image_of(draw)
    if draw.one(0, 1):
        x = np.round(x)
    window, stride = (draw.one(2, 3), draw.one(1, 2, 3)), (draw.one(1, 2), draw.one(1, 2, 3))
    padding, activation = draw.one(SAME, VALID), draw.one(0, 1, 3)
    (rows, top), (columns, left) = (pooled_size(*of, padding)
                                    for of in zip(x.shape[1:3], window, stride))
    shape = (x.shape[0], rows, columns, x.shape[3])
    best, place = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.float32)
    for y in range(rows):
        for i in range(window[0]):
            for z in range(columns):
                for j in range(window[1]):
                    from_y, from_z = y * stride[0] - top + i, z * stride[1] - left + j
                    if not (0 <= from_y < x.shape[1] and 0 <= from_z < x.shape[2]):
                        continue
                    new = x[:, from_y, from_z] > best[:, y, z]
                    best[:, y, z] = np.where(new, x[:, from_y, from_z], best[:, y, z])
                    place[:, y, z] = np.where(new, i * window[1] + j, place[:, y, z])
    if activation:
        best = np.clip(best, 0, 6 if activation == 3 else None)
    outputs = results(model, shape, shape)
    model.op(name, [model.input(x)], outputs, struct.pack(
        "<10i", padding, stride[1], stride[0], window[1], window[0], activation, 0, 0, 0, 0))
    model.known = dict(zip((f"t{i}" for i in outputs), (best, place + np.float32(0.1))))


@case("MaxUnpooling2D")
def unpool(model, draw, name):
    x = image_of(draw)
    window = (draw.one(1, 2, 3), draw.one(2, 3))
    stride = window if draw.one(0, 1) else (draw.one(1, 2, 4), draw.one(1, 2))
    places = draw.random.randint(-3, window[0] * window[1] + 2, x.shape)
    n, h, w, c = x.shape
    wanted = np.zeros((n, h * window[0], w * window[1], c), np.float32)
    pads = [max(0, ((size - 1) * s + k - size * k) // 2)
            for size, k, s in zip((h, w), window, stride)]
    for at in np.ndindex(*x.shape):
        image, y, z, channel = at
        i, j = divmod(abs(places[at]), window[1])
        sign = -1 if places[at] < 0 else 1
        to_y, to_z = y * stride[0] - pads[0] + sign * i, z * stride[1] - pads[1] + sign * j
        if 0 <= to_y < wanted.shape[1] and 0 <= to_z < wanted.shape[2]:
            wanted[image, to_y, to_z, channel] = x[at]
    [output] = results(model, wanted.shape)
    inexact = (places + 0.1 * np.sign(places)).astype(np.float32)
    model.op(name, [model.input(x), model.input(inexact)], [output],
             struct.pack("<6i", SAME, stride[1], stride[0], window[1], window[0], 0))
    model.known = {f"t{output}": wanted}


@case("Convolution2DTransposeBias")
def transposed(model, draw, name):
    x = image_of(draw)
    n, h, w, c = x.shape
    window, stride = (draw.one(1, 2, 3), draw.one(2, 3, 4)), (draw.one(1, 2, 3), draw.one(1, 2))
    filters, padding = draw.one(1, 4), draw.one(SAME, VALID)
    weights, bias = draw.real((filters, *window, c)), draw.real([filters])
    pads = [max(0, k - (size - 1) % s - 1) if padding == SAME else 0
            for size, k, s in zip((h, w), window, stride)]
    rows, columns = (s * (size - 1) + k - p for size, k, s, p in zip((h, w), window, stride, pads))
    wanted = np.zeros((n, rows, columns, filters)) + bias
    for y, z, i, j in np.ndindex(h, w, *window):
        to_y, to_z = y * stride[0] - pads[0] // 2 + i, z * stride[1] - pads[1] // 2 + j
        if 0 <= to_y < rows and 0 <= to_z < columns:
            wanted[:, to_y, to_z] += x[:, y, z].astype(np.float64) @ weights[:, i, j].T
    [output] = results(model, wanted.shape)
    model.op(name, [model.input(x), model.constant(weights, np.float32),
                    model.constant(bias, np.float32)], [output],
             struct.pack("<3i", padding, stride[1], stride[0]))
    model.known = {f"t{output}": wanted.astype(np.float32)}
