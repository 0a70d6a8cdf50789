"""Writes well-known networks at their real sizes with random weights, and their quantized forms.

    bench/make_networks.py FOLDER [NAME...] [--batch N] [--quantized]

NAME.onnx with its inputs, NAME.in.npz. With --quantized, instead, as onnxruntime.quantization
writes them: NAME_qdq.onnx and NAME_qop.onnx (8 bits, per channel), for transformers
NAME_dynamic.onnx, too. What is there already is left.
"""
import argparse
import pathlib
import tempfile

import numpy as np

from models import networks, signals, transformers
from onnx import helper

NETWORKS = {**networks.NETWORKS, **transformers.NETWORKS, **signals.NETWORKS}
# The small ones of both kinds, for the list "networks".
SMALL = (*networks.NETWORKS, "bert_small", "vit_tiny")
# These are compared in float only.
NOT_QUANTIZED = ("convnext_tiny", "deeplab")


def draw_inputs(name, batch, seed, caches=()):
    """By name, and those that a decoder adds as `caches`."""
    rng = np.random.default_rng(seed)

    def draw(dtype, shape):
        if dtype == np.int64:
            return rng.integers(0, transformers.WORDS, shape)
        return rng.standard_normal(shape).astype(np.float32)

    feeds = {port: draw(dtype, (batch, *sizes))
             for port, (dtype, sizes) in NETWORKS[name][1].items()}
    return {**feeds, **{port: draw(np.float32, shape) for port, shape in caches}}


def write_network(name, path, batch=1):
    """For images or sentences `batch` at once, with inputs beside it."""
    builder = networks.Network(opset=17)
    NETWORKS[name][0](builder)
    feeds = draw_inputs(name, batch, 1, builder.caches)
    outputs = [(node.output[0], None) for node in builder.nodes if node.op_type == "Identity"]
    builder.save([(port, array.shape, helper.np_dtype_to_tensor_dtype(array.dtype))
                  for port, array in feeds.items()], outputs, path)
    np.savez(path.with_suffix(".in.npz"), **feeds)


def write_quantized(name, folder):
    from onnxruntime import quantization as q

    class Samples(q.CalibrationDataReader):
        def __init__(self):
            self.feeds = iter([draw_inputs(name, 1, seed) for seed in (2, 3)])

        def get_next(self):
            return next(self.feeds, None)

    options = dict(per_channel=True, weight_type=q.QuantType.QInt8)
    with tempfile.TemporaryDirectory() as temporary:
        original = pathlib.Path(temporary) / f"{name}.onnx"
        write_network(name, original)
        for form, kind in (("qdq", q.QuantFormat.QDQ), ("qop", q.QuantFormat.QOperator)):
            path = folder / f"{name}_{form}.onnx"
            q.quantize_static(original, path, Samples(), quant_format=kind,
                              activation_type=q.QuantType.QUInt8, **options)
            np.savez(path.with_suffix(".in.npz"), **draw_inputs(name, 1, 1))
        if name in transformers.NETWORKS:
            path = folder / f"{name}_dynamic.onnx"
            q.quantize_dynamic(original, path, **options)
            np.savez(path.with_suffix(".in.npz"), **draw_inputs(name, 1, 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME", default=SMALL,
                        help=f"of {', '.join(NETWORKS)} (default: {', '.join(SMALL)})")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--quantized", action="store_true")
    args = parser.parse_intermixed_args()
    if unknown := set(args.names) - NETWORKS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.names:
        if not args.quantized:
            path = args.folder / f"{name}.onnx"
            if not path.exists():
                write_network(name, path, args.batch)
        elif name not in NOT_QUANTIZED and not (args.folder / f"{name}_qdq.onnx").exists():
            write_quantized(name, args.folder)


if __name__ == "__main__":
    main()
