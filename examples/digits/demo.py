"""Shows Quern on the digits network: accuracy, times, speed-up, largest difference.

    examples/digits/demo.py --quern build/release/bin/quern

scripts/demo builds quern and then runs this.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE / "digits.onnx"
IMAGES = HERE / "images.npy"
LABELS = np.load(HERE / "labels.npy")
BACKENDS = {"interpreter": "interpreted", "native": "compiled"}
EXIT_MISMATCH = 5


def run(*command, ends=(0,)):
    """The standard output of a command; its failure ends the demo with its message."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    if done.returncode not in ends:
        sys.exit(f"demo: exit code {done.returncode} from: {' '.join(map(str, command))}")
    return done.stdout


def accuracy(quern, backend, folder):
    """The share of the test images that a backend classifies right, as one batch."""
    output = folder / f"{backend}.npz"
    run(quern, "run", MODEL, "--backend", backend, "--dim", f"N={len(LABELS)}",
        "--input", f"image={IMAGES}", "--output", output)
    return np.mean(np.load(output)["probabilities"].argmax(axis=1) == LABELS)


def compare(quern, batch):
    """What `quern compare` says about a batch of the test images."""
    with tempfile.TemporaryDirectory() as folder:
        images = pathlib.Path(folder) / "images.npy"
        np.save(images, np.load(IMAGES)[:batch])
        return json.loads(run(quern, "compare", MODEL, "--dim", f"N={batch}", "--input",
                              f"image={images}", "--json", ends=(0, EXIT_MISMATCH)))


def accuracy_from_c(quern, folder):
    """What the C program prints that calls the model compiled ahead of time."""
    compiler = next(filter(None, map(shutil.which, ("clang-19", "cc"))), None)
    if not compiler:
        return "skipped: no C compiler"
    library, program = folder / "digits.so", folder / "digits"
    run(quern, "compile", MODEL, "--dim", "N=1", "-o", library, "--header", folder / "digits.h")
    run(compiler, "-O2", "-I", folder, HERE / "main.c", library, f"-Wl,-rpath,{folder}",
        "-o", program)
    return run(program, IMAGES, HERE / "labels.npy").strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quern", default="build/release/bin/quern", help="the program to show")
    args = parser.parse_args()
    if not shutil.which(args.quern):
        sys.exit(f"demo: no such program: {args.quern}; scripts/demo builds it")

    print(f"digits: a small convolutional network on {len(LABELS)} held-out images of digits\n")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for backend, word in BACKENDS.items():
            print(f"accuracy {word:<12} {accuracy(args.quern, backend, folder):.2%}", flush=True)
        print(f"accuracy from C       {accuracy_from_c(args.quern, folder)}\n", flush=True)

    passed = True
    for batch in (1, len(LABELS)):
        report = compare(args.quern, batch)
        times = {backend: report[backend]["p50_ms"] for backend in BACKENDS}
        largest = max(output["max_abs"] for output in report["outputs"])
        print(f"batch of {batch}:")
        for backend, word in BACKENDS.items():
            print(f"  {word:<18} {times[backend]:.3f} ms")
        print(f"  speed-up           {report['speedup']:.1f}x")
        print(f"  largest difference {largest:.1e}")
        passed &= all(output["pass"] for output in report["outputs"])
    if not passed:
        print("the compiled model differs from the interpreted one by more than the tolerance")
        return EXIT_MISMATCH
    return 0


if __name__ == "__main__":
    sys.exit(main())
