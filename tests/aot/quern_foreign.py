#!/usr/bin/python3
"""Stands for `quern run` where the machine is another one: compiles for it, runs it emulated.

    tests/aot/quern_foreign.py run MODEL --input FOLDER --output FILE.npz [IGNORED OPTIONS]

so that scripts/conformance --quern tests/aot/quern_foreign.py tests code for AArch64. The
environment may name other places of the program (QUERN) and of what the build makes of
run_artefact.c (QUERN_ARTEFACT_RUNNER).
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
QUERN = os.environ.get("QUERN", ROOT / "build/release/bin/quern")
RUNNER = os.environ.get("QUERN_ARTEFACT_RUNNER",
                        ROOT / "build/release/tests/aot/run_artefact-aarch64")
TRIPLE, EMULATOR = "aarch64-linux-gnu", ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
UNSUPPORTED = 4

def read_input(path):
    proto = onnx.TensorProto()
    proto.ParseFromString(path.read_bytes())
    array = numpy_helper.to_array(proto)
    if proto.data_type == onnx.TensorProto.BFLOAT16 and array.dtype == np.float32:
        array = (array.view(np.uint32) >> 16).astype(np.uint16)
    return array.copy(order="C")


def numpy_type(dtype):
    """That of an ONNX type; of bfloat16, the bits."""
    if dtype == onnx.TensorProto.BFLOAT16:
        return np.dtype(np.uint16)
    return numpy_helper.to_array(onnx.TensorProto(data_type=dtype, dims=[0])).dtype


def compile_model(model, graph, inputs, folder):
    """Writes model.so; the compiler's exit code and message."""
    shapes = [f"--shape={value.name}={'x'.join(map(str, array.shape))}"
              for value, array in zip(graph.input, inputs) if array.ndim]
    done = subprocess.run([QUERN, "compile", model, "-q", "--target", TRIPLE, "--prefix", "m",
                           "-o", folder / "model.so", *shapes], capture_output=True, text=True)
    return done.returncode, done.stderr


def run(model, data, output, folder):
    graph = onnx.load(model, load_external_data=False).graph
    if any(value.type.WhichOneof("value") != "tensor_type"
           for value in [*graph.input, *graph.output]):
        print("quern: error: an artefact has tensors alone", file=sys.stderr)
        return UNSUPPORTED
    count = len(list(data.glob("input_*.pb")))
    inputs = [read_input(data / f"input_{i}.pb") for i in range(count)]
    if any(array.dtype.kind in "OSU" for array in inputs):
        print("quern: error: strings have no place in an artefact", file=sys.stderr)
        return UNSUPPORTED
    code, message = compile_model(model, graph, inputs, folder)
    if code:
        print(message, file=sys.stderr)
        return code
    files = [folder / f"in{i}" for i in range(count)]
    for path, array in zip(files, inputs):
        path.write_bytes(array.tobytes())
    results = [folder / f"out{i}" for i in range(len(graph.output))]
    done = subprocess.run([*EMULATOR, RUNNER, folder / "model.so", "m", *files, *results],
                          capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return 1
    arrays = {}
    for value, line, path in zip(graph.output, done.stdout.splitlines(), results):
        dtype, *dims = map(int, line.split())
        arrays[value.name] = np.frombuffer(path.read_bytes(), numpy_type(dtype)).reshape(dims)
    np.savez(output, **arrays)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["run"])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--input", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path)
    args, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        return run(args.model, args.input, args.output, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
