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
    "fmt/": "fmt",
    "utf8": "utfcpp",
}
# A folder within another one comes before it.
# The folders of the native backend, each standing on those before it; beside them the files of
# backends/native itself (the compilers), which stand between code generation and ahead of time.
NATIVE = ("backends/native/target", "backends/native/emit", "backends/native/kernels",
          "backends/native/cost", "backends/native/lowering", "backends/native/codegen", "backends/native",
          "backends/native/aot")
LAYERS = ("runtime/include", "runtime", "ir", "frontend", "passes", "backends/interpreter",
          "backends/plan", *sorted(NATIVE, reverse=True), "api/include", "api", "tools/quern",
          "tools", "tests/plan", "tests", "bench")
COMPILER = {"MLIR", "LLVM"}
PUBLIC = {"runtime/include", "api/include"}
RUNTIME = {"runtime/include", "runtime"}
ALL_LIBRARIES = set(LIBRARIES.values())

# folder: (layers, outside libraries) its files may include, besides itself.
RULES = {
    # Public headers need nothing but each other.
    "runtime/include": (set(), set()),
    "api/include": ({"runtime/include"}, set()),
    "runtime": (RUNTIME, {"fmt", "utfcpp"}),
    "ir": (RUNTIME, COMPILER | {"fmt"}),
    "backends/interpreter": (RUNTIME | {"ir"}, COMPILER | {"fmt"}),
    "frontend": (RUNTIME | {"ir"}, COMPILER | {"protobuf", "fmt"}),
    "passes": (RUNTIME | {"ir"}, COMPILER | {"fmt"}),
    # Of LLVM the data structures that MLIR is used with, nothing of code generation.
    "backends/plan": (RUNTIME | {"ir", "passes"}, COMPILER | {"fmt"}),
    **{folder: (RUNTIME | {"ir", "passes", "backends/plan"} | set(NATIVE[:place]),
                COMPILER | {"LLD", "fmt"}) for place, folder in enumerate(NATIVE)},
    "api": (set(LAYERS) - {"tools/quern", "tools", "tests/plan", "tests", "bench"},
            COMPILER | {"protobuf", "fmt"}),
    # The command line is a user of the library like any other.
    "tools/quern": (PUBLIC, {"CLI11", "JSON", "fmt"}),
    # quern-opt.
    "tools": (set(LAYERS) - {"tests/plan", "tests", "bench"}, ALL_LIBRARIES),
    # Plans are tested without the native backend.
    "tests/plan": (RUNTIME | {"ir", "passes", "backends/interpreter", "backends/plan"},
                   COMPILER | {"GoogleTest", "fmt"}),
    "tests": (set(LAYERS) - {"bench"}, ALL_LIBRARIES),
    "bench": (set(LAYERS) - {"tests/plan", "tests"}, ALL_LIBRARIES),
}
# Files with a tighter rule than their layer's: they see no MLIR and no LLVM, also not through
# another header.
WITHOUT_COMPILER = re.compile(r"ir/WeightStore\.(cpp|h)")


def layer_of(path):
    """The layer that holds a path, or None."""
    return next((layer for layer in LAYERS if path.startswith(layer + "/")), None)


def target_of(include, api_headers):
    """The layer an include path leads to, and the library; at most one is set."""
    if include.startswith("quern/"):
        return "api/include" if include in api_headers else "runtime/include", None
    library = next((name for start, name in LIBRARIES.items() if include.startswith(start)), None)
    return layer_of(include), library


def violations(path, text, api_headers):
    """(line number, reason) of every include of a file that breaks the rule. `api_headers` are
    the include paths of the library's public headers; other quern/ headers are the runtime's."""
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
        target, library = target_of(match.group(1), api_headers)
        if target and target != layer and target not in layers:
            yield number, f"{layer} must not include {target} ({match.group(1)})"
        elif library and library not in libraries:
            yield number, f"must not include {library} ({match.group(1)})"
        elif (without_compiler and target not in (None, *RUNTIME)
              and not WITHOUT_COMPILER.fullmatch(match.group(1))):
            yield number, f"must not include a header that needs MLIR ({match.group(1)})"


def self_check():
    """The rule catches what it is for; a checker that sees nothing would pass all."""
    bad = {
        "runtime/values/A.cpp": '#include "mlir/IR/Value.h"',
        "runtime/values/B.cpp": '#include "ir/Types.h"',
        "ir/A.cpp": '#include "passes/Passes.h"',
        "ir/B.cpp": "#include <onnx/onnx_pb.h>",
        "frontend/onnx/A.cpp": '#include "passes/Passes.h"',
        "passes/A.cpp": '#include "frontend/onnx/Import.h"',
        "passes/B.cpp": '#include "backends/native/target/Target.h"',
        "backends/native/A.cpp": "  #  include <google/protobuf/message.h>",
        "runtime/reference/EvalConv.cpp": '#include "llvm/ADT/ArrayRef.h"',
        "runtime/reference/EvalPool.cpp": '#include "ir/NNDialect.h"',
        "ir/WeightStore.h": '#include "ir/NNDialect.h"',
        "passes/C.cpp": '#include "backends/interpreter/Interpreter.h"',
        "backends/plan/A.cpp": '#include "backends/native/target/Target.h"',
        "backends/native/target/A.cpp": '#include "backends/native/codegen/CodeGen.h"',
        "backends/native/kernels/A.cpp": '#include "backends/native/lowering/Lowering.h"',
        "backends/native/C.cpp": '#include "backends/native/aot/AotModel.h"',
        "tests/plan/A.cpp": '#include "backends/native/Compiler.h"',
        "runtime/include/quern/A.h": "#include <fmt/format.h>",
        "runtime/values/C.cpp": '#include "quern/Model.h"',
        "backends/native/B.cpp": '#include "api/ModelState.h"',
        "api/include/quern/A.h": '#include "mlir/IR/Value.h"',
        "api/include/quern/B.h": '#include "runtime/running/Budget.h"',
        "tools/quern/A.cpp": '#include "frontend/onnx/Import.h"',
        "tools/quern/B.cpp": '#include "runtime/running/Budget.h"',
        "tools/quern/C.cpp": '#include "api/ModelState.h"',
    }
    good = {
        "runtime/values/A.cpp": '#include "quern/Tensor.h"\n#include <tbb/task_arena.h>',
        "passes/FoldConstants.cpp": '#include "runtime/reference/Evaluator.h"',
        "frontend/onnx/A.cpp": "#include <onnx/onnx_pb.h>",
        "backends/native/aot/A.cpp": '#include "backends/native/Compiler.h"',
        "backends/native/A.cpp": '#include "backends/native/lowering/Lowering.h"',
        "api/Model.cpp": '#include "frontend/onnx/Import.h"\n#include "quern/Model.h"',
        "tools/quern/Run.cpp": '#include "quern/Model.h"\n#include <CLI/CLI.hpp>',
        "tools/quern-opt/quern-opt.cpp": '#include "passes/Passes.h"',
    }
    headers = {"quern/Model.h"}
    assert all(list(violations(path, text, headers)) for path, text in bad.items())
    assert not any(list(violations(path, text, headers)) for path, text in good.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2])
    args = parser.parse_args()
    self_check()
    api_headers = {"quern/" + f.name for f in (args.root / "api/include/quern").glob("*.h")}
    files = sorted({f for layer in LAYERS for f in (args.root / layer).rglob("*")
                    if f.suffix in SOURCES})
    if not files:
        sys.exit(f"no sources beneath {args.root}")
    found = 0
    for file in files:
        path = file.relative_to(args.root).as_posix()
        for number, reason in violations(path, file.read_text(), api_headers):
            found += 1
            print(f"{path}:{number}: {reason}")
    print(f"{len(files)} files checked, {found} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
