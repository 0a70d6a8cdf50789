//===- MicrosoftAttention.h - what ONNX Runtime's attention ops share -----===//
#pragma once

#include "frontend/compose/Attention.h"

#include <optional>

namespace quern::onnx {

mlir::Value concat(NodeReader &node, llvm::ArrayRef<mlir::Value> parts, int64_t axis);
mlir::Value unsqueeze(NodeReader &node, mlir::Value x, int64_t axis);
/// The sum of those that are not null.
mlir::Value add(NodeReader &node, mlir::Value a, mlir::Value b);

/// The attribute `scale`; 0 is none.
std::optional<double> readScale(NodeReader &node);
/// The attribute `name`, a number of heads.
int64_t readHeads(NodeReader &node, const char *name);
/// An error unless input `i` has a rank in [least, most]; that rank.
int64_t requireRank(NodeReader &node, int i, int64_t least, int64_t most);
/// Refuses what only other devices than CPUs, or loops over a decoder, have.
void refuseInputs(NodeReader &node, llvm::ArrayRef<int> inputs);
void refuseAttributes(NodeReader &node, llvm::ArrayRef<const char *> names);

/// Keys and values, [batch, heads, length, size].
struct KeysAndValues {
  mlir::Value keys, values;
};
/// Queries, keys and values of a node: packed, [batch, length, heads * size], or with heads.
struct Projections {
  mlir::Value queries, keys, values;
  bool keysHaveHeads = false;
};

/// GroupQueryAttention.
void importGroupQueryAttention(NodeReader &node);

} // namespace quern::onnx
