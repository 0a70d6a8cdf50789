//===- ModelState.h - the MLIR side of a model ----------------------------===//
#pragma once

#include "tools/quern/Model.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

namespace quern::cli {

struct Model::State {
  std::shared_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Limits limits;

  /// For a consumer that changes or keeps the module; weights are not copied.
  mlir::OwningOpRef<mlir::ModuleOp> cloneModule() const {
    return mlir::OwningOpRef<mlir::ModuleOp>(module.get().clone());
  }
};

} // namespace quern::cli
