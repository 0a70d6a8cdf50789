"""Runs whole models on both backends and compares with independent results.

    tests/models/run_models.py light [MODEL...]     the expected outputs of the nine light models
    tests/models/run_models.py random [MODEL...]    random weights, against the float64 oracle
    tests/models/run_models.py digits               the shipped example, against the same oracle
                                                    and its labels

The light models lie in ../shared/models/light (QUERN_SHARED names another place for shared);
where they are absent the test says "skipped" and ends with exit code 77. Outputs must be within
rtol 1e-3 and atol 1e-5 (of the output's largest value, when that is above 1) with the same
top-1. With random weights the two backends are compared with each other as well.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
from compare import difference  # noqa: E402
from evaluate import evaluate, graph_inputs, ramp_inputs  # noqa: E402
from randomize_weights import randomize  # noqa: E402

SHARED = pathlib.Path(os.environ.get("QUERN_SHARED", ROOT.parent / "shared"))
LIGHT = SHARED / "models/light"
DIGITS = ROOT / "examples/digits"
LIGHT_MODELS = ("bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50",
                "shufflenet", "squeezenet", "vgg19", "zfnet512")
RANDOM_MODELS = ("densenet121", "inception_v2", "resnet50", "shufflenet")
BACKENDS = ("interpreter", "native")
RTOL, ATOL = 1e-3, 1e-5
DIGITS_ACCURACY = 0.99
EXIT_SKIPPED = 77


def run_quern(args, backend, model, inputs, folder):
    """The outputs of a model file by name; a failure of the program ends the test."""
    given, output = folder / "inputs.npz", folder / f"{backend}.npz"
    np.savez(given, **inputs)
    command = [args.quern, "run", model, "--backend", backend, "--input", given,
               "--output", output]
    for name, value in args.dims.items():
        command += ["--dim", f"{name}={value}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"{model}: quern run --backend {backend} ended with {done.returncode}")
    return dict(np.load(output))


def top1_difference(wanted, found):
    """None when every row has the same top-1; a tie in float32 may fall either way."""
    wanted, found = (a.reshape(len(a), -1).astype(np.float64) for a in (wanted, found))
    chosen = wanted[np.arange(len(wanted)), found.argmax(1)]
    gap = wanted.max(1) - chosen
    return "another top-1" if (gap > 1e-6 * np.abs(wanted).max(1)).any() else None


def mismatches(label, wanted, found):
    """Prints how every output compares; the number of those that differ."""
    count = 0
    for name, values in wanted.items():
        if name not in found:
            reason = "missing"
        else:
            scale = max(1.0, float(np.abs(values).max()))
            reason = difference(values, found[name], RTOL, ATOL * scale)
            reason = reason or top1_difference(values, found[name])
        count += reason is not None
        print(f"{label}, output {name}: {reason or 'equal'}", flush=True)
    return count


def check_light(args, name, folder):
    model = LIGHT / f"light_{name}.onnx"
    proto = onnx.load(model)
    expected = onnx.TensorProto()
    expected.ParseFromString((LIGHT / f"light_{name}_output_0.pb").read_bytes())
    wanted = {proto.graph.output[0].name: numpy_helper.to_array(expected)}
    return sum(mismatches(f"{name} {backend}", wanted,
                          run_quern(args, backend, model, ramp_inputs(proto), folder))
               for backend in args.backend)


def check_random(args, name, folder):
    proto = onnx.load(LIGHT / f"light_{name}.onnx")
    randomize(proto, args.seed)
    model = folder / f"random_{name}.onnx"
    onnx.save(proto, str(model))
    rng = np.random.default_rng(args.seed)
    inputs = {key: rng.normal(size=shape).astype(np.float32)
              for key, shape in graph_inputs(proto).items()}
    return check_against_oracle(args, name, model, proto, inputs, folder)


def check_against_oracle(args, name, model, proto, inputs, folder):
    wanted = evaluate(proto, inputs)
    found = {backend: run_quern(args, backend, model, inputs, folder)
             for backend in args.backend}
    failed = sum(mismatches(f"{name} {backend} against float64", wanted, outputs)
                 for backend, outputs in found.items())
    if len(found) == len(BACKENDS):
        failed += mismatches(f"{name} native against interpreter", *found.values())
    return failed


def check_digits(args, name, folder):
    model = DIGITS / "digits.onnx"
    inputs = {"image": np.load(DIGITS / "images.npy")}
    labels = np.load(DIGITS / "labels.npy")
    args.dims = {"N": len(labels)}
    failed = check_against_oracle(args, name, model, onnx.load(model), inputs, folder)
    for backend in args.backend:
        outputs = run_quern(args, backend, model, inputs, folder)
        accuracy = np.mean(outputs["probabilities"].argmax(1) == labels)
        print(f"{name} {backend}: accuracy {accuracy:.2%}")
        failed += accuracy < DIGITS_ACCURACY
    return failed


CHECKS = {
    "light": (check_light, LIGHT_MODELS),
    "random": (check_random, RANDOM_MODELS),
    "digits": (check_digits, ("digits",)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: those of the check")
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="default: both")
    parser.add_argument("--seed", type=int, default=1, help="of random weights and inputs")
    parser.add_argument("--quern", default=ROOT / "build/release/bin/quern",
                        help="the program to test (default: %(default)s)")
    args = parser.parse_args()
    args.backend = args.backend or BACKENDS
    args.dims = {}
    check, all_models = CHECKS[args.check]
    models = args.models or all_models
    known = all_models if args.check == "digits" else LIGHT_MODELS
    if unknown := set(models) - set(known):
        parser.error(f"unknown model {', '.join(unknown)}; there are {', '.join(known)}")
    if args.check != "digits" and not LIGHT.is_dir():
        print(f"skipped: {LIGHT} is not there")
        return EXIT_SKIPPED
    failed = 0
    for name in models:
        with tempfile.TemporaryDirectory() as folder:
            failed += check(args, name, pathlib.Path(folder))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
