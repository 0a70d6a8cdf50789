//===- Lowering.cpp - from ops and fusion groups to plan steps ------------===//
#include "backends/native/lowering/Lowering.h"

#include "backends/native/cost/StepTimes.h"
#include "backends/native/kernels/MapKernel.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/lowering/GroupProgram.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "runtime/values/Strides.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Whether `op` is computed element by element: a group without an anchor, or one op.
static bool isMap(Operation *op) {
  return !nn::groupAnchor(op) &&
         (isa<nn::GroupOp>(op) || nn::fusionKindOf(op) == nn::FusionKind::Elementwise);
}

/// The op that decides which family lowers `op`.
static Operation *decisiveOp(Operation *op) {
  Operation *anchor = nn::groupAnchor(op);
  return anchor ? anchor : op;
}

std::optional<int64_t> LoweringContext::fixedSize(Value value, int64_t dim) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.isDynamicDim(static_cast<unsigned>(dim)))
    return std::nullopt;
  return type.getDimSize(static_cast<unsigned>(dim));
}

bool native::hasLowering(Operation *op) {
  if (isMap(op))
    return true;
  const LoweringRow *row = findLowering(decisiveOp(op));
  return row && !row->ways.empty();
}

LoweringResult native::lowerOperation(Operation *op, const LoweringContext &context) {
  if (isMap(op))
    return lowerMapGroup(op, context);
  Operation *decisive = decisiveOp(op);
  const LoweringRow *row = findLowering(decisive);
  if (!row)
    return Reason{ReasonCode::NoKernel,
                  "no native code for " + decisive->getName().getStringRef().str()};
  if (row->ways.empty())
    return *row->reason;
  WayChoice choice = chooseWay(row->ways, decisive, context);
  LoweringResult result =
      choice.way ? choice.way->lower(decisive, context) : LoweringResult(*choice.reason);
  if (result && row->ways.size() > 1)
    for (LoweredStep &step : *result)
      step.way = choice.way->name;
  // It is about the anchor where it names no other op.
  if (!result && !result.reason().at && decisive != op)
    return Misfit(result.reason(), decisive);
  return result;
}

LoweredStep NativeLowering::copyBytes(const StepBuffer &from, const StepBuffer &to,
                                      int64_t bytes) const {
  return native::copyBytes(from, to, bytes);
}

plan::StepEstimate NativeLowering::estimate(const LoweredStep &step,
                                            const StepCost &problem) const {
  return estimateStep(step, problem, target);
}

double NativeLowering::nanosecondsToMove(double bytes, double distance) const {
  return native::nanosecondsToMove(bytes, distance, ratesOf(target));
}

ResultAxes ResultAxes::ofChannels(int64_t rank, bool blocked) {
  if (rank < 2)
    return {};
  if (blocked)
    return {{}, {1, rank - 1}};
  return {{1}, {}};
}

std::optional<OperandAccess> native::accessOf(Value operand, Value result, const ResultAxes &axes,
                                              const LoweringContext &context) {
  ArrayRef<int64_t> sizes = context.sizesOf(operand), wanted = context.sizesOf(result);
  if (sizes.size() > wanted.size())
    return std::nullopt;
  auto missing = static_cast<int64_t>(wanted.size() - sizes.size());
  auto varies = [&](int64_t d) { return d >= missing && sizes[d - missing] == wanted[d]; };
  // A dimension that is always 1 is broadcast, although the result's may be 1, too.
  auto isBroadcast = [&](int64_t d) {
    return d < missing || (sizes[d - missing] == 1 && context.fixedSize(operand, d - missing) == 1);
  };
  auto variesOnlyAlong = [&](ArrayRef<int64_t> dims) {
    for (int64_t d = 0; d < static_cast<int64_t>(wanted.size()); ++d)
      if (llvm::is_contained(dims, d) ? !varies(d) : d >= missing && sizes[d - missing] != 1)
        return false;
    return true;
  };
  bool isFull = true;
  for (int64_t d = 0; d < static_cast<int64_t>(wanted.size()); ++d)
    isFull &= isBroadcast(d) ? context.fixedSize(result, d) == 1 : varies(d);
  if (isFull)
    return OperandAccess::Full;
  if (variesOnlyAlong({}))
    return OperandAccess::Scalar;
  if (variesOnlyAlong(axes.columns))
    return OperandAccess::PerColumn;
  if (variesOnlyAlong(axes.rows))
    return OperandAccess::PerRow;
  if (!axes.rowsOfBatch.empty() && variesOnlyAlong(axes.rowsOfBatch))
    return OperandAccess::PerRowOfBatch;
  if (!axes.columnsOfBatch.empty() && variesOnlyAlong(axes.columnsOfBatch))
    return OperandAccess::PerColumnOfBatch;
  return std::nullopt;
}

Sizes native::broadcastStrides(Value from, Value to, const LoweringContext &context) {
  ArrayRef<int64_t> sizes = context.sizesOf(from), wanted = context.sizesOf(to);
  size_t missing = wanted.size() - sizes.size();
  Sizes strides(missing, 0);
  for (auto [d, stride] : llvm::enumerate(rowMajorStrides<Sizes>(sizes))) {
    // What is 1 by chance is read as if it were not, where the result allows.
    bool isBroadcast = sizes[d] == 1 && (wanted[missing + d] != 1 ||
                                         context.fixedSize(from, static_cast<int64_t>(d)) == 1);
    strides.push_back(isBroadcast ? 0 : stride);
  }
  return strides;
}

void native::addOperands(const Epilogue &epilogue, LoweredStep &step) {
  for (const Epilogue::Operand &operand : epilogue.operands)
    step.buffers.push_back(StepBuffer::of(operand.value));
}

Reason native::noCodeFor(DType dtype) {
  return {ReasonCode::ElementType,
          "no native code for " + std::string(dtypeName(dtype)) + " elements"};
}

/// The first op in the group whose result has not the sizes of the anchor's.
static Operation *firstOfOtherSizes(Operation *group, Operation *anchor,
                                    const LoweringContext &context) {
  ArrayRef<int64_t> wanted = context.sizesOf(anchor->getResult(0));
  for (Operation &inner : llvm::make_range(std::next(Block::iterator(anchor)),
                                           Block::iterator(anchor->getBlock()->getTerminator())))
    if (Value result = inner.getResult(0);
        context.values.hasSizes(result) && context.sizesOf(result) != wanted)
      return &inner;
  return nullptr;
}

/// How the epilogue reads the inputs behind the anchor's result; else the first op in the group
/// that cannot.
static ReasonOr<SmallVector<Epilogue::Operand, 4>, Misfit>
accessOperands(const GroupProgram &program, Operation *group, const LoweringContext &context,
               const ResultAxes &axes) {
  SmallVector<Epilogue::Operand, 4> operands;
  Operation *misfit = nullptr;
  for (auto [i, value] : llvm::drop_begin(llvm::enumerate(program.inputs))) {
    std::optional<OperandAccess> access = program.program.isTable(static_cast<int>(i))
                                              ? OperandAccess::Table
                                              : accessOf(value, group->getResult(0), axes, context);
    if (access) {
      operands.push_back({value, *access});
      continue;
    }
    Operation *reader = firstReader(group, value);
    misfit = misfit && misfit->isBeforeInBlock(reader) ? misfit : reader;
  }
  if (misfit)
    return Misfit({ReasonCode::Broadcast,
                   "an operand of the epilogue is broadcast in a way without native code"},
                  misfit);
  return operands;
}

ReasonOr<Epilogue, Misfit> native::buildEpilogue(Operation *group, const LoweringContext &context,
                                                 const ResultAxes &axes) {
  Operation *anchor = nn::groupAnchor(group);
  if (!anchor || group->getNumResults() != 1 || anchor->getNumResults() != 1)
    return Reason{ReasonCode::SeveralUses,
                  "an epilogue needs a group with one anchor and one result"};
  bool isRow = nn::fusionKindOf(anchor) == nn::FusionKind::Row; // which has a prologue
  for (Value operand : anchor->getOperands().drop_front(isRow ? 1 : 0))
    if (Operation *producer = operand.getDefiningOp();
        producer && producer->getParentOp() == group && producer->getNumOperands() > 0)
      return Reason{ReasonCode::Form, "an operand of the anchor is computed inside the group"};
  if (context.sizesOf(group->getResult(0)) != context.sizesOf(anchor->getResult(0)))
    return Misfit({ReasonCode::Shape, "the epilogue changes the shape of the anchor's result"},
                  firstOfOtherSizes(group, anchor, context));
  ReasonOr<GroupProgram, Misfit> program = buildGroupProgram(group, anchor);
  if (!program)
    return program.reason();
  auto operands = accessOperands(*program, group, context, axes);
  if (!operands)
    return operands.reason();
  // LLVM rounds so in kernels with products.
  if (context.flushesHalves && !anchor->hasTrait<nn::SumsProducts>())
    program->program.allowFlushing();
  return Epilogue{std::move(program->program), operands.take()};
}
