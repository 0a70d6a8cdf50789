"""Compares Quern with ONNX Runtime on models: one ratio each, with its spread.

    python3 -m venv build/venv
    build/venv/bin/pip install onnxruntime onnx
    build/venv/bin/python bench/peers/onnxruntime_bench.py MODEL... [--randomize] [--threads 1]

Inputs are random floats, or the arrays of NAME.in.npz beside NAME.onnx where that file is.
Results of ONNX Runtime are bound to memory that it had before, as Quern's are.

Both run on the same number of threads, ONNX Runtime on its CPU provider with all optimisations
on. They take turns, so that a change of the machine's speed meets both; each round gives one
ratio of the medians, ONNX Runtime's time over Quern's: above 1, Quern is faster. A bare time
means nothing on another machine or in another hour, so none is the result. Ends with exit
code 77 and the word "skipped" when onnxruntime is not installed.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXIT_SKIPPED = 77
# ONNX Runtime's threads spin on for a moment after a run; let them go to sleep.
SECONDS_TO_REST = 0.2


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--randomize", action="store_true",
                        help="give light models random weights (tests/oracle/randomize_weights.py)")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=SIZE",
                        help="the size of a symbolic dimension")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each (default: 7)")
    parser.add_argument("--runs", type=int, default=20, help="runs in a turn (default: 20)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--quern", default=ROOT / "build/release/bin/quern")
    return parser.parse_args()


def inputs_beside(model):
    """NAME.in.npz of NAME.onnx, or None."""
    path = pathlib.Path(model).with_suffix(".in.npz")
    return path if path.exists() else None


def quern_p50(args, model):
    """Milliseconds of the median run in one turn."""
    command = [args.quern, "bench", model, "--json", "--threads", str(args.threads),
               "--runs", str(args.runs)]
    for dim in args.dim:
        command += ["--dim", dim]
    if inputs := inputs_beside(model):
        command += ["--input", inputs]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{model}: quern bench ended with exit code {done.returncode}")
    return json.loads(done.stdout)["p50_ms"]


class Peer:
    """An ONNX Runtime session with inputs of its own and, where they are tensors, bound outputs."""

    def __init__(self, onnxruntime, model, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Weights are listed as inputs in old models; without this warning by warning.
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options,
                                                    providers=["CPUExecutionProvider"])
        inputs = inputs_beside(model)
        self.inputs = dict(np.load(inputs)) if inputs else self.random_inputs(model, args)
        self.runs = args.runs
        self.bind_outputs()

    def random_inputs(self, model, args):
        dims = dict(d.split("=") for d in args.dim)
        rng = np.random.default_rng(0)
        inputs = {}
        for value in self.session.get_inputs():
            if value.type != "tensor(float)":
                sys.exit(f"{model}: input {value.name} is a {value.type}, wanted tensor(float)")
            shape = [d if isinstance(d, int) else int(dims.get(d, 1)) for d in value.shape]
            inputs[value.name] = rng.random(shape, np.float32)
        return inputs

    def bind_outputs(self):
        outputs = self.session.run(None, self.inputs)
        self.binding = None
        if not all(isinstance(array, np.ndarray) and array.dtype != object for array in outputs):
            return
        self.outputs = outputs
        self.binding = self.session.io_binding()
        for name, array in self.inputs.items():
            self.binding.bind_cpu_input(name, array)
        for value, array in zip(self.session.get_outputs(), outputs):
            self.binding.bind_output(value.name, "cpu", 0, array.dtype, array.shape,
                                     array.ctypes.data)

    def run(self):
        if self.binding:
            self.session.run_with_iobinding(self.binding)
        else:
            self.session.run(None, self.inputs)

    def p50(self):
        times = []
        # The first run of a turn warms up, as `quern bench` does.
        for _ in range(1 + self.runs):
            start = time.perf_counter()
            self.run()
            times.append(time.perf_counter() - start)
        time.sleep(SECONDS_TO_REST)
        return 1e3 * statistics.median(times[1:])


def randomized(model, folder):
    path = folder / pathlib.Path(model).name
    subprocess.run([sys.executable, ROOT / "tests/oracle/randomize_weights.py", model, path],
                   check=True)
    return path


def measure(onnxruntime, model, args):
    peer = Peer(onnxruntime, model, args)
    ratios = []
    for _ in range(args.rounds):
        ours = quern_p50(args, model)
        ratios.append(peer.p50() / ours)
    return {"model": pathlib.Path(model).name, "ratio": statistics.median(ratios),
            "lowest": min(ratios), "highest": max(ratios)}


def main():
    args = parse_arguments()
    try:
        import onnxruntime
    except ImportError:
        print("skipped: onnxruntime is not installed; see --help", file=sys.stderr)
        return EXIT_SKIPPED
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in args.models:
            if args.randomize:
                model = randomized(model, pathlib.Path(folder))
            row = measure(onnxruntime, model, args)
            rows.append(row)
            if not args.json:
                print(f"{row['model']}: {row['ratio']:.2f}x the speed of ONNX Runtime "
                      f"(rounds: {row['lowest']:.2f} to {row['highest']:.2f})", flush=True)
    if args.json:
        print(json.dumps({"schema": "quern.peer/1", "peer": "onnxruntime",
                          "version": onnxruntime.__version__, "threads": args.threads,
                          "models": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
