//===- AotFloatMode.h - floating-point mode while a model runs ------------===//
#pragma once

#include "llvm/IR/IRBuilder.h"

namespace quern::native {

/// A slot of the current function for the caller's mode.
llvm::Value *createFloatModeSlot(llvm::IRBuilder<> &ir);
/// Keeps the caller's mode in `slot`, and sets that of FloatEnvironment: all exceptions
/// masked, round to nearest, subnormal numbers are zero. For the target of the module.
void setFloatMode(llvm::IRBuilder<> &ir, llvm::Value *slot);
void restoreFloatMode(llvm::IRBuilder<> &ir, llvm::Value *slot);

} // namespace quern::native
