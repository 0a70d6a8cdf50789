"""Runs models as real exporters write them, on both backends, at all levels and targets.

    tests/models/run_exported.py [--quern FILE] [--all] [MODEL...]

The models lie in ../shared/models/exported (QUERN_SHARED names another place for shared), each
with its inputs and ONNX Runtime's outputs; where they are absent the test says "skipped" and ends
with exit code 77. Prints a line for each model.
"""
import itertools
import subprocess
import sys

import numpy as np
import onnx
from onnx import numpy_helper

import exported

# Exporters' own rounding, relative to the output's largest magnitude.
REDUCED_PRECISION, REDUCED_TOLERANCE = ("_qdq", "_qoperator", "_dynamic_int8", "_float16"), 0.02
RTOL, ATOL = 1e-3, 1e-4
INCOMPATIBLE = 7
TARGETS, LEVELS, THREADS = ("baseline", "haswell", "host"), range(4), (1, 2)
# Each level, target and number of threads occurs; --all runs all their combinations.
FEW = [("host", 0, 1), ("host", 1, 2), ("haswell", 2, 2), ("baseline", 3, 1), ("host", 3, 2)]


def difference(found, wanted, is_reduced):
    """Says how an output differs; an empty string when it does not."""
    if found.shape != wanted.shape:
        return f"shape {found.shape}, wanted {wanted.shape}"
    if wanted.dtype.kind in "US":
        return "" if (found.astype(str) == wanted).all() else "strings differ"
    if wanted.dtype.kind in "iub":
        return "" if (found == wanted).all() else "values differ"
    scale = np.abs(wanted).max(initial=0)
    close = np.allclose(found, wanted, rtol=0, atol=REDUCED_TOLERANCE * scale) if is_reduced \
        else np.allclose(found, wanted, rtol=RTOL, atol=ATOL)
    return "" if close else f"differs by {np.abs(found - wanted).max():.3g} of {scale:.3g}"


def read_output(path, kind):
    """A tensor, or a sequence of maps as a matrix with a column per sorted key."""
    if kind == "tensor_type":
        proto = onnx.TensorProto()
        proto.ParseFromString(path.read_bytes())
        return numpy_helper.to_array(proto)
    proto = onnx.SequenceProto()
    proto.ParseFromString(path.read_bytes())
    rows = [numpy_helper.to_dict(each) for each in proto.map_values]
    return np.array([[row[key] for key in sorted(row)] for row in rows])


def run_once(quern, model, options, folder):
    """The exit code of a run, and what is wrong with its outputs."""
    stem = str(model.with_suffix(""))
    done = subprocess.run([quern, "run", model, "--input", stem + ".in.npz",
                           "--output", f"{folder}/", "-q", *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode:
        return done.returncode, done.stderr.strip()[-200:]
    outputs = onnx.load(model).graph.output
    found = {output.name: read_output(folder / f"output_{i}.pb", output.type.WhichOneof("value"))
             for i, output in enumerate(outputs)}
    wanted = np.load(stem + ".out.npz")
    is_reduced = stem.endswith(REDUCED_PRECISION)
    for name in wanted.files:
        reason = "missing" if name not in found else \
            difference(found[name], wanted[name], is_reduced)
        if reason:
            return 0, f"output {name}: {reason}"
    return 0, ""


def ways_to_run(every):
    runs = itertools.product(TARGETS, LEVELS, THREADS) if every else FEW
    return [("--backend", "interpreter")] + [
        ("--target-cpu", target, f"-O{level}", "--threads", str(threads))
        for target, level, threads in runs]


def check(args, model, folder):
    """What is wrong, or an empty string, and a line of the report."""
    done = 0
    for options in ways_to_run(args.all):
        code, reason = run_once(args.quern, model, options, folder / model.stem)
        if code == INCOMPATIBLE:
            continue
        if reason:
            return f"{' '.join(options)}: exit code {code}: {reason}", ""
        done += 1
    return "", f"right in {done} runs"


if __name__ == "__main__":
    sys.exit(exported.run(__doc__, check, [("--all", {
        "action": "store_true",
        "help": "every level for every target with every number of threads"})]))
