"""Runs what train.py has saved by Quern, and measures accuracy, error and time against Keras, LiteRT and
ONNX Runtime.

  measure.py FOLDER [--batch 1] [--seconds 0.3] [--threads 1]

Each time is taken in turns with Quern's; the table has how many times as long as Quern's each takes. Keras
computes on as many threads as TensorFlow takes: TF_NUM_INTRAOP_THREADS=1 tells it. Needs tensorflow, and
ai-edge-litert and onnxruntime for their columns.
"""
import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np

import quern

NAMES = ("mlp-10-16-1", "mlp-784-128-10", "cnn")
FILES = ((".keras", "{}.keras"), (".h5", "{}.h5"), ("SavedModel", "{}"), (".tflite, float", "{}.float.tflite"),
         (".tflite, dynamic", "{}.dynamic.tflite"), (".tflite, int8", "{}.int8.tflite"))


def score(found, wanted):
    """R² of numbers, the share of right classes."""
    if wanted.ndim == 2:
        return f"R² {1 - np.square(found - wanted).sum() / np.square(wanted - wanted.mean()).sum():.4f}"
    return f"{100 * (found.argmax(1) == wanted).mean():.2f} %"


def against(model, original, x, seconds, systems=()):
    """The report on a model and another; None where what runs that is not there."""
    try:
        return model.compare(original, x, seconds=seconds, systems=list(systems))
    except quern.UsageError:
        return None


def ratio(report, at=1):
    return "-" if report is None else f"{report.systems[at].times_as_long:.1f}"


def line(label, path, name, net, options):
    data = np.load(options.folder / f"{name}.npz")
    model = quern.compile(path, threads=options.threads)
    found, wanted = model(data["x"]), np.asarray(net(data["x"]))
    x = data["x"][:options.batch]
    own = against(model, net, x, options.seconds, ["Keras predict"])
    # LiteRT runs this file; of Keras's own the one that they are converted to. ONNX has the float model.
    is_tflite = path.suffix == ".tflite"
    litert = against(model, path if is_tflite else options.folder / f"{name}.float.tflite", x, options.seconds)
    is_float = not is_tflite or "float" in label
    runtime = against(model, options.folder / f"{name}.onnx", x, options.seconds) if is_float else None
    off = np.abs(found - wanted).max() / np.abs(wanted).max()
    from_litert = "-" if litert is None else f"{litert.outputs[0].max_of_largest:.1g}"
    return (f"| {name} | {label} | {score(found, data['y'])} | {score(wanted, data['y'])} | {off:.1g} | "
            f"{from_litert} | {1e3 * own.systems[0].times['p50']:.1f} µs | {ratio(own, 2)} | {ratio(own)} | "
            f"{ratio(litert)} | {ratio(runtime)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", action="append", choices=NAMES)
    options = parser.parse_args()
    print(f"Batch {options.batch}, {options.threads} threads\n\n"
          "| network | file | right | Keras's | off Keras | off LiteRT | Quern | Keras predict | Keras call | "
          "LiteRT | ONNX Runtime |\n|---|---|---|---|---|---|---|---|---|---|---|")
    for name in options.model or NAMES:
        net = keras.models.load_model(options.folder / f"{name}.keras")
        for label, pattern in FILES:
            print(line(label, options.folder / pattern.format(name), name, net, options), flush=True)


if __name__ == "__main__":
    main()
