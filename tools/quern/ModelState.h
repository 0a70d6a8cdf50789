//===- ModelState.h - the MLIR side of a model ----------------------------===//
#pragma once

#include "ir/OwnedModule.h"
#include "tools/quern/Model.h"

namespace quern::cli {

struct Model::State {
  nn::OwnedModule source;
  Limits limits;

  /// For who changes the module; weights are not copied.
  mlir::OwningOpRef<mlir::ModuleOp> cloneModule() const {
    return mlir::OwningOpRef<mlir::ModuleOp>(source.module.get().clone());
  }
};

} // namespace quern::cli
