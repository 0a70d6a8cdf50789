//===- Lowering.cpp - from ops and fusion groups to plan steps ------------===//
#include "backends/native/lowering/Lowering.h"

#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/lowering/GroupProgram.h"
#include "backends/plan/ValueTable.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// The lowering of the family that `op`, a root or an opaque op, belongs to.
static LoweringFunction findLowering(Operation *op) {
  return llvm::TypeSwitch<Operation *, LoweringFunction>(op)
      .Case<nn::MatMulOp, nn::GemmOp>([](auto) { return lowerContraction; })
      .Case<nn::ConvOp, nn::ConvTransposeOp>([](auto) { return lowerConv; })
      .Case<nn::MaxPoolOp, nn::AveragePoolOp, nn::GlobalAveragePoolOp, nn::GlobalMaxPoolOp,
            nn::MaxPoolWithIndicesOp>([](auto) { return lowerPool; })
      .Case<nn::ReduceOp, nn::SoftmaxOp, nn::LogSoftmaxOp, nn::ArgMaxOp, nn::ArgMinOp>(
          [](auto) { return lowerReduction; })
      .Case<nn::BatchNormOp, nn::InstanceNormOp, nn::LrnOp>([](auto) { return lowerNormalization; })
      .Case<nn::ConcatOp, nn::SplitOp, nn::SliceOp, nn::ReshapeOp, nn::FlattenOp, nn::TransposeOp,
            nn::SqueezeOp, nn::UnsqueezeOp, nn::ExpandOp, nn::TileOp, nn::PadOp, nn::GatherOp,
            nn::PackOp, nn::UnpackOp>([](auto) { return lowerDataMovement; })
      .Default([](Operation *) -> LoweringFunction { return nullptr; });
}

/// Whether `op` is computed element by element: a group without a root, or one op.
static bool isMap(Operation *op) {
  return !nn::groupRoot(op) &&
         (isa<nn::GroupOp>(op) || nn::fusionKindOf(op) == nn::FusionKind::Elementwise);
}

/// The op that decides which family lowers `op`.
static Operation *decisiveOp(Operation *op) {
  Operation *root = nn::groupRoot(op);
  return root ? root : op;
}

bool native::hasLowering(Operation *op) { return isMap(op) || findLowering(decisiveOp(op)); }

LoweringResult native::lowerOperation(Operation *op, const LoweringContext &context) {
  if (isMap(op))
    return lowerMapGroup(op, context);
  Operation *decisive = decisiveOp(op);
  if (LoweringFunction lower = findLowering(decisive))
    return lower(op, context);
  return LoweringResult::refuse("no native code for " + decisive->getName().getStringRef().str());
}

LoweredStep NativeLowering::copyBytes(const StepBuffer &from, const StepBuffer &to,
                                      int64_t bytes) const {
  return native::copyBytes(from, to, bytes);
}

ResultAxes ResultAxes::ofChannels(int64_t rank, bool blocked) {
  if (rank < 2)
    return {};
  if (blocked)
    return {{}, {1, rank - 1}};
  return {{1}, {}};
}

/// How an operand of shape `sizes` is read by a result of shape `result`;
/// nullopt when it is none of OperandAccess.
static std::optional<OperandAccess> accessOf(ArrayRef<int64_t> sizes, ArrayRef<int64_t> result,
                                             const ResultAxes &axes) {
  if (sizes.size() > result.size())
    return std::nullopt;
  SmallVector<int64_t> aligned(result.size() - sizes.size(), 1);
  aligned.append(sizes.begin(), sizes.end());
  if (llvm::equal(aligned, result))
    return OperandAccess::Full;
  auto variesOnlyAlong = [&](ArrayRef<int64_t> dims) {
    for (size_t d = 0; d < aligned.size(); ++d)
      if (aligned[d] != (llvm::is_contained(dims, d) ? result[d] : 1))
        return false;
    return true;
  };
  if (variesOnlyAlong({}))
    return OperandAccess::Scalar;
  if (variesOnlyAlong(axes.columns))
    return OperandAccess::PerColumn;
  if (variesOnlyAlong(axes.rows))
    return OperandAccess::PerRow;
  return std::nullopt;
}

std::optional<Epilogue> native::buildEpilogue(Operation *group, const LoweringContext &context,
                                              const ResultAxes &axes, std::string &reason) {
  Operation *root = nn::groupRoot(group);
  if (!root || group->getNumResults() != 1 || root->getNumResults() != 1) {
    reason = "an epilogue needs a group with one root and one result";
    return std::nullopt;
  }
  for (Value operand : root->getOperands())
    if (Operation *producer = operand.getDefiningOp();
        producer && producer->getParentOp() == group && producer->getNumOperands() > 0) {
      reason = "an operand of the root is computed inside the group";
      return std::nullopt;
    }
  if (context.sizesOf(group->getResult(0)) != context.sizesOf(root->getResult(0))) {
    reason = "the epilogue changes the shape of the root's result";
    return std::nullopt;
  }
  std::optional<GroupProgram> program = buildGroupProgram(group, root, reason);
  if (!program)
    return std::nullopt;
  Epilogue epilogue{std::move(program->program), {}};
  for (Value input : llvm::drop_begin(program->inputs)) {
    auto access = accessOf(context.sizesOf(input), context.sizesOf(group->getResult(0)), axes);
    if (!access) {
      reason = "an operand of the epilogue is broadcast in a way without native code";
      return std::nullopt;
    }
    epilogue.operands.push_back({input, *access});
  }
  return epilogue;
}
