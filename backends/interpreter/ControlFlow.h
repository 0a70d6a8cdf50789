//===- ControlFlow.h - branches and loops of reference programs -----------===//
#pragma once

#include "ir/ReferenceCall.h"

#include "mlir/IR/Value.h"

#include <vector>

namespace quern::interpreter {

/// Whether `op` has bodies that see the values around them.
bool isControlFlow(mlir::Operation *op);

/// The values around `op` that its bodies use, each once.
std::vector<mlir::Value> capturedValues(mlir::Operation *op);

/// `nn.if`, `nn.loop` or `nn.scan` as a function of its operands and, after them, of
/// capturedValues. Bodies share the budget of the run: each iteration asks for time.
Expected<nn::ReferenceCall> makeControlFlowCall(mlir::Operation *op);

} // namespace quern::interpreter
