//===- ReferenceCall.h - ops as functions on tensors ----------------------===//
#pragma once

#include "quern/Limits.h"
#include "quern/Tensor.h"

#include "mlir/IR/Operation.h"

#include <functional>
#include <span>
#include <vector>

namespace quern::interpreter {

/// Computes the results of one op from its operands, with absent tensors for
/// operands that were left out. Holds nothing of MLIR: it may outlive the op and
/// its context, and be called from several threads.
using ReferenceCall = std::function<Expected<std::vector<Tensor>>(std::span<const Tensor> inputs)>;

/// The reference kernel of an nn op with its attributes (constants, weights and
/// fusion groups included). Unsupported when the op has no kernel.
Expected<ReferenceCall> makeReferenceCall(mlir::Operation *op, const Limits &limits = {});

/// Applies an nn op to tensors. Errors name the node.
Expected<std::vector<Tensor>> evaluateOp(mlir::Operation *op, std::span<const Tensor> inputs,
                                         const Limits &limits = {});

} // namespace quern::interpreter
