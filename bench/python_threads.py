"""How many threads of Python share one compiled model, and what that gives.

    scripts/wheel --test
    build/venv-test/bin/python bench/python_threads.py [MODEL.onnx] [--dim N=1] [--threads 8]

Rounds of one thread and of all of them take turns, each for the same time; every call's bits are
compared with the first one's. Printed is the ratio of the rates, with its spread, and how
resident memory has grown from the first round to the last. The model runs on one thread a call
(an MLP 256-1024-1024-256 for 8 rows unless a file is given). Without quern or onnx the script says
"skipped" and ends with exit code 77; other bits are exit code 1.
"""
import argparse
import pathlib
import resource
import statistics
import sys
import threading
import time

EXIT_SKIPPED = 77


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=SIZE")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    return parser.parse_args()


def mlp():
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    sizes = [256, 1024, 1024, 256]
    nodes, weights, last = [], [], "x"
    for i, (rows, columns) in enumerate(zip(sizes, sizes[1:])):
        weight = random.normal(size=(rows, columns)).astype("f4") / rows ** 0.5
        weights.append(numpy_helper.from_array(weight, f"w{i}"))
        nodes += [helper.make_node("MatMul", [last, f"w{i}"], [f"p{i}"]),
                  helper.make_node("Relu", [f"p{i}"], [f"r{i}"])]
        last = f"r{i}"
    graph = helper.make_graph(
        nodes, "mlp", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, sizes[0]])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [8, sizes[-1]])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def sample_inputs(model):
    import numpy as np

    random = np.random.default_rng(0)
    inputs = []
    for port in model.inputs:
        shape = [size if isinstance(size, int) else 1 for size in port.shape]
        inputs.append(random.normal(size=shape).astype(port.dtype) if port.dtype.kind == "f"
                      else random.integers(0, 2, size=shape).astype(port.dtype))
    return inputs


class Round:
    """So many threads that call the model for some time."""

    def __init__(self, model, inputs, wanted):
        self.model, self.inputs, self.wanted = model, inputs, wanted
        self.other_bits = False

    def _work(self, until, counts, i):
        while time.perf_counter() < until:
            for found, wanted in zip(self.model.run(None, self.inputs), self.wanted):
                self.other_bits |= found.tobytes() != wanted
            counts[i] += 1

    def rate(self, threads, seconds):
        """Calls in a second."""
        counts = [0] * threads
        began = time.perf_counter()
        workers = [threading.Thread(target=self._work, args=(began + seconds, counts, i))
                   for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(counts) / (time.perf_counter() - began)


def resident_bytes():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main():
    args = parse_arguments()
    try:
        import onnx  # noqa: F401: the model is made with it
        import quern
    except ImportError as error:
        print(f"skipped: {error}")
        return EXIT_SKIPPED
    dims = {name: int(size) for name, size in (dim.split("=") for dim in args.dim)}
    model = quern.compile(args.model or mlp(), dims=dims, threads=1)
    inputs = sample_inputs(model)
    wanted = [output.tobytes() for output in model.run(None, inputs)]
    turns = Round(model, inputs, wanted)
    turns.rate(args.threads, args.seconds)
    before = resident_bytes()
    ratios, rates = [], []
    for _ in range(args.rounds):
        one, all_ = (turns.rate(threads, args.seconds) for threads in (1, args.threads))
        ratios.append(all_ / one)
        rates.append(one)
    print(f"{args.threads} threads / 1 thread: {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f}-{max(ratios):.2f}); one thread makes "
          f"{statistics.median(rates):.0f} calls a second")
    print(f"resident memory: {resident_bytes() - before:+d} bytes of {before}")
    print("same bits" if not turns.other_bits else "OTHER BITS")
    return 1 if turns.other_bits else 0


if __name__ == "__main__":
    sys.exit(main())
