//===- Passes.h - the graph passes ----------------------------------------===//
//
// Declares create<Foo>Pass(), <Foo>PassOptions and registerQuernPasses() from
// Passes.td.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "passes/FoldBudget.h"
#include "quern/Limits.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace quern::passes {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// With a budget that other folding passes share; null is one of its own.
std::unique_ptr<mlir::Pass> createFoldConstantsPass(std::shared_ptr<Budget> budget);
std::unique_ptr<mlir::Pass> createFoldBatchNormPass(std::shared_ptr<Budget> budget);

} // namespace quern::passes
