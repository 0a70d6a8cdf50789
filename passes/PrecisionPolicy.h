//===- PrecisionPolicy.h - which ops pay at a lower precision -------------===//
//
// AssignPrecision rounds operands and keeps what is computed consistent; whether an op is to be
// computed on rounded operands is said by a policy, which a backend gives.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ir/NNDialect.h"
#include "quern/PrecisionChoice.h"
#include "quern/Reason.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace quern::passes {

class PrecisionPolicy {
public:
  virtual ~PrecisionPolicy() = default;
  /// Why `op` is better off on float32 than on bfloat16, if it is. Asked of ops with factors of
  /// float32 (nn.conv, nn.conv_transpose, nn.matmul, nn.gemm, nn.attention, nn.recurrent), whose
  /// results stay float32, and of those that the rounding may be done before
  /// (CommutesWithRounding), whose results become bfloat16.
  virtual std::optional<Reason> refuse(mlir::Operation *op) const = 0;
};

/// All stays as it is: for backends without kernels.
class KeepFloat32 : public PrecisionPolicy {
public:
  std::optional<Reason> refuse(mlir::Operation *op) const override;
};

/// The policy of kernels that multiply pairs of bfloat16 and sum up in float32: convolutions with
/// constant weights; products of
/// matrices, of nn.gemm if the first is not transposed; attention on queries whose elements lie
/// together; recurrences that are constant.
class BFloat16Factors : public PrecisionPolicy {
public:
  std::optional<Reason> refuse(mlir::Operation *op) const override;
};

/// Of the ops that another policy accepts those that Precision::Auto has chosen, by the names of
/// their nodes.
class ChosenFactors : public PrecisionPolicy {
public:
  ChosenFactors(std::shared_ptr<const PrecisionPolicy> all,
                std::shared_ptr<const PrecisionChoice> choice)
      : all(std::move(all)), choice(std::move(choice)) {}
  std::optional<Reason> refuse(mlir::Operation *op) const override;

private:
  std::shared_ptr<const PrecisionPolicy> all;
  std::shared_ptr<const PrecisionChoice> choice;
};

// Of AssignPrecision, for who looks for the same ops.

/// Whether an op sums up products of float32: those that are not lowered need a reason.
bool sumsFloat32(mlir::Operation *op);
/// Whether such an op gets this operand rounded when it is lowered.
bool isRoundedFactor(mlir::OpOperand &operand);

/// Gives a simplified graph a further input for each name of ops that would be lowered, a truth
/// value: where it is true, they are computed on factors rounded to bfloat16. All else stays as it
/// is. Gives what the inputs are for, in the order of the graph.
struct SwitchedLayer {
  /// As PrecisionLayer::node, and the nodes one by one.
  std::string name;
  std::vector<std::string> nodes;
};
std::vector<SwitchedLayer> addPrecisionSwitches(mlir::func::FuncOp main,
                                                const PrecisionPolicy &policy);

} // namespace quern::passes
