#!/usr/bin/env python3
"""Compares TensorFlow Lite's ops, one by one with drawn shapes, types and options, with LiteRT.

Needs ai-edge-litert (PyPI), whose reference kernels are the oracle. Each model has many ops that do
not depend on each other; what LiteRT refuses is left out. Integers may be one step off, floats 1e-3
of the largest magnitude. Prints what differs, and how many ops were compared; exit code 1 when any
does.

  python3 compare_ops.py [--quern PROGRAM] [--seed N] [--models N] [--ops NAMES] [--keep FOLDER]
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from drawn import CASES, QUANTIZED, Draw, Model

# Whose reference kernel is at odds with TensorFlow and with the optimized one: it leaves out the last
# neighbour.
FAULTY = {"LOCAL_RESPONSE_NORMALIZATION"}


def litert(content, feed, reference=True):
    resolver = (OpResolverType.BUILTIN_REF if reference else
                OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    # Of several threads the order of equal scores is by chance.
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver,
                              num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], feed[detail["name"]])
    interpreter.invoke()
    return {detail["name"]: interpreter.get_tensor(detail["index"])
            for detail in interpreter.get_output_details()}


def one_op(name, seed):
    model = Model()
    CASES[name](model, Draw(seed), name)
    return model if model.ops else None


def expected(model, reference=True):
    return model.known or litert(model.content(), model.feed, reference)


def is_taken(model):
    try:
        expected(model)
        return True
    except (RuntimeError, ValueError):
        return False


def difference(found, wanted):
    """What is wrong, or nothing."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return f"{found.dtype} {found.shape}, wanted {wanted.dtype} {wanted.shape}"
    if wanted.size == 0:
        return ""
    if wanted.dtype.kind in "fc":
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        finite = np.abs(wanted[np.isfinite(wanted)])
        worst = np.where(same, 0, np.abs(found - wanted)).max()
        return "" if worst <= 1e-3 * max(finite.max(initial=0), 1e-3) else f"off by {worst:g}"
    worst = np.abs(found.astype(np.int64) - wanted.astype(np.int64)).max()
    return f"{worst} steps off" if worst > (wanted.dtype.type in QUANTIZED) else ""


def compare(name, model, quern, folder):
    """What differs, by the names of results, and how many integers are a step off, of how many."""
    (folder / "m.tflite").write_bytes(model.content())
    np.savez(folder / "x.npz", **model.feed)
    wanted = expected(model, reference=name not in FAULTY)
    model.said(wanted)
    faults, steps = [], [0, 0]
    for backend in ("native", "interpreter"):
        done = subprocess.run([quern, "run", folder / "m.tflite", "--input", folder / "x.npz", "-o",
                               folder / "y.npz", "-q", f"--backend={backend}"],
                              capture_output=True, text=True)
        if done.returncode:
            return [f"{backend}: {done.stderr.strip()}"], steps
        found = dict(np.load(folder / "y.npz"))
        model.said(found)
        for name, value in wanted.items():
            wrong = difference(found[name], value)
            if wrong:
                faults.append(f"{backend}: {name}: {wrong}")
            elif value.dtype.type in QUANTIZED:
                steps[0] += int((found[name] != value).sum())
                steps[1] += value.size
    return faults, steps


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quern", default=here / "build/release/bin/quern")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=15, help="cases of each op")
    parser.add_argument("--ops", help="names, with commas")
    parser.add_argument("--keep", type=pathlib.Path, help="where models that differ stay")
    options = parser.parse_args()
    names = options.ops.split(",") if options.ops else sorted(CASES)
    compared, refused, failed, steps = 0, 0, 0, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for i in range(options.count):
                model = one_op(name, options.seed * 100003 + i)
                if model is None or not is_taken(model):
                    refused += 1
                    continue
                faults, more = compare(name, model, options.quern, pathlib.Path(folder))
                compared += 1
                steps[name] = steps.get(name, 0) + np.array(more)
                if faults:
                    failed += 1
                    print(f"{name} (case {i}): {'; '.join(faults)}", flush=True)
                    if options.keep:
                        options.keep.mkdir(parents=True, exist_ok=True)
                        (options.keep / f"{name}_{i}.tflite").write_bytes(model.content())
    for name, (off, integers) in steps.items():
        if off:
            print(f"{name}: {off} of {integers} integers one step off")
    off, integers = sum(steps.values(), np.zeros(2, int))
    print(f"{compared} cases of {len(names)} ops compared, {refused} that LiteRT refuses left out, "
          f"{failed} differ; {off} of {integers} integers one step off")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
