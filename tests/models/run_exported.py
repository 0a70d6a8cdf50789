"""Runs models as real exporters write them, on both backends, at all levels and targets.

    tests/models/run_exported.py [--quern FILE] [MODEL...]

The models lie in ../shared/models/exported (QUERN_SHARED names another place for shared), each
with its inputs and ONNX Runtime's outputs; where they are absent the test says "skipped" and ends
with exit code 77. A model that is refused as unsupported does not count, unless it is one of
those that run since they were first tried. Prints a line for each model.
"""
import argparse
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("QUERN_SHARED", ROOT.parent / "shared"))
EXPORTED = SHARED / "models/exported"
MUST_RUN = {"bert_opset16", "bert_opset16_float16", "gpt2_with_past", "llama",
            "mobilenet_v2_quarter", "mobilenet_v2_quarter_float16", "mobilenet_v2_quarter_qdq",
            "shufflenet_v2_x0_5", "sklearn_gradient_boosting", "sklearn_linear_regression",
            "sklearn_logistic_regression_strings", "sklearn_mlp_classifier",
            "sklearn_random_forest", "sklearn_scaler_pca", "sklearn_svc", "t5_encoder", "unet_convtranspose", "unet_resize",
            "vit_tiny_opset16", "vit_tiny_opset17"}
MUST_RUN = {"bert_opset16", "bert_opset16_float16", "gpt2_with_past", "gru", "llama",
            "lstm_bidirectional", "mobilenet_v2_quarter", "mobilenet_v2_quarter_float16",
            "mobilenet_v2_quarter_qdq", "rnn", "shufflenet_v2_x0_5", "t5_encoder",
            "unet_convtranspose", "unet_resize", "vit_tiny_opset16", "vit_tiny_opset17"}
# Exporters' own rounding, relative to the output's largest magnitude.
REDUCED_PRECISION, REDUCED_TOLERANCE = ("_qdq", "_qoperator", "_dynamic_int8", "_float16"), 0.02
RTOL, ATOL = 1e-3, 1e-4
UNSUPPORTED, INCOMPATIBLE = 4, 7
EXIT_SKIPPED = 77
RUNS = [("--backend", "interpreter")] + [
    ("--target-cpu", target, f"-O{level}", "--threads", str(threads))
    for target, level, threads in itertools.product(("baseline", "haswell", "host"), range(4),
                                                    (1, 2))]


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


def check(quern, model, options, output):
    """The exit code of a run, and what is wrong with its outputs."""
    stem = str(model.with_suffix(""))
    done = subprocess.run([quern, "run", model, "--input", stem + ".in.npz", "--output", output,
                           "-q", *options], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120)
    if done.returncode:
        return done.returncode, done.stderr.strip()[-200:]
    found, wanted = np.load(output), np.load(stem + ".out.npz")
    is_reduced = stem.endswith(REDUCED_PRECISION)
    for name in wanted.files:
        reason = "missing" if name not in found.files else \
            difference(found[name], wanted[name], is_reduced)
        if reason:
            return 0, f"output {name}: {reason}"
    return 0, ""


def check_model(quern, model, folder):
    """Whether all is well; prints what is not."""
    done = 0
    for options in RUNS:
        code, reason = check(quern, model, options, folder / "outputs.npz")
        if code == INCOMPATIBLE:
            continue
        if code == UNSUPPORTED and model.stem not in MUST_RUN:
            print(f"{model.stem}: unsupported", flush=True)
            return True
        if reason:
            print(f"{model.stem} {' '.join(options)}: WRONG: exit code {code}: {reason}", flush=True)
            return False
        done += 1
    print(f"{model.stem}: right in {done} runs", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names (default: all there are)")
    parser.add_argument("--quern", default=ROOT / "build/release/bin/quern",
                        help="the program to test (default: %(default)s)")
    args = parser.parse_args()
    if not EXPORTED.is_dir():
        print(f"skipped: {EXPORTED} is not there")
        return EXIT_SKIPPED
    models = [EXPORTED / f"{name}.onnx" for name in args.models] or sorted(EXPORTED.glob("*.onnx"))
    with tempfile.TemporaryDirectory() as folder:
        results = [check_model(args.quern, model, pathlib.Path(folder)) for model in models]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
