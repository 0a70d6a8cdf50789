//===- OpAttributes.h - the attributes of an op without MLIR --------------===//
#pragma once

#include "runtime/reference/Evaluator.h"

#include "mlir/IR/Operation.h"

#include <string>
#include <utility>
#include <vector>

namespace quern::nn {

/// What reference kernels are told of an nn op: all attributes of its ODS definition,
/// defaults filled in, and its layouts, which kernels know no types for, as
/// "input_block" and "output_block".
Expected<std::vector<std::pair<std::string, reference::Attributes::Value>>>
attributesOf(mlir::Operation *op);

} // namespace quern::nn
