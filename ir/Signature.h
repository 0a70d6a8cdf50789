//===- Signature.h - inputs and outputs of a graph ------------------------===//
#pragma once

#include "quern/Executable.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <vector>

namespace quern::nn {

/// The inputs of a graph. Names are the `nn.name` attributes of the arguments,
/// otherwise "input0", ...
std::vector<PortSignature> inputSignature(mlir::func::FuncOp main);
/// The outputs of a graph, likewise ("output0", ...).
std::vector<PortSignature> outputSignature(mlir::func::FuncOp main);

} // namespace quern::nn
