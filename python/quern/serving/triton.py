"""A model repository for NVIDIA's Triton Inference Server, whose backend is libtriton_quern.so.

    python -m quern.serving.triton model.onnx --into models --name digits
    tritonserver --model-repository models --backend-directory build/release/triton

Writes models/digits/1/model.onnx and models/digits/config.pbtxt. docs/serving.md says how the
backend is built.
"""
from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import sys
from typing import Any, Optional, Sequence, Union

from ..errors import QuernError, UnsupportedError, UsageError
from ..sources import is_library, load
from .protocol import datatype_of
from .rows import open_rows

_SUFFIXES = {".onnx": "model.onnx", ".tflite": "model.tflite", ".so": "model.so"}


def config(model: Union[str, os.PathLike[str]], name: str, *, batch_sizes: Sequence[int] = (),
           max_delay_ms: float = 2.0, instances: int = 1, threads: int = 0,
           precision: str = "f32") -> str:
    """config.pbtxt of a file. Requests are joined when all inputs have an open first dimension in
    common, or an artefact has several sizes of it: give `batch_sizes=[1]` for a model whose rows
    depend on each other."""
    loaded = load(model)
    sizes = _batch_sizes(loaded, is_library(model), batch_sizes)
    lines = [f"name: {json.dumps(name)}", 'backend: "quern"',
             f"max_batch_size: {max(sizes) if sizes else 0}"]
    for kind, ports in (("input", loaded.inputs), ("output", loaded.outputs)):
        lines += [_tensor(kind, port, bool(sizes)) for port in ports]
    lines.append(f"instance_group [ {{ count: {instances} kind: KIND_CPU }} ]")
    if sizes and max(sizes) > 1:
        lines.append(f"dynamic_batching {{ preferred_batch_size: {list(sizes)} "
                     f"max_queue_delay_microseconds: {round(max_delay_ms * 1e3)} }}")
    parameters = {"threads": str(threads)} if threads else {}
    if sizes:
        parameters["batch_sizes"] = ",".join(map(str, sizes))
    if precision != "f32":
        parameters["precision"] = precision
    lines += [f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}'
              for key, value in parameters.items()]
    return "\n".join(lines) + "\n"


def _batch_sizes(loaded: Any, is_artefact: bool, given: Sequence[int]) -> list[int]:
    """Those of runs, or none when the first dimension is no batch's."""
    if is_artefact:
        firsts = [{dims[0] if dims else None for dims in plan} for plan in loaded.listed_input_dims]
        sizes = sorted({size for plan in firsts for size in plan if size})
        return sizes if len(sizes) > 1 and all(len(plan) == 1 for plan in firsts) else []
    if open_rows(loaded.inputs) is not None:
        return []
    return sorted(set(given or (1, 2, 4, 8, 16, 32)))


def _tensor(kind: str, port: Any, has_rows: bool) -> str:
    datatype = datatype_of(port)
    if datatype == "BYTES" or port.shape is None:
        raise UnsupportedError(f"{kind} '{port.name}' is {port.type} of "
                               f"{'any' if port.shape is None else 'some'} shape, which the backend "
                               "does not take")
    dims = [size if isinstance(size, int) else -1 for size in port.shape[1 if has_rows else 0:]]
    return (f"{kind} [ {{ name: {json.dumps(port.name)} data_type: TYPE_{datatype} "
            f"dims: {dims or [1]}{'' if dims else ' reshape: { shape: [] }'} }} ]")


def write_repository(model: Union[str, os.PathLike[str]], into: Union[str, os.PathLike[str]],
                     name: Optional[str] = None, version: int = 1, **options: Any) -> pathlib.Path:
    """Puts a model and its config.pbtxt into a repository; the options are those of `config`."""
    source = pathlib.Path(model)
    name = name or source.stem
    file = "model.so" if is_library(model) else _SUFFIXES.get(source.suffix)
    if file is None:
        raise UsageError(f"{source}: wanted a file named {', '.join(_SUFFIXES)}")
    text = config(model, name, **options)
    folder = pathlib.Path(into) / name
    (folder / str(version)).mkdir(parents=True, exist_ok=True)
    shutil.copy(source, folder / str(version) / file)
    (folder / "config.pbtxt").write_text(text, "utf-8")
    return folder


def main(arguments: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m quern.serving.triton",
        description="Writes a model and its config.pbtxt into a model repository of Triton's.")
    add = parser.add_argument
    add("model", help=".onnx, .tflite, or .so, an artefact")
    add("--into", required=True, metavar="DIR", help="the repository")
    add("--name", help="of the model (default: the file's)")
    add("--version", type=int, default=1)
    add("--batch-sizes", type=lambda text: [int(size) for size in text.split(",")], default=(),
        metavar="N,N", help="rows that runs may have; an artefact has its own")
    add("--max-delay-ms", type=float, default=2.0, help="what a request waits at most for others")
    add("--instances", type=int, default=1, help="runs at a time")
    add("--threads", type=int, default=0, help="of a run; 0: all")
    add("--precision", default="f32")
    given = vars(parser.parse_args(arguments))
    try:
        print(write_repository(given.pop("model"), given.pop("into"), **given))
        return 0
    except QuernError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code


if __name__ == "__main__":
    sys.exit(main())
