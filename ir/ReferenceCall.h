//===- ReferenceCall.h - ops as functions on tensors ----------------------===//
#pragma once

#include "quern/Tensor.h"
#include "runtime/lib/Budget.h"

#include "mlir/IR/Operation.h"

#include <functional>
#include <span>
#include <vector>

namespace quern::nn {

/// Computes the results of one op from its operands, with absent tensors for
/// operands that were left out. Holds nothing of MLIR: it may outlive the op and
/// its context, and be called from several threads, with a budget each.
using ReferenceCall =
    std::function<Expected<std::vector<Tensor>>(std::span<const Tensor> inputs, Budget &budget)>;

/// The reference kernel of an nn op with its attributes, constants and weights
/// included. Unsupported when the op has no kernel.
Expected<ReferenceCall> makeReferenceCall(mlir::Operation *op);

/// Applies an nn op to tensors. Errors name the node.
Expected<std::vector<Tensor>> evaluateOp(mlir::Operation *op, std::span<const Tensor> inputs,
                                         Budget &budget);

} // namespace quern::nn
