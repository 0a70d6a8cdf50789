"""Enforces the dependency rule of docs/ARCHITECTURE.md by the #include lines.

    tests/layering/check_includes.py [--root FOLDER]

RULES below is the whole rule: which folders and which outside libraries the files of a
folder may include. The most specific folder that holds a file decides.
"""
import argparse
import pathlib
import re
import sys

SOURCES = {".cpp", ".h", ".c", ".inc", ".td"}
INCLUDE = re.compile(r'^\s*#?\s*include\s+["<]([^">]+)[">]')

# Outside libraries that only some layers may see, by the start of the include path.
LIBRARIES = {
    "mlir/": "MLIR",
    "mlir-c/": "MLIR",
    "llvm/": "LLVM",
    "llvm-c/": "LLVM",
    "lld/": "LLD",
    "google/protobuf/": "protobuf",
    "onnx/": "protobuf",
    "CLI/": "CLI11",
    "nlohmann/": "JSON",
    "gtest/": "GoogleTest",
    "gmock/": "GoogleTest",
    "benchmark/": "GoogleBenchmark",
}
LAYERS = ("runtime", "ir", "frontend", "passes", "backends/interpreter", "backends/plan",
          "backends/native",
          "tools", "tests", "bench")
COMPILER = {"MLIR", "LLVM"}
ALL_LIBRARIES = set(LIBRARIES.values())

# folder: (layers, outside libraries) its files may include, besides itself.
RULES = {
    "runtime": (set(), set()),
    "ir": ({"runtime"}, COMPILER),
    "backends/interpreter": ({"runtime", "ir"}, COMPILER),
    "frontend": ({"runtime", "ir"}, COMPILER | {"protobuf"}),
    "passes": ({"runtime", "ir"}, COMPILER),
    # Of LLVM the data structures that MLIR is used with, nothing of code generation.
    "backends/plan": ({"runtime", "ir", "passes"}, COMPILER),
    "backends/native": ({"runtime", "ir", "passes", "backends/plan"}, COMPILER | {"LLD"}),
    "tools": (set(LAYERS) - {"tests", "bench"}, ALL_LIBRARIES),
    "tests": (set(LAYERS) - {"bench"}, ALL_LIBRARIES),
    "bench": (set(LAYERS) - {"tests"}, ALL_LIBRARIES),
}
# Files with a tighter rule than their layer's: they see no MLIR and no LLVM, also not through
# another header.
WITHOUT_COMPILER = re.compile(r"ir/WeightStore\.(cpp|h)")


def layer_of(path):
    """The layer that holds a path, or None."""
    return next((layer for layer in LAYERS if path.startswith(layer + "/")), None)


def target_of(include):
    """The layer an include path leads to, and the library; at most one is set."""
    if include.startswith("quern/"):
        return "runtime", None
    library = next((name for start, name in LIBRARIES.items() if include.startswith(start)), None)
    return layer_of(include), library


def violations(path, text):
    """(line number, reason) of every include of a file that breaks the rule."""
    layer = layer_of(path)
    if layer not in RULES:
        return
    layers, libraries = RULES[layer]
    without_compiler = WITHOUT_COMPILER.fullmatch(path)
    if without_compiler:
        libraries = libraries - COMPILER
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target, library = target_of(match.group(1))
        if target and target != layer and target not in layers:
            yield number, f"{layer} must not include {target} ({match.group(1)})"
        elif library and library not in libraries:
            yield number, f"must not include {library} ({match.group(1)})"
        elif (without_compiler and target not in (None, "runtime")
              and not WITHOUT_COMPILER.fullmatch(match.group(1))):
            yield number, f"must not include a header that needs MLIR ({match.group(1)})"


def self_check():
    """The rule catches what it is for; a checker that sees nothing would pass all."""
    bad = {
        "runtime/lib/A.cpp": '#include "mlir/IR/Value.h"',
        "runtime/lib/B.cpp": '#include "ir/Types.h"',
        "ir/A.cpp": '#include "passes/Passes.h"',
        "ir/B.cpp": "#include <onnx/onnx_pb.h>",
        "frontend/onnx/A.cpp": '#include "passes/Passes.h"',
        "passes/A.cpp": '#include "frontend/onnx/Import.h"',
        "passes/B.cpp": '#include "backends/native/codegen/Target.h"',
        "backends/native/A.cpp": "  #  include <google/protobuf/message.h>",
        "runtime/reference/EvalConv.cpp": '#include "llvm/ADT/ArrayRef.h"',
        "runtime/reference/EvalPool.cpp": '#include "ir/NNDialect.h"',
        "ir/WeightStore.h": '#include "ir/NNDialect.h"',
        "passes/C.cpp": '#include "backends/interpreter/Interpreter.h"',
        "backends/plan/A.cpp": '#include "backends/native/codegen/Target.h"',
    }
    good = {
        "runtime/lib/A.cpp": '#include "quern/Tensor.h"\n#include <tbb/task_arena.h>',
        "passes/FoldConstants.cpp": '#include "runtime/reference/Evaluator.h"',
        "frontend/onnx/A.cpp": "#include <onnx/onnx_pb.h>",
        "tools/quern/Run.cpp": '#include "frontend/onnx/Import.h"\n#include <CLI/CLI.hpp>',
    }
    assert all(list(violations(path, text)) for path, text in bad.items())
    assert not any(list(violations(path, text)) for path, text in good.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2])
    args = parser.parse_args()
    self_check()
    files = [f for layer in LAYERS for f in sorted((args.root / layer).rglob("*"))
             if f.suffix in SOURCES]
    if not files:
        sys.exit(f"no sources beneath {args.root}")
    found = 0
    for file in files:
        path = file.relative_to(args.root).as_posix()
        for number, reason in violations(path, file.read_text()):
            found += 1
            print(f"{path}:{number}: {reason}")
    print(f"{len(files)} files checked, {found} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
