#!/usr/bin/env python3
"""Converts Keras models to .tflite files of several kinds, with inputs and what LiteRT computes of them.

    python3 make_networks.py FOLDER [--only NAME...] [--applications NAME...] [--size 224] [--kinds f32 int8]
    python3 make_networks.py FOLDER --files A.tflite B.tflite

For each NAME: NAME.tflite, NAME.in.npz, NAME.out.npz (LiteRT's reference kernels; of dynamic range, with
the weights made floats) and NAME.xnnpack.npz (those of XNNPACK); of integers also apart/NAME.*, each op on what LiteRT gives it. What is
there already is left. --files copies files that others have made and does
the same for them; --no-answers makes files and inputs alone. Needs TensorFlow and ai-edge-litert, from
PyPI; without them the exit code is 77. Weights are random, statistics of batch norms are those of
random inputs, so that signals neither vanish nor grow. bench/models/table.py compares Quern with the
answers.
"""
import argparse
import pathlib
import sys
import warnings
import zlib

import numpy as np

EXIT_SKIPPED = 77
try:
    from converting import KINDS, answers, convert, with_ops_apart, without_hybrid_ops
    import tensorflow as tf
    from networks import APPLICATIONS, SMALL, VOCABULARY, WIDE_IMAGES, application
except ImportError as error:
    print(f"skipped: {error}", file=sys.stderr)
    sys.exit(EXIT_SKIPPED)

SAMPLES = 8


def draw(random, shape, dtype, wide=False):
    """Floats below 1, or 255; integers of networks from all their values, others below VOCABULARY."""
    dtype = np.dtype(dtype)
    if dtype in (np.int8, np.uint8, np.int16):
        limits = np.iinfo(dtype)
        return random.randint(limits.min, limits.max + 1, shape).astype(dtype)
    if dtype.kind in "iub":
        return random.randint(0, 2 if dtype == bool else VOCABULARY, shape).astype(dtype)
    return (random.rand(*shape) * (255 if wide else 1)).astype(dtype)


def make_lively(model, samples):
    """Biases that are not zero, statistics of batch norms that are those of `samples`, nearly."""
    random = np.random.RandomState(4)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, tf.keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    if norms:
        batch = [np.concatenate(parts) for parts in zip(*samples)]
        model(batch if len(batch) > 1 else batch[0], training=True)
    for layer, momentum in zip(norms, momenta):
        layer.momentum = momentum
        for statistic, low in ((layer.moving_mean, -0.1), (layer.moving_variance, 0.0)):
            value = statistic.numpy()
            scale = np.sqrt(layer.moving_variance.numpy()) if low < 0 else value
            statistic.assign(value + scale * random.uniform(low, 0.1, value.shape))
    for weight in model.trainable_weights:
        if weight.name in ("bias", "beta"):
            weight.assign_add(0.05 * random.randn(*weight.shape))


def samples_of(model, wide):
    random = np.random.RandomState(3)
    batch = model.inputs[0].shape[0] or 1
    return [[draw(random, (batch, *port.shape[1:]), port.dtype, wide) for port in model.inputs]
            for _ in range(SAMPLES)]


def random_of(name):
    """The same for all kinds of a network, whose answers are compared."""
    return np.random.RandomState(zlib.crc32(name.rpartition("_")[0].encode()))


def write_answers(folder, name, content, wide):
    random = random_of(name)
    inputs, optimized = answers(
        content, lambda port, shape, dtype: draw(random, shape, dtype, wide), "xnnpack")
    np.savez(folder / f"{name}.in.npz", **inputs)
    np.savez(folder / f"{name}.xnnpack.npz", **optimized)
    exact = without_hybrid_ops(content) if name.endswith("_dynamic") else content
    kernels = "reference"
    try:
        wanted = answers(exact, lambda port, *_: inputs[port])[1]
    except ValueError:  # some versions of ops have none
        kernels = "optimized"
        wanted = answers(exact, lambda port, *_: inputs[port], kernels)[1]
        print(f"{name}: LiteRT has no reference kernels for some of its ops", flush=True)
    if name.endswith(("_int8", "_int16")):
        write_ops_apart(folder / "apart", name, content, inputs, kernels)
    np.savez(folder / f"{name}.out.npz", **wanted)


def write_ops_apart(folder, name, content, inputs, kernels):
    """Each op on LiteRT's own integers: errors do not add up."""
    folder.mkdir(exist_ok=True)
    apart, read, made = with_ops_apart(content, inputs, kernels)
    (folder / f"{name}.tflite").write_bytes(apart)
    np.savez(folder / f"{name}.in.npz", **read)
    np.savez(folder / f"{name}.out.npz", **made)


def write_inputs(folder, name, model, kind, wide):
    """Those that `answers` would ask for, without running anything."""
    random = random_of(name)
    floats = all(port.dtype == "float32" for port in model.inputs)
    np.savez(folder / f"{name}.in.npz", **{
        port.name: draw(random, (1, *port.shape[1:]),
                        kind if floats and kind.startswith("int") else port.dtype, wide)
        for port in model.inputs})


def make(folder, name, build, kinds, args, wide=False):
    done = "in" if args.no_answers else "out"
    missing = [kind for kind in kinds if not (folder / f"{name}_{kind}.{done}.npz").exists()]
    if not missing:
        return
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(1)
    model = build()
    samples = samples_of(model, wide)
    make_lively(model, samples)
    for kind in missing:
        full = f"{name}_{kind}"
        try:
            content = convert(model, kind, samples)
            (folder / f"{full}.tflite").write_bytes(content)
            if args.no_answers:
                write_inputs(folder, full, model, kind, wide)
            else:
                write_answers(folder, full, content, wide)
            print(full, len(content) // 1024, "KiB", flush=True)
        except Exception as error:  # the others go on
            print(f"NOT CONVERTED {full}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of all networks")
    parser.add_argument("--applications", nargs="+", choices=APPLICATIONS, metavar="NAME",
                        help="these of keras.applications alone")
    parser.add_argument("--size", type=int, help="of their images (default: small ones)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="default: those that suit each")
    parser.add_argument("--files", nargs="+", type=pathlib.Path, default=[])
    parser.add_argument("--no-answers", action="store_true")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    args.folder.mkdir(parents=True, exist_ok=True)
    for file in args.files:
        content = file.read_bytes()
        (args.folder / file.name).write_bytes(content)
        try:
            write_answers(args.folder, file.stem, content, False)
        except (RuntimeError, ValueError) as error:
            print(f"NOT RUN {file.stem}: {' '.join(str(error).split())[:300]}", flush=True)
    if args.files:
        return 0
    if not args.applications:
        for build, kinds in SMALL.items():
            if not args.only or build.__name__ in args.only:
                make(args.folder, build.__name__, build, args.kinds or kinds, args)
    for name in args.applications or APPLICATIONS:
        if not args.only or name in args.only:
            make(args.folder, name, lambda: application(name, args.size or APPLICATIONS[name]),
                 args.kinds or KINDS[:4], args, name in WIDE_IMAGES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
