"""Writes transformers of primitives (opset 16) with random weights and open lengths.

    bench/make_transformers.py FOLDER

bert_base.onnx: 12 layers of 12 heads, x [1, seq, 768] -> y [1, seq, 768], sizes of reshapes
computed as exporters write them. gpt2_small.onnx: one token through a decoder of the same
size, with past keys and values [1, 12, past, 64] per layer in and [1, 12, past + 1, 64] out.
"""
import pathlib
import sys

import numpy as np
from onnx import helper

from models.builder import Builder


HIDDEN, HEADS, LAYERS = 768, 12, 12
HEAD = HIDDEN // HEADS


def normalize(b, x, size):
    """Layer normalization as it was written before it was an op."""
    distance = b.op("Sub", x, b.op("ReduceMean", x, axes=[-1]))
    variance = b.op("ReduceMean", b.op("Mul", distance, distance), axes=[-1])
    deviation = b.op("Sqrt", b.op("Add", variance, b.scalar(1e-12)))
    return b.op("Add", b.op("Mul", b.op("Div", distance, deviation), b.weight(size, scale=1)),
                b.weight(size))


def split_heads(b, x):
    """[1, seq, hidden] to [1, heads, seq, head]; the length comes from the shape."""
    position = b.add(np.array(1, np.int64))
    length = b.op("Unsqueeze", b.op("Gather", b.op("Shape", x), position), b.ints(0))
    shape = b.op("Concat", b.ints(1), length, b.ints(HEADS), b.ints(HEAD), axis=0)
    return b.op("Transpose", b.op("Reshape", x, shape), perm=[0, 2, 1, 3])


def attend(b, query, key, value):
    scores = b.op("MatMul", query, b.op("Transpose", key, perm=[0, 1, 3, 2]))
    weights = b.op("Softmax", b.op("Div", scores, b.scalar(HEAD ** 0.5)), axis=-1)
    joined = b.op("Transpose", b.op("MatMul", weights, value), perm=[0, 2, 1, 3])
    return b.op("Reshape", joined, b.ints(0, 0, HIDDEN))


def feed_forward(b, x):
    return b.linear(b.gelu(b.linear(x, HIDDEN, 4 * HIDDEN)), 4 * HIDDEN, HIDDEN)


def bert(path):
    b, x = Builder(), "x"
    for _ in range(LAYERS):
        query, key, value = (split_heads(b, b.linear(x, HIDDEN, HIDDEN)) for _ in range(3))
        joined = b.linear(attend(b, query, key, value), HIDDEN, HIDDEN)
        x = normalize(b, b.op("Add", joined, x), HIDDEN)
        x = normalize(b, b.op("Add", feed_forward(b, x), x), HIDDEN)
    b.result(x, "y")
    b.save([("x", [1, "seq", HIDDEN])], [("y", [1, "seq", HIDDEN])], path)


def gpt2(path):
    b, x = Builder(), "x"
    inputs, outputs = [("x", [1, 1, HIDDEN])], [("y", [1, 1, HIDDEN])]
    for layer in range(LAYERS):
        normal = normalize(b, x, HIDDEN)
        query, key, value = (split_heads(b, b.linear(normal, HIDDEN, HIDDEN)) for _ in range(3))
        joined = []
        for kind, new in (("key", key), ("value", value)):
            past, present = f"past_{kind}{layer}", f"present_{kind}{layer}"
            b.nodes.append(helper.make_node("Concat", [past, new], [present], axis=2))
            inputs.append((past, [1, HEADS, "past", HEAD]))
            outputs.append((present, [1, HEADS, "total", HEAD]))
            joined.append(present)
        x = b.op("Add", x, b.linear(attend(b, query, *joined), HIDDEN, HIDDEN))
        x = b.op("Add", x, feed_forward(b, normalize(b, x, HIDDEN)))
    b.result(x, "y")
    b.save(inputs, outputs, path)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    bert(folder / "bert_base.onnx")
    gpt2(folder / "gpt2_small.onnx")


if __name__ == "__main__":
    main()
