//===- MainFunction.h - the function that a model becomes -----------------===//
#pragma once

#include "frontend/ImportState.h"
#include "quern/Status.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace quern::frontend {

/// @main, while importers fill it: its arguments are the model's inputs, its results the outputs,
/// both with their names as `nn.name`.
class MainFunction {
public:
  /// Makes it, with the state's `nn.none`, where the state's builder stands, which stands in it
  /// then.
  void begin(ImportState &state, const std::vector<std::pair<std::string, mlir::Type>> &inputs);
  mlir::Value input(size_t i) { return function.getArgument(static_cast<unsigned>(i)); }
  /// Returns these.
  void end(ImportState &state, const std::vector<std::pair<std::string, mlir::Value>> &outputs);
  mlir::func::FuncOp op() { return function; }

private:
  mlir::func::FuncOp function;
};

/// The location of what has this name in the model.
mlir::Location namedLocation(mlir::OpBuilder &builder, const std::string &name);

/// A module that `fill` has put @main in, verified. What the dialect complains about meanwhile goes
/// to the state.
Expected<mlir::OwningOpRef<mlir::ModuleOp>> buildModule(ImportState &state,
                                                        const std::function<Status()> &fill);

} // namespace quern::frontend
