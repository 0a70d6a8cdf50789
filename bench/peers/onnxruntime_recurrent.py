"""Compares random RNN, GRU and LSTM nodes on both backends with ONNX Runtime.

    build/venv/bin/python bench/peers/onnxruntime_recurrent.py [--count N] [--seed N]

Draws every attribute and optional operand; what ONNX Runtime refuses (layout 1, for one, which
is compared transposed) does not count. Prints each node that differs, with its attributes. Exit
code 1 when one differs; 77 and the word "skipped" when onnxruntime is not installed.
"""
import argparse
import pathlib
import random
import subprocess
import sys
import tempfile

EXIT_SKIPPED = 77
ROOT = pathlib.Path(__file__).resolve().parents[2]
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FUNCTIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}
ACTIVATIONS = ["Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh",
               "HardSigmoid", "Elu", "Softsign", "Softplus"]
# Where a node does not give their alpha, ONNX Runtime takes 0.
WITHOUT_DEFAULT = {"Affine", "ScaledTanh", "ThresholdedRelu"}
BACKENDS = [("interpreter",), ("native", "--target-cpu", "host"),
            ("native", "--target-cpu", "haswell", "--threads", "2"),
            ("native", "--target-cpu", "baseline")]
TOLERANCE = 2e-5


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quern", default=ROOT / "build/release/bin/quern")
    return parser.parse_args()


def draw_attributes(op, draw, directions, hidden):
    """Attributes of a node, but for `layout`."""
    attributes = {"hidden_size": hidden}
    attributes["direction"] = "bidirectional" if directions == 2 else draw.choice(
        ["forward", "reverse"])
    if draw.random() < 0.4:
        names = [draw.choice(ACTIVATIONS) for _ in range(FUNCTIONS[op])]
        both = names * directions
        if draw.random() < 0.3:
            both = [draw.choice(ACTIVATIONS) for _ in both]
        attributes["activations"] = both
        if draw.random() < 0.5 or WITHOUT_DEFAULT & set(both):
            attributes["activation_alpha"] = [round(draw.uniform(0.1, 0.9), 2) for _ in range(8)]
            attributes["activation_beta"] = [round(draw.uniform(0.1, 0.9), 2) for _ in range(8)]
    if draw.random() < 0.3:
        attributes["clip"] = round(draw.uniform(0.05, 1.5), 2)
    if op == "GRU" and draw.random() < 0.5:
        attributes["linear_before_reset"] = 1
    if op == "LSTM" and draw.random() < 0.3:
        attributes["input_forget"] = 1
    return attributes


def draw_operands(op, draw, rng, directions, hidden):
    """Operands by name in the order of the node; None for one that is left out."""
    steps, features = draw.randint(1, 6), draw.randint(1, 9)
    batch = draw.choice([1, 1, 2, 3, 7, 9, 17])
    rows = GATES[op] * hidden

    def reals(*dims):
        return rng.uniform(-0.6, 0.6, dims).astype(np.float32)
    operands = {"X": reals(steps, batch, features) * 3, "W": reals(directions, rows, features),
                "R": reals(directions, rows, hidden)}
    optional = {"B": reals(directions, 2 * rows),
                "lengths": rng.integers(1, steps + 1, batch).astype(np.int32),
                "initial_h": reals(directions, batch, hidden)}
    if op == "LSTM":
        optional |= {"initial_c": reals(directions, batch, hidden),
                     "P": reals(directions, 3 * hidden)}
    for name, array in optional.items():
        operands[name] = array if draw.random() < 0.5 else None
    return operands


def transposed(operands):
    """The operands with the batch first."""
    axes = {"X": (1, 0, 2), "initial_h": (1, 0, 2), "initial_c": (1, 0, 2)}
    return {name: np.ascontiguousarray(array.transpose(axes[name]))
            if array is not None and name in axes else array for name, array in operands.items()}


def make_model(op, attributes, operands, constants, symbolic):
    """A model of one node, of which `constants` are initializers."""
    outputs = ["Y", "Y_h"] + (["Y_c"] if op == "LSTM" else [])
    names = [name if array is not None else "" for name, array in operands.items()]
    node = helper.make_node(op, names, outputs, name="cell", **attributes)
    inputs = [helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(array.dtype),
        [f"{name}{i}" for i in range(array.ndim)] if symbolic and name not in ("W", "R", "P", "B")
        else array.shape)
        for name, array in operands.items() if array is not None and name not in constants]
    graph = helper.make_graph(
        [node], "recurrent", inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in operands.items()
         if array is not None and name in constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def run_quern(quern, model, inputs, options, folder):
    """The outputs by name, or what Quern says."""
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "inputs.npz", **inputs)
    done = subprocess.run([quern, "run", folder / "model.onnx", "--input", folder / "inputs.npz",
                           "--output", folder / "outputs.npz", "-q", "--backend", *options],
                          capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    return (None, done.stderr.strip()) if done.returncode else (np.load(folder / "outputs.npz"), "")


def compare(quern, number, folder):
    """Draws, runs and compares node `number`: "agrees", "refused" or what differs."""
    draw, rng = random.Random(number), np.random.default_rng(number)
    op, directions = draw.choice(list(GATES)), draw.choice([1, 2])
    hidden = draw.choice([1, 3, 4, 5, 16, 17, 20, 32, 48, 70])
    attributes = draw_attributes(op, draw, directions, hidden)
    operands = draw_operands(op, draw, rng, directions, hidden)
    feeds = {name: array for name, array in operands.items() if array is not None}
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        model = make_model(op, attributes, operands, (), False)
        session = ort.InferenceSession(model.SerializeToString(), options,
                                       providers=["CPUExecutionProvider"])
        wanted = dict(zip(["Y", "Y_h", "Y_c"], session.run(None, feeds)))
    except Exception as refusal:  # ONNX Runtime has a class of its own for each kind
        return "refused: " + str(refusal)[:150]
    if not all(np.isfinite(array).all() for array in wanted.values()):
        return "refused: overflows"  # its Softplus does, too, where the result would not
    batch_first = draw.random() < 0.3
    if batch_first:
        attributes["layout"] = 1
        operands = transposed(operands)
        wanted = {name: array.transpose((2, 0, 1, 3) if name == "Y" else (1, 0, 2))
                  for name, array in wanted.items()}
    constants = draw.choice([(), ("W", "R", "B", "P"), ("W", "R", "B", "P", "initial_h")])
    model = make_model(op, attributes, operands, constants, draw.random() < 0.4)
    inputs = {name: array for name, array in operands.items()
              if array is not None and name not in constants}
    shapes = {name: array.shape for name, array in operands.items() if array is not None}
    for backend in BACKENDS:
        found, error = run_quern(quern, model, inputs, backend, folder)
        if found is None:
            return f"{op} {attributes} {shapes} {backend}: {error}"
        for name, array in wanted.items():
            if found[name].shape != array.shape:
                return f"{op} {attributes} {shapes} {backend}: {name} is {found[name].shape}"
            apart = np.abs(found[name] - array).max(initial=0)
            if not apart <= TOLERANCE * max(1, np.abs(array).max(initial=0)):
                return f"{op} {attributes} {shapes} {backend}: {name} differs by {apart:.3g}"
    return "agrees"


def main():
    args = parse_arguments()
    agreed = refused = differing = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.seed, args.seed + args.count):
            result = compare(args.quern, number, pathlib.Path(folder))
            agreed += result == "agrees"
            if result.startswith("refused"):
                refused += 1
                print(f"{number}: {result}", flush=True)
            elif result != "agrees":
                differing += 1
                print(f"{number}: {result}", flush=True)
    print(f"{agreed} nodes agree, {differing} differ, {refused} refused by ONNX Runtime")
    return 1 if differing else 0


if __name__ == "__main__":
    try:
        import numpy as np
        import onnx
        import onnxruntime as ort
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as missing:
        print(f"skipped: {missing}")
        sys.exit(EXIT_SKIPPED)
    sys.exit(main())
