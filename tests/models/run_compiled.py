"""Compiles models ahead of time, runs the libraries, and compares the bits with the JIT's.

    tests/models/run_compiled.py [--quern FILE] [MODEL...]

The models, files or names in ../shared/models/exported (QUERN_SHARED names another place for
shared), have their inputs beside them (NAME.in.npz), which also tell the sizes to compile for.
Models that give strings, sequences or maps must be refused by name. Prints a line for each: the
seconds that compiling took, the bytes of code and of read-only data (weights), and the libraries that
the result needs. Where the models are absent the test says "skipped" and ends with exit code 77.
"""
import ctypes
import json
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto

import exported

# What libraries may need, and what those that call reference kernels may need as well.
NEEDED, NEEDED_BY_REFERENCE = {"libm.so.6", "libc.so.6"}, {"libstdc++.so.6", "libgcc_s.so.1"}
# Of onnx.TensorProto.DataType.
DTYPES = {1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2", 11: "f8",
          12: "u4", 13: "u8"}
UNSUPPORTED = 4
READELF = shutil.which("readelf") or shutil.which("llvm-readelf-19") or shutil.which("llvm-readelf")


class Port(ctypes.Structure):
    """quern_model_port"""
    _fields_ = [("name", ctypes.c_char_p), ("dims", ctypes.POINTER(ctypes.c_int64)),
                ("bytes", ctypes.c_int64), ("rank", ctypes.c_int32), ("dtype", ctypes.c_int32),
                ("dim_names", ctypes.POINTER(ctypes.c_char_p)), ("updates", ctypes.c_int32)]


class Info(ctypes.Structure):
    """quern_model_info, as far as it is of use here"""
    _fields_ = [("abi_version", ctypes.c_int32), ("input_count", ctypes.c_int32),
                ("output_count", ctypes.c_int32), ("workspace_alignment", ctypes.c_int32),
                ("workspace_bytes", ctypes.c_int64), ("worker_bytes", ctypes.c_int64),
                ("inputs", ctypes.POINTER(Port)), ("outputs", ctypes.POINTER(Port)),
                ("name", ctypes.c_char_p), ("target_cpu", ctypes.c_char_p)]


def pointers(arrays):
    return (ctypes.c_void_p * max(len(arrays), 1))(*[a.ctypes.data for a in arrays])


def run_library(path, inputs):
    """The outputs of a compiled model, by name."""
    library = ctypes.CDLL(str(path))
    library.m_info.restype = ctypes.POINTER(Info)
    info = library.m_info().contents
    given = [np.ascontiguousarray(inputs[info.inputs[i].name.decode()])
             for i in range(info.input_count)]
    outputs = {}
    for i in range(info.output_count):
        port = info.outputs[i]
        dims = [port.dims[k] for k in range(port.rank)]
        outputs[port.name.decode()] = np.empty(dims, DTYPES[port.dtype])
    memory = np.empty(info.workspace_bytes + 64, np.uint8)
    workspace = ctypes.c_void_p(memory.ctypes.data + -memory.ctypes.data % 64)
    status = library.m_run(pointers(given), pointers(list(outputs.values())), workspace)
    if status:
        raise RuntimeError(f"the library returns {status}")
    return outputs


def holds_only_numbers(model):
    return all(output.type.WhichOneof("value") == "tensor_type" and
               output.type.tensor_type.elem_type != TensorProto.STRING
               for output in onnx.load(model, load_external_data=False).graph.output)


def sections(library):
    """The bytes of each section of data."""
    text = subprocess.run([READELF, "-SW", library], capture_output=True, text=True).stdout
    return {name: int(bytes_, 16) for name, bytes_ in
            re.findall(r"\] (\.\S+)\s+PROGBITS\s+\w+ \w+ (\w+)", text)}


def describe(library):
    """Bytes of code and of read-only data, and what the library needs."""
    if not READELF:
        return "? ? ?", set()
    dynamic = subprocess.run([READELF, "-dW", library], capture_output=True, text=True).stdout
    size = sections(library)
    needed = set(re.findall(r"Shared library: \[(.*?)\]", dynamic))
    rodata = sum(bytes_ for name, bytes_ in size.items() if name.startswith(".rodata"))
    return f"{size.get('.text', 0)} {rodata} {','.join(sorted(needed)) or '-'}", needed


def has_reference_steps(quern, model, shapes):
    done = subprocess.run([quern, "check", model, "--json", "-q", *shapes], capture_output=True,
                          text=True, timeout=600)
    return bool(json.loads(done.stdout)["reference_steps"])


def check(args, model, folder):
    """What is wrong, or an empty string, and a line of the table."""
    quern = args.quern
    inputs = np.load(model.with_suffix(".in.npz"))
    library = folder / f"{model.stem}.so"
    shapes = [f"--shape={name}={'x'.join(map(str, inputs[name].shape)) or 'scalar'}"
              for name in inputs.files]
    start = time.monotonic()
    done = subprocess.run([quern, "compile", model, "-o", library, "--prefix", "m", "-q", *shapes],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    seconds = time.monotonic() - start
    if not holds_only_numbers(model):
        right = done.returncode == UNSUPPORTED and "ahead of time" in done.stderr
        return "" if right else f"exit code {done.returncode}: {done.stderr[-300:]}", "refused"
    if done.returncode:
        return f"exit code {done.returncode}: {done.stderr[-1000:]}", ""
    ran = subprocess.run([quern, "run", model, "--input", model.with_suffix(".in.npz"), "--output",
                          folder / "jit.npz", "-q", *shapes],
                         capture_output=True, text=True, timeout=600)
    if ran.returncode:
        return f"the JIT: {ran.stderr[-300:]}", ""
    wanted = np.load(folder / "jit.npz")
    found = run_library(library, inputs)
    for name, array in found.items():
        if array.shape != wanted[name].shape or array.tobytes() != wanted[name].tobytes():
            return f"output {name} has other bits than the JIT gives", ""
    facts, needed = describe(library)
    surplus = needed - NEEDED
    if surplus and has_reference_steps(quern, model, shapes):
        surplus -= NEEDED_BY_REFERENCE
    if surplus:
        return f"needs {', '.join(sorted(surplus))}", ""
    return "", f"{seconds:.1f} s {facts}"


if __name__ == "__main__":
    sys.exit(exported.run(__doc__, check))
