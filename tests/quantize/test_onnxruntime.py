"""What quern quantize writes gives the same integers in ONNX Runtime; skipped (77) without it."""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUERN = os.environ.get("QUERN", str(ROOT / "build/release/bin/quern"))
INTEGERS = ("QuantizeLinear", "DynamicQuantizeLinear")
# Of all integers: what lies between two of them is rounded either way, by who scales
# sums of integers and by who sums up floats.
MOST_BESIDE = 1e-3


def quern(*arguments):
    subprocess.run([QUERN, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def with_integers(path):
    """Makes all integers of the graph outputs of the model; their names."""
    model = onnx.load(str(path))
    names = [node.output[0] for node in model.graph.node if node.op_type in INTEGERS]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    onnx.save(model, str(path))
    return names


def compare(ort, folder, mode, exact):
    """Both run the model; how many integers differ, and by how much outputs do."""
    path, images = folder / f"{mode}.onnx", ROOT / "examples/digits/images.npy"
    quern("quantize", ROOT / "examples/digits/digits.onnx", "-o", path, "--data", images, "--mode", mode,
          "--force", "-q", "--duration", "0s", "--max-error", "0.05")
    onnx.checker.check_model(str(path))
    names = with_integers(path)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = dict(zip((o.name for o in session.get_outputs()),
                      session.run(None, {session.get_inputs()[0].name: np.load(images)})))
    for backend in ("native", "interpreter"):
        quern("run", path, "--input", images, "--output", folder / "found.npz", "--backend", backend, "-q")
        found = np.load(folder / "found.npz")
        beside = 0
        for name in names:
            steps = np.abs(found[name].astype(np.int64) - wanted[name].astype(np.int64))
            if steps.max() > 1 or np.count_nonzero(steps) > MOST_BESIDE * steps.size:
                sys.exit(f"{mode}, {backend}: {np.count_nonzero(steps)} of {steps.size} integers of {name} "
                         f"differ, by up to {steps.max()}")
            beside += np.count_nonzero(steps)
        worst = np.abs(found["probabilities"] - wanted["probabilities"]).max()
        print(f"{mode}, {backend}: {len(names)} integer tensors, {beside} integers one step "
              f"beside, outputs differ by {worst:.2g}")
        if not worst <= exact:
            sys.exit(f"{mode}, {backend}: outputs differ by {worst}")


def main():
    try:
        import onnxruntime as ort
    except ImportError:
        print("skipped: this Python has no onnxruntime")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        # ONNX Runtime computes with int8 activations where weights are int4, and in float16
        # where all is.
        for mode, exact in (("static", 2e-3), ("dynamic", 2e-3), ("weights-int8", 1e-5),
                            ("weights-int4", 0.02), ("float16", 0.005)):
            compare(ort, pathlib.Path(folder), mode, exact)


if __name__ == "__main__":
    main()
