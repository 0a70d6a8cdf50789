//===- Signature.h - inputs and outputs of a graph ------------------------===//
#pragma once

#include "quern/PortSignature.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace quern::nn {

/// The graph's function, @main; null when the module has none.
mlir::func::FuncOp findMain(mlir::ModuleOp module);

/// The name of an input: its `nn.name` attribute, else its location's name,
/// else "input<index>".
std::string inputName(mlir::func::FuncOp main, unsigned index);
/// The inputs of a graph.
std::vector<PortSignature> inputSignature(mlir::func::FuncOp main);
/// The outputs of a graph, named by their `nn.name` attributes, else "output<index>".
std::vector<PortSignature> outputSignature(mlir::func::FuncOp main);
/// The name of an output, as the model gives it.
std::string outputName(mlir::func::FuncOp main, unsigned index);
/// Unsupported, naming the first, when ports are no tensors.
Status requireTensorPorts(mlir::func::FuncOp main);

} // namespace quern::nn
