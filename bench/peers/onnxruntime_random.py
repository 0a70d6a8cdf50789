"""Compares random models, as `random-models --write FOLDER` leaves them, with ONNX Runtime.

    build/release/bin/random-models --count 5000 --write build/random-models
    build/venv/bin/python bench/peers/onnxruntime_random.py build/random-models

Each folder holds a model, its inputs, what Quern's interpreter makes of them (with which the
compiled models agreed), and how far results may be apart. Prints every model that differs, and
how many ONNX Runtime refuses, by reason. It runs in a process of its own, for some models
end it. Known to differ, with ONNX's reference evaluator on Quern's side: Resize with align_corners
by scales that give no whole size (ONNX's test data divide by the unrounded one), Resize of a region
along an axis that keeps its size (the region is ignored), Gemm of no products (beta is ignored),
QGemm, MatMulInteger and MatMulIntegerToFloat of none (what they leave unwritten). With --optimize
it rounds what meets weights in blocks to 8 bits. By decision: AffineGrid of size 1, final states of
sequences of length 0 (the initial state; ONNX Runtime: zeros).
Exit code 1 when one differs; 77 and the word "skipped" when onnxruntime is not
installed.
"""
import argparse
import collections
import multiprocessing
import pathlib
import re
import sys

EXIT_SKIPPED = 77


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--optimize", action="store_true",
                        help="with ONNX Runtime's graph optimisations (default: none)")
    return parser.parse_args()


def read_tensors(case, stem):
    """Arrays by name, as `stem`_0.pb, `stem`_1.pb, ... hold them."""
    arrays = {}
    for path in sorted(case.glob(stem + "_*.pb")):
        tensor = onnx.load_tensor(path)
        arrays[tensor.name] = numpy_helper.to_array(tensor)
    return arrays


def difference(found, wanted, error):
    """Says how two arrays differ; an empty string when they agree."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return f"{found.dtype}{list(found.shape)} instead of {wanted.dtype}{list(wanted.shape)}"
    if found.dtype.kind in "iu" and error > 0:  # integers that may be rounded to a neighbour
        apart = np.abs(found.astype(np.int64) - wanted.astype(np.int64))
        return "" if (apart <= error).all() else f"elements differ by {apart.max()}"
    if found.dtype.kind not in "f":
        return "" if np.array_equal(found, wanted) else "elements differ"
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    same = (apart <= 4 * error) | (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return ""
    at = tuple(int(i) for i in np.argwhere(~same)[0])
    return f"element {at}: {a[at]} here, {b[at]} in Quern, allowed {4 * error:g}"


def run_case(case, options):
    """What is wrong, and why the case does not count; one of them at most."""
    inputs, wanted = read_tensors(case, "input"), read_tensors(case, "output")
    errors = dict(line.split() for line in (case / "errors.txt").read_text().splitlines())
    try:
        session = ort.InferenceSession(case / "model.onnx", options,
                                       providers=["CPUExecutionProvider"])
        results = session.run(list(wanted), inputs)
    except Exception as refusal:  # ONNX Runtime has a class of its own for each kind
        return "", re.sub(r"'[^']*'|\([^)]*\)|\d+", "", str(refusal)).splitlines()[0][:110]
    for (name, array), result in zip(wanted.items(), results):
        wrong = difference(np.asarray(result), array, float(errors[name]))
        if wrong:
            return f"{name}: {wrong}", ""
    return "", ""


def run_cases(cases, optimize, answers):
    """Sends what run_case says of each."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    for case in cases:
        answers.send(run_case(case, options))


def results_of(cases, optimize):
    """Yields each case with what run_case says of it."""
    while cases:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.Process(target=run_cases, args=(cases, optimize, sender))
        child.start()
        sender.close()
        try:
            while cases:
                answer = receiver.recv()
                yield cases.pop(0), *answer
        except EOFError:
            child.join()
            yield cases.pop(0), "", f"ended by signal {-child.exitcode}"
        child.join()


def main():
    args = parse_arguments()
    agreed, differing, refused = 0, 0, collections.Counter()
    cases = sorted(args.folder.iterdir(), key=lambda path: int(path.name))
    for case, wrong, refusal in results_of(cases, args.optimize):
        if wrong:
            differing += 1
            print(f"{case.name}: {wrong}", flush=True)
        elif refusal:
            refused[refusal] += 1
        else:
            agreed += 1
    for reason, count in refused.most_common():
        print(f"refused {count}: {reason}")
    print(f"{agreed} models agree, {differing} differ, {sum(refused.values())} refused")
    return 1 if differing else 0


if __name__ == "__main__":
    try:
        import numpy as np
        import onnx
        import onnxruntime as ort
        from onnx import numpy_helper
    except ImportError as missing:
        print(f"skipped: {missing}")
        sys.exit(EXIT_SKIPPED)
    sys.exit(main())
