"""Trains the digits network and writes digits.onnx, images.npy and labels.npy.

The results are committed; run this only to make them anew. It needs scikit-learn
(for its digits: 1,797 scanned 8x8 images) and onnx, neither for building Quern:

    python3 -m venv build/venv
    build/venv/bin/pip install scikit-learn onnx
    build/venv/bin/python examples/digits/train.py

Layers are written out in NumPy: a forward and a backward function each.
"""
import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

TEST_IMAGES = 360
EPSILON = 1e-5
# Input and output channels of the three convolutions; a pool follows the last two.
CHANNELS = [(1, 16), (16, 32), (32, 64)]
CLASSES = 10


def patches(x):
    """[N,C,H,W] -> [N,H,W,C*9]: the 3x3 window with padding 1 around every pixel."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    n, c, h, w = x.shape
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 9)


def conv(x, weight):
    return (patches(x) @ weight.reshape(len(weight), -1).T).transpose(0, 3, 1, 2)


def conv_backward(x, weight, dy):
    """The gradients of x and weight; that of x is a convolution with the flipped weight."""
    grads = np.tensordot(dy.transpose(0, 2, 3, 1), patches(x), axes=((0, 1, 2), (0, 1, 2)))
    flipped = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return conv(dy, flipped), grads.reshape(weight.shape)


def batch_norm(x, scale, bias):
    mean = x.mean((0, 2, 3), keepdims=True)
    var = x.var((0, 2, 3), keepdims=True)
    normal = (x - mean) / np.sqrt(var + EPSILON)
    return normal * scale[:, None, None] + bias[:, None, None], normal, mean, var


def batch_norm_backward(normal, var, scale, dy):
    dscale = (dy * normal).sum((0, 2, 3))
    dbias = dy.sum((0, 2, 3))
    count = dy.size / dy.shape[1]
    centred = dy - (dbias[:, None, None] + normal * dscale[:, None, None]) / count
    return centred * scale[:, None, None] / np.sqrt(var + EPSILON), dscale, dbias


def max_pool(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))


def max_pool_backward(x, y, dy):
    def spread(t):
        return t.repeat(2, 2).repeat(2, 3)

    return (x == spread(y)) * spread(dy)


def initial_parameters(rng):
    """He-scaled weights, by the names they get in the ONNX file."""
    params = {}
    for i, (cin, cout) in enumerate(CHANNELS, 1):
        params[f"conv{i}.weight"] = rng.normal(0, np.sqrt(2 / (9 * cin)), (cout, cin, 3, 3))
        params[f"bn{i}.scale"] = np.ones(cout)
        params[f"bn{i}.bias"] = np.zeros(cout)
    features = CHANNELS[-1][1] * 4
    params["fc.weight"] = rng.normal(0, np.sqrt(1 / features), (CLASSES, features))
    params["fc.bias"] = np.zeros(CLASSES)
    return {name: value.astype(np.float32) for name, value in params.items()}


def train_step(params, statistics, x, labels):
    """The gradients of the cross entropy; updates the running BatchNorm statistics."""
    saved = []
    for i in range(1, len(CHANNELS) + 1):
        convolved = conv(x, params[f"conv{i}.weight"])
        y, normal, mean, var = batch_norm(
            convolved, params[f"bn{i}.scale"], params[f"bn{i}.bias"])
        for name, value in (("mean", mean), ("var", var)):
            running = statistics[f"bn{i}.{name}"]
            running += 0.1 * (value.ravel() - running)
        active = np.maximum(y, 0)
        pooled = max_pool(active) if i > 1 else active
        saved.append((x, normal, var, y, active, pooled))
        x = pooled
    flat = x.reshape(len(x), -1)
    logits = flat @ params["fc.weight"].T + params["fc.bias"]
    odds = np.exp(logits - logits.max(1, keepdims=True))
    dlogits = odds / odds.sum(1, keepdims=True)
    dlogits[np.arange(len(labels)), labels] -= 1
    dlogits /= len(labels)
    grads = {"fc.weight": dlogits.T @ flat, "fc.bias": dlogits.sum(0)}
    dx = (dlogits @ params["fc.weight"]).reshape(x.shape)
    for i in range(len(CHANNELS), 0, -1):
        x, normal, var, y, active, pooled = saved[i - 1]
        if i > 1:
            dx = max_pool_backward(active, pooled, dx)
        dx, grads[f"bn{i}.scale"], grads[f"bn{i}.bias"] = batch_norm_backward(
            normal, var, params[f"bn{i}.scale"], dx * (y > 0))
        dx, grads[f"conv{i}.weight"] = conv_backward(x, params[f"conv{i}.weight"], dx)
    return grads


def jitter(rng, images):
    """Shifts every image by up to one pixel, so that 1,437 images teach more."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dy, dx = rng.integers(0, 3, (2, len(images)))
    return np.stack([p[:, y:y + 8, x:x + 8] for p, y, x in zip(padded, dy, dx)])


def train(images, labels, epochs, seed):
    """Adam with a decaying rate; returns the weights and the BatchNorm statistics."""
    rng = np.random.default_rng(seed)
    params = initial_parameters(rng)
    statistics = {f"bn{i}.{name}": np.full(cout, name == "var", np.float32)
                  for i, (_, cout) in enumerate(CHANNELS, 1) for name in ("mean", "var")}
    first = {name: np.zeros_like(value) for name, value in params.items()}
    second = {name: np.zeros_like(value) for name, value in params.items()}
    step = 0
    for epoch in range(epochs):
        rate = 2e-3 * (1 - epoch / epochs)
        order = rng.permutation(len(images))
        for batch in np.array_split(order, len(order) // 48):
            step += 1
            grads = train_step(params, statistics, jitter(rng, images[batch]), labels[batch])
            for name, grad in grads.items():
                first[name] += 0.1 * (grad - first[name])
                second[name] += 0.001 * (grad ** 2 - second[name])
                scaled = first[name] / (1 - 0.9 ** step)
                scaled /= np.sqrt(second[name] / (1 - 0.999 ** step)) + 1e-8
                params[name] -= (rate * scaled).astype(np.float32)
    return params, statistics


def export(params, statistics):
    """The network as an ONNX model with a symbolic batch dimension N."""
    nodes = []
    value = "image"
    for i in range(1, len(CHANNELS) + 1):
        nodes += [
            helper.make_node("Conv", [value, f"conv{i}.weight"], [f"conv{i}.out"], f"conv{i}",
                             kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization",
                             [f"conv{i}.out"] + [f"bn{i}.{p}" for p in
                                                 ("scale", "bias", "mean", "var")],
                             [f"bn{i}.out"], f"bn{i}", epsilon=EPSILON),
            helper.make_node("Relu", [f"bn{i}.out"], [f"relu{i}.out"], f"relu{i}"),
        ]
        value = f"relu{i}.out"
        if i > 1:
            nodes.append(helper.make_node("MaxPool", [value], [f"pool{i}.out"], f"pool{i}",
                                          kernel_shape=[2, 2], strides=[2, 2]))
            value = f"pool{i}.out"
    nodes += [
        helper.make_node("Flatten", [value], ["features"], "flatten"),
        helper.make_node("Gemm", ["features", "fc.weight", "fc.bias"], ["logits"], "fc", transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in {**params, **statistics}.items()])
    model = helper.make_model(graph, producer_name="quern-example", ir_version=7,
                              opset_imports=[helper.make_opsetid("", 13)])
    onnx.checker.check_model(model)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent,
                        help="the folder to write to (default: that of this script)")
    args = parser.parse_args()

    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, digits.target, test_size=TEST_IMAGES, stratify=digits.target, random_state=0)
    params, statistics = train(train_images, train_labels, args.epochs, args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    onnx.save(export(params, statistics), str(args.output / "digits.onnx"))
    np.save(args.output / "images.npy", test_images)
    np.save(args.output / "labels.npy", test_labels.astype(np.int64))
    print(f"wrote digits.onnx, images.npy and labels.npy to {args.output}")


if __name__ == "__main__":
    main()
