//===- OwnedModule.h - a module with a context of its own -----------------===//
#pragma once

#include "quern/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <memory>

namespace quern::nn {

/// Loads the dialects that imported graphs are made of.
void loadDialects(mlir::MLIRContext &context);

/// A module and its context, which nobody else has but the bodies that were outlined from the
/// module: who works on one changes the context, too, and a context is for one thread at a
/// time, unless it is frozen.
struct OwnedModule {
  /// A new context with the dialects of graphs, that prints no diagnostics, as
  /// errors come back as a Status. There is no module yet.
  static OwnedModule create();
  /// A module that shares the context of others.
  OwnedModule(std::shared_ptr<mlir::MLIRContext> context, mlir::OwningOpRef<mlir::ModuleOp> module)
      : context(std::move(context)), module(std::move(module)) {}

  OwnedModule(OwnedModule &&) = default;
  OwnedModule &operator=(OwnedModule &&other) {
    module = std::move(other.module); // goes before its context does
    context = std::move(other.context);
    return *this;
  }

  std::shared_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;

private:
  OwnedModule() = default;
};

/// Once all passes have run on the modules of a context: lets threads read and copy them side by
/// side, for that may still look up attributes, or make some.
void freezeContext(mlir::MLIRContext &context);

/// A copy of `module` in a context of its own. Weights are shared.
Expected<OwnedModule> copyModule(mlir::ModuleOp module);

} // namespace quern::nn
