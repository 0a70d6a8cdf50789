//===- LoweringTable.h - what lowers each op ------------------------------===//
#pragma once

#include "backends/native/lowering/Way.h"
#include "ir/NNDialect.h"

#include <span>

namespace quern::native {

/// One op that is not elementwise: the ways of computing it, or why there are none.
struct LoweringRow {
  mlir::TypeID op;
  llvm::StringRef name;
  /// Empty: it always runs on its reference kernel.
  std::span<const Way> ways;
  std::optional<Reason> reason;
};

/// An op with several ways.
template <typename Op> LoweringRow lowered(std::span<const Way> ways) {
  return {mlir::TypeID::get<Op>(), Op::getOperationName(), ways, std::nullopt};
}

/// An op that the function `Lower` lowers.
template <typename Op, LoweringResult (*Lower)(Op op, const LoweringContext &context)>
LoweringRow lowered() {
  static constexpr Way only[] = {
      {"only", nullptr, nullptr, [](mlir::Operation *op, const LoweringContext &context) {
         return Lower(llvm::cast<Op>(op), context);
       }}};
  return lowered<Op>(only);
}

// The rows of Lower<Family>.cpp.
std::span<const LoweringRow> contractionLowerings();
std::span<const LoweringRow> blockMatMulLowerings();
std::span<const LoweringRow> convLowerings();
std::span<const LoweringRow> windowSumLowerings(); // LowerConvTranspose.cpp
std::span<const LoweringRow> poolLowerings();
std::span<const LoweringRow> reductionLowerings();
std::span<const LoweringRow> normalizationLowerings();
std::span<const LoweringRow> dataMovementLowerings();
std::span<const LoweringRow> packLowerings();
std::span<const LoweringRow> resizeLowerings();
std::span<const LoweringRow> gatherLowerings();
std::span<const LoweringRow> treeLowerings();
std::span<const LoweringRow> attentionLowerings();
std::span<const LoweringRow> recurrentLowerings();
std::span<const LoweringRow> visionLowerings();

/// All of them, and those of the ops that have no native code.
std::span<const LoweringRow> loweringTable();
/// The row of ops like `op`; null when there is none.
const LoweringRow *findLowering(mlir::Operation *op);

/// A group without an anchor, or a single elementwise op.
LoweringResult lowerMapGroup(mlir::Operation *group, const LoweringContext &context);

} // namespace quern::native
