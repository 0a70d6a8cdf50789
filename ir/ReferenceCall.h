//===- ReferenceCall.h - ops as functions on tensors ----------------------===//
#pragma once

#include "runtime/plan/ReferenceFunction.h"
#include "runtime/running/Budget.h"

#include "mlir/IR/Operation.h"

#include <span>
#include <vector>

namespace quern::nn {

/// Computes the results of one op from its operands. Holds nothing of MLIR: it may
/// outlive the op and its context, and be called from several threads, with a budget
/// each.
using ReferenceCall = ReferenceFunction;

/// The reference kernel of an nn op with its attributes, constants and weights
/// included. Unsupported when the op has no kernel.
Expected<ReferenceCall> makeReferenceCall(mlir::Operation *op);

/// Applies an nn op to tensors, with tensors as results. Errors name the node.
Expected<std::vector<Tensor>> evaluateOp(mlir::Operation *op, std::span<const Tensor> inputs,
                                         Budget &budget);

} // namespace quern::nn
