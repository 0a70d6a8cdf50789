//===- Passes.h - the graph passes ----------------------------------------===//
//
// Declares create<Foo>Pass(), <Foo>PassOptions and registerQuernPasses() from
// Passes.td.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Limits.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace quern::passes {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

} // namespace quern::passes
