//===- Factors.h - the operands of products -------------------------------===//
//
// Products of 8-bit integers may sum up in int32, those of half types in float32, where only the
// second factor may be of a half type, too. Kernels
// compute them on copies of their operands in the type of the sums, which is exact.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/reference/Evaluator.h"

namespace quern::reference {

/// The first two operands of a product, as elements of the type of its sums.
struct Factors {
  Tensor a, b;

  DType sums() const { return a.dtype(); }
  /// As they are, or converted to the type of the call's result. An error when their types do
  /// not go together.
  static Expected<Factors> of(const OpCall &call);
};

/// The kernel of nn.matmul.
Expected<std::vector<Tensor>> evalMatMul(const OpCall &call);

} // namespace quern::reference
