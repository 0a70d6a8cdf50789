"""What a call from Python costs: an MLP 10-50-2, beside the C++ call and ONNX Runtime's.

    scripts/wheel --test && build/venv-test/bin/pip install onnxruntime
    build/venv-test/bin/python bench/python_calls.py [--rounds 41] [--calls 2000] [--batch 1]

Everything runs in this process on one thread and takes turns: each round times so many calls of
each kind in a row. Printed are the medians over the rounds, with the fastest and the slowest
round, in microseconds, and what the targets are about: how much more than the C++ call a call
from Python takes, and how many times as long ONNX Runtime's take as Quern's of the same kind,
round by round. Without onnxruntime its rows are missing; without quern or onnx the script says "skipped"
and ends with exit code 77.
"""
import argparse
import gc
import itertools
import statistics
import sys
import time

EXIT_SKIPPED = 77
CALLS_OF_A_PART = 100


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--calls", type=int, default=2000, help="of each kind in a round")
    parser.add_argument("--batch", default="N", help="a number, or N for any (default: %(default)s)")
    return parser.parse_args()


def mlp(batch):
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights = {"w1": (10, 50), "b1": (50,), "w2": (50, 2), "b2": (2,)}
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
             helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("Gemm", ["r", "w2", "b2"], ["y"])]
    size = int(batch) if batch.isdigit() else batch
    graph = helper.make_graph(
        nodes, "mlp", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [size, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [size, 2])],
        [numpy_helper.from_array(random.normal(size=shape).astype("f4"), name)
         for name, shape in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def bound(session, x, y):
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y", "cpu", 0, y.dtype.type, list(y.shape), y.ctypes.data)
    return binding


def sessions_of(module, model, x, y):
    """Calls by kind of a package with onnxruntime's classes."""
    options = module.SessionOptions()
    options.intra_op_num_threads = 1
    session = module.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed, binding = {"x": x}, bound(session, x, y)
    return {"run": (session.run, (None, feed)),
            "io-binding": (session.run_with_iobinding, (binding,))}


def microseconds(function, arguments, calls):
    """Of a call: the median over parts of the calls, as long as a processor is rarely lost in."""
    times = []
    for _ in range(max(calls // CALLS_OF_A_PART, 1)):
        began = time.perf_counter()
        for _ in itertools.repeat(None, CALLS_OF_A_PART):
            function(*arguments)
        times.append((time.perf_counter() - began) / CALLS_OF_A_PART * 1e6)
    return statistics.median(times)


def ratio(rounds, slow, fast):
    ratios = sorted(a / b for a, b in zip(rounds[slow], rounds[fast]))
    return (f"{slow} / {fast}: {statistics.median(ratios):.2f} "
            f"({ratios[len(ratios) // 10]:.2f}-{ratios[-1 - len(ratios) // 10]:.2f})")


def main():
    args = parse_arguments()
    try:
        import numpy as np
        import onnx  # noqa: F401: the model is made with it
        import quern
        from quern._quern import benchmark_model
    except ImportError as error:
        print(f"skipped: {error}")
        return EXIT_SKIPPED
    model = mlp(args.batch)
    batch = int(args.batch) if args.batch.isdigit() else 1
    x, y = np.ones((batch, 10), "f4"), np.zeros((batch, 2), "f4")
    compiled = quern.compile(model, threads=1)
    kinds = {"quern call": (compiled, (x,)), "quern run_into": (compiled.run_into, ([x], [y]))}
    kinds |= {f"quern {name}": call for name, call in sessions_of(quern, model, x, y).items()}
    wanted = compiled(x)
    try:
        import onnxruntime
        kinds |= {f"onnxruntime {name}": call
                  for name, call in sessions_of(onnxruntime, model, x, y).items()}
        found = kinds["onnxruntime run"][0](*kinds["onnxruntime run"][1])[0]
        np.testing.assert_allclose(wanted, found, rtol=1e-3, atol=1e-5)
    except ImportError:
        print("onnxruntime is not installed: its rows are missing", file=sys.stderr)
    rounds = {"C++": [], **{name: [] for name in kinds}}
    gc.disable()
    for _ in range(args.rounds):
        rounds["C++"].append(benchmark_model(compiled, [x], 0.005)["steady"]["p50"] * 1e3)
        for name, (function, arguments) in kinds.items():
            rounds[name].append(microseconds(function, arguments, args.calls))
    for name, times in rounds.items():
        print(f"{name:24}{statistics.median(times):8.3f} us "
              f"({min(times):.3f}-{max(times):.3f})")
    more = [call - cpp for call, cpp in zip(rounds["quern call"], rounds["C++"])]
    print(f"a call from Python takes {statistics.median(more):.3f} us more than the C++ call "
          "(wanted: 1.5 at most)")
    for name in ("run", "io-binding"):
        if f"onnxruntime {name}" in rounds:
            print(ratio(rounds, f"onnxruntime {name}", f"quern {name}"), "(wanted: 4)")
            print(ratio(rounds, f"onnxruntime {name}", "quern call"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
