//===- NodeNames.h - the model's nodes that a location names --------------===//
#pragma once

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <string>
#include <vector>

namespace quern::nn {

/// Calls `note` with the name of each node of a location.
void forEachNode(mlir::Location loc, llvm::function_ref<void(mlir::StringAttr)> note);
/// These names; none when it has none.
std::vector<std::string> nodeNames(mlir::Location loc);

/// The attribute of @main with the names of the nodes that became no op, but constants or what
/// they were given.
inline constexpr llvm::StringLiteral kNodesWithoutOps = "nn.nodes_without_ops";

} // namespace quern::nn
