//===- SpecializeInputs.h - static shapes for the inputs of @main ---------===//
#pragma once

#include "quern/InputSizes.h"
#include "quern/Status.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <cstdint>
#include <vector>

namespace quern::passes {

/// Makes the argument types of `main` as static as `sizes` tells. A size given
/// for one use of a symbol holds for all inputs. InvalidInput, with the input
/// named, when a name is unknown or sizes contradict; `main` is unchanged then.
Status specializeInputs(mlir::func::FuncOp main, const InputSizes &sizes);
/// The same with the dims of each argument, if they are known: the arguments of a body may have
/// one name.
Status specializeInputs(mlir::func::FuncOp main,
                        llvm::ArrayRef<std::optional<std::vector<int64_t>>> sizes);

} // namespace quern::passes
