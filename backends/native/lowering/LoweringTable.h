//===- LoweringTable.h - what lowers each op ------------------------------===//
#pragma once

#include "backends/native/lowering/Way.h"
#include "ir/NNDialect.h"

#include <span>

// Of families that few files see.
namespace quern::nn {
class TreeEnsembleOp;
class RecurrentOp;
} // namespace quern::nn

namespace quern::native {

/// One op that is not elementwise: the ways of computing it, or why there are none.
struct LoweringRow {
  mlir::TypeID op;
  llvm::StringRef name;
  /// Empty: it always runs on its reference kernel.
  std::span<const Way> ways;
  std::optional<Reason> reason;
};

std::span<const LoweringRow> loweringTable();
/// The row of ops like `op`; null when there is none.
const LoweringRow *findLowering(mlir::Operation *op);

/// A group without an anchor, or a single elementwise op.
LoweringResult lowerMapGroup(mlir::Operation *group, const LoweringContext &context);

// LowerContraction.cpp
std::span<const Way> matMulWays();
std::span<const Way> gemmWays();

// LowerConv.cpp
std::span<const Way> convWays();

// LowerPool.cpp
LoweringResult lower(nn::MaxPoolOp op, const LoweringContext &context);
LoweringResult lower(nn::AveragePoolOp op, const LoweringContext &context);
LoweringResult lower(nn::GlobalPoolOp op, const LoweringContext &context);
LoweringResult lower(nn::MaxPoolWithIndicesOp op, const LoweringContext &context);

// LowerReduction.cpp
std::span<const Way> reduceWays();
LoweringResult lower(nn::SoftmaxOp op, const LoweringContext &context);
LoweringResult lower(nn::ArgReduceOp op, const LoweringContext &context);
LoweringResult lower(nn::CumulateOp op, const LoweringContext &context);
LoweringResult lower(nn::TopKOp op, const LoweringContext &context);

// LowerNormalization.cpp
LoweringResult lower(nn::BatchNormOp op, const LoweringContext &context);
LoweringResult lower(nn::InstanceNormOp op, const LoweringContext &context);
LoweringResult lower(nn::LayerNormOp op, const LoweringContext &context);
LoweringResult lower(nn::LrnOp op, const LoweringContext &context);

// LowerDataMovement.cpp
LoweringResult lower(nn::ConcatOp op, const LoweringContext &context);
LoweringResult lower(nn::SplitOp op, const LoweringContext &context);
LoweringResult lower(nn::SliceOp op, const LoweringContext &context);
LoweringResult lower(nn::ReshapeOp op, const LoweringContext &context);
LoweringResult lower(nn::FlattenOp op, const LoweringContext &context);
LoweringResult lower(nn::TransposeOp op, const LoweringContext &context);
LoweringResult lower(nn::SqueezeOp op, const LoweringContext &context);
LoweringResult lower(nn::UnsqueezeOp op, const LoweringContext &context);
LoweringResult lower(nn::BitCastOp op, const LoweringContext &context);
LoweringResult lower(nn::ExpandOp op, const LoweringContext &context);
LoweringResult lower(nn::TileOp op, const LoweringContext &context);
LoweringResult lower(nn::PadOp op, const LoweringContext &context);
LoweringResult lower(nn::RangeOp op, const LoweringContext &context);
LoweringResult lower(nn::PackOp op, const LoweringContext &context);
LoweringResult lower(nn::UnpackOp op, const LoweringContext &context);

// LowerGather.cpp
LoweringResult lower(nn::GatherOp op, const LoweringContext &context);

// LowerTree.cpp
LoweringResult lower(nn::TreeEnsembleOp op, const LoweringContext &context);
// LowerRecurrent.cpp
LoweringResult lower(nn::RecurrentOp op, const LoweringContext &context);

} // namespace quern::native
