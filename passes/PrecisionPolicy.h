//===- PrecisionPolicy.h - which ops pay at a lower precision -------------===//
//
// AssignPrecision rounds operands and keeps what is computed consistent; whether an op is to be
// computed on rounded operands is said by a policy, which a backend gives.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ir/NNDialect.h"
#include "quern/Reason.h"

#include <optional>

namespace quern::passes {

class PrecisionPolicy {
public:
  virtual ~PrecisionPolicy() = default;
  /// Why `op` is better off on float32 than on bfloat16, if it is. Asked of ops with factors of
  /// float32 (nn.conv, nn.matmul, nn.gemm, nn.attention, nn.recurrent), whose results stay float32,
  /// and of those that the rounding may be done before (CommutesWithRounding), whose results become
  /// bfloat16.
  virtual std::optional<Reason> refuse(mlir::Operation *op) const = 0;
};

/// All stays as it is: for backends without kernels.
class KeepFloat32 : public PrecisionPolicy {
public:
  std::optional<Reason> refuse(mlir::Operation *op) const override;
};

/// The policy of kernels that multiply pairs of bfloat16 and sum up in float32: convolutions in one
/// or two dimensions with constant weights; products of
/// matrices, of nn.gemm by constants; attention on queries whose elements lie together; recurrences
/// that are constant.
class BFloat16Factors : public PrecisionPolicy {
public:
  std::optional<Reason> refuse(mlir::Operation *op) const override;
};

} // namespace quern::passes
