"""Compiles a table of models to a library and to an object that cc links into a program, and
compares the bits of both with the JIT's, with one thread and with two.

    tests/models/run_table.py [--quern FILE] [--cc FILE] [MODEL...]

Some models are made here, the others are those of ../shared/models (QUERN_SHARED names another
place for shared); the test says which of these are absent. Prints a line for each: the KB of
code, tables and symbols (what is no weight) and of read-only data, and the milliseconds until a
program that opens the library can run it, which nothing asserts.
"""
import argparse
import collections
import ctypes
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import run_compiled
from exported import ROOT, SHARED

sys.path.insert(0, str(ROOT / "tests/oracle"))
from evaluate import graph_inputs  # noqa: E402
from randomize_weights import randomize  # noqa: E402

DIGITS = ROOT / "examples/digits"
PROGRAM = ROOT / "tests/aot/run_artefact.c"
FLOAT = TensorProto.FLOAT


def random_tensor(rng, name, *shape):
    scale = 1 / np.sqrt(shape[-1])
    return numpy_helper.from_array(rng.normal(0, scale, shape).astype(np.float32), name)


def save(folder, name, nodes, inputs, output, weights):
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info(key, FLOAT, array.shape)
                      for key, array in inputs.items()],
        [helper.make_tensor_value_info(output, FLOAT, None)], weights)
    path = folder / f"{name}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              str(path))
    return path, inputs


def digits(_):
    return DIGITS / "digits.onnx", {"image": np.load(DIGITS / "images.npy")[:7]}


def mlp(folder):
    """784-128-10."""
    rng = np.random.default_rng(1)
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], transB=1),
             helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("Gemm", ["r", "w2", "b2"], ["l"], transB=1),
             helper.make_node("Softmax", ["l"], ["y"], axis=1)]
    weights = [random_tensor(rng, "w1", 128, 784), random_tensor(rng, "b1", 128),
               random_tensor(rng, "w2", 10, 128), random_tensor(rng, "b2", 10)]
    return save(folder, "mlp", nodes, {"x": rng.random((5, 784), np.float32)}, "y", weights)


def lstm(folder):
    """Both directions over 20 steps, and a layer on what the last ones give."""
    rng = np.random.default_rng(2)
    size, hidden = 24, 48
    nodes = [helper.make_node("LSTM", ["x", "w", "r", "b"], ["", "last"], hidden_size=hidden,
                              direction="bidirectional"),
             helper.make_node("Transpose", ["last"], ["t"], perm=[1, 0, 2]),
             helper.make_node("Flatten", ["t"], ["f"]),
             helper.make_node("Gemm", ["f", "w2"], ["y"])]
    weights = [random_tensor(rng, "w", 2, 4 * hidden, size),
               random_tensor(rng, "r", 2, 4 * hidden, hidden),
               random_tensor(rng, "b", 2, 8 * hidden), random_tensor(rng, "w2", 2 * hidden, 5)]
    return save(folder, "lstm", nodes, {"x": rng.random((20, 3, size), np.float32)}, "y", weights)


def exported(name):
    def find(_):
        model = SHARED / f"models/exported/{name}.onnx"
        if not model.exists():
            return None
        with np.load(model.with_suffix(".in.npz")) as inputs:
            return model, dict(inputs)
    return find


def light(name):
    """With random weights, for those of the file are all the same."""
    def find(folder):
        model = SHARED / f"models/light/light_{name}.onnx"
        if not model.exists():
            return None
        proto = onnx.load(model)
        randomize(proto, 1)
        path = folder / f"{name}.onnx"
        onnx.save(proto, str(path))
        rng = np.random.default_rng(1)
        return path, {key: rng.normal(size=shape).astype(np.float32)
                      for key, shape in graph_inputs(proto).items()}
    return find


def lengths(name, symbol, *sizes):
    """A model whose inputs are of each of these lengths: BERT's are prefixes of those it has."""
    def find(folder):
        found = exported(name)(folder)
        if not found:
            return None
        model, inputs = found
        return model, [{key: np.ascontiguousarray(array[:1, :size])
                        for key, array in inputs.items()} for size in sizes]
    find.sizes = {"batch": [1], symbol: sizes}
    return find


# The model, and the most KB that it may have beside its weights.
Row = collections.namedtuple("Row", "find limit")
TABLE = {
    "digits": Row(digits, 60),
    "mlp": Row(mlp, 40),
    "lstm": Row(lstm, 60),
    "gradient_boosting": Row(exported("sklearn_gradient_boosting"), 100),
    "bert": Row(exported("bert_opset17"), 200),
    "bert_lengths": Row(lengths("bert_opset17", "seq", 2, 3, 5, 8), 400),
    "mobilenet_v2": Row(exported("mobilenet_v2_quarter"), 400),
    "resnet50": Row(light("resnet50"), 400),
}


class Failure(Exception):
    pass


def call(*command):
    done = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=600)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, command[:2]))}: exit code {done.returncode}: "
                      f"{done.stderr[-1000:]}")
    return done.stdout


def run_quern(args, model, folder, threads, options=()):
    call(args.quern, "run", model, "--input", folder / "in.npz", "--output", folder / "out.npz",
         "--threads", threads, "-q", *options)
    with np.load(folder / "out.npz") as outputs:
        return dict(outputs)


def build_program(args, folder, needed):
    """With the object m.o in it."""
    libraries = [args.archive if each == "libquern_runtime.a" else each for each in needed]
    call(args.cc, "-std=c11", "-O1", f"-I{ROOT}/runtime/include", PROGRAM, folder / "m.o",
         "-rdynamic", "-o", folder / "program", *libraries, "-lm", "-ldl")


def run_program(folder, sizes, names, like):
    """The outputs have the types and sizes of `like`."""
    inputs = [folder / f"in{i}" for i in range(len(names))]
    outputs = [folder / f"out{i}" for i in range(len(like))]
    with np.load(folder / "in.npz") as given:
        for path, name in zip(inputs, names):
            path.write_bytes(np.ascontiguousarray(given[name]).tobytes())
    call(folder / "program", "-", "m", *sizes, *inputs, *outputs)
    return {name: np.fromfile(path, array.dtype).reshape(array.shape)
            for path, (name, array) in zip(outputs, like.items())}


def require_same(what, found, wanted):
    for name, array in wanted.items():
        if found[name].dtype != array.dtype or found[name].tobytes() != array.tobytes():
            raise Failure(f"{what}: output {name} has other bits than the JIT gives")


def ready(library):
    """Milliseconds until the library could run; the names of its inputs."""
    start = time.perf_counter()
    loaded = ctypes.CDLL(str(library))
    loaded.m_info.restype = ctypes.POINTER(run_compiled.Info)
    info = loaded.m_info().contents
    if not loaded.m_cpu_ok():
        raise Failure("the library cannot run here")
    milliseconds = (time.perf_counter() - start) * 1000
    return milliseconds, [info.inputs[i].name.decode() for i in range(info.input_count)]


def shapes_of(inputs):
    return [f"--shape={name}={'x'.join(map(str, array.shape)) or 'scalar'}"
            for name, array in inputs.items()]


def check_run(args, model, inputs, sizes, names, folder):
    np.savez(folder / "in.npz", **inputs)
    shapes = shapes_of(inputs)
    wanted = run_quern(args, model, folder, 1, shapes)
    require_same("the JIT with two threads", run_quern(args, model, folder, 2, shapes), wanted)
    for threads in 1, 2:
        require_same(f"the library with {threads} threads",
                     run_quern(args, folder / "m.so", folder, threads), wanted)
    require_same("the program", run_program(folder, sizes, names, wanted), wanted)


def check(args, row, model, inputs, folder):
    """A line of the table."""
    library = folder / "m.so"
    listed = getattr(row.find, "sizes", None)
    options = ([f"--dim={name}={','.join(map(str, sizes))}" for name, sizes in listed.items()]
               if listed else shapes_of(inputs))
    call(args.quern, "compile", model, "-o", library, "-q", *options)
    report = json.loads(call(args.quern, "compile", model, "-o", folder / "m.o", "--json", "-q",
                             *options))
    build_program(args, folder, report["needed"])
    milliseconds, names = ready(library)
    for each in inputs if listed else [inputs]:
        # In the order of the listed dimensions that have several sizes.
        sizes = [next(iter(each.values())).shape[i] for i, several in
                 enumerate((listed or {}).values()) if len(several) > 1]
        check_run(args, model, each, sizes, names, folder)
    if not run_compiled.READELF:
        return "no readelf"
    weights = run_compiled.sections(library)[".rodata"]
    code = library.stat().st_size - weights
    if code > row.limit * 1000:
        raise Failure(f"{code} bytes beside the weights, wanted {row.limit} KB at most")
    return (f"{code / 1000:.0f} KB, read-only {weights / 1000:.0f} KB, "
            f"ready in {milliseconds:.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL",
                        help=f"of {', '.join(TABLE)} (default: all)")
    parser.add_argument("--quern", default=ROOT / "build/release/bin/quern",
                        help="the program to test (default: %(default)s)")
    parser.add_argument("--archive", default=ROOT / "build/release/lib/libquern_runtime.a",
                        help="for models with reference kernels (default: %(default)s)")
    parser.add_argument("--cc", default="cc", help="the C compiler (default: %(default)s)")
    args = parser.parse_args()
    failed = 0
    for name in args.models or TABLE:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            found = TABLE[name].find(folder)
            try:
                line = check(args, TABLE[name], *found, folder) if found else "absent"
            except Failure as failure:
                failed += 1
                line = f"WRONG: {failure}"
            print(f"{name}: {line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
