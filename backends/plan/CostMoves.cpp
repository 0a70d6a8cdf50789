//===- CostMoves.cpp - what moves read and write, and samples -------------===//
#include "backends/plan/CostFacts.h"
#include "ir/Types.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

static double flopsOf(nn::CastOp op, const CostFacts &facts) {
  return facts.elementsOf(op.getResult());
}

/// A division, a rounding, a sum and a conversion.
static double flopsOf(nn::QuantizeOp op, const CostFacts &facts) {
  return (nn::isNone(op.getZeroPoint()) ? 3 : 4) * facts.elementsOf(op.getResult());
}

/// A difference, a conversion and a product.
static double flopsOf(nn::DequantizeOp op, const CostFacts &facts) {
  return (nn::isNone(op.getZeroPoint()) ? 2 : 3) * facts.elementsOf(op.getResult());
}

static double flopsOf(nn::ByteLookupOp op, const CostFacts &facts) {
  return facts.elementsOf(op.getResult());
}

/// Times the step, plus the start.
static double flopsOf(nn::RangeOp op, const CostFacts &facts) {
  return 2 * facts.elementsOf(op.getResult());
}

static double flopsOf(nn::RandomOp op, const CostFacts &facts) {
  return facts.elementsOf(op.getResult());
}

/// A comparison, as of a hash table.
static double flopsOf(nn::LookupOp op, const CostFacts &facts) {
  return facts.elementsOf(op.getInput());
}

static double flopsOf(nn::Col2ImOp op, const CostFacts &facts) {
  return facts.elementsOf(op.getInput());
}

//===----------------------------------------------------------------------===//
// Moves of a part
//===----------------------------------------------------------------------===//

/// Of all bytes of `operand` only `part` are read; none twice.
static void readPart(Value operand, double part, const CostFacts &facts, StepCost &cost) {
  double whole = facts.bytesOf(operand);
  cost.bytesRead -= whole - std::min(part, whole);
}

static void touchPart(nn::ShapeOp, const CostFacts &, StepCost &cost) { cost.bytesRead = 0; }

static void touchPart(nn::SliceOp op, const CostFacts &facts, StepCost &cost) {
  readPart(op.getInput(), facts.bytesOf(op.getResult()), facts, cost);
}

/// It may crop.
static void touchPart(nn::PadOp op, const CostFacts &facts, StepCost &cost) {
  readPart(op.getInput(), facts.bytesOf(op.getResult()), facts, cost);
}

static void touchPart(nn::GatherOp op, const CostFacts &facts, StepCost &cost) {
  readPart(op.getInput(), facts.bytesOf(op.getResult()), facts, cost);
}

static void touchPart(nn::GatherElementsOp op, const CostFacts &facts, StepCost &cost) {
  readPart(op.getInput(), facts.bytesOf(op.getResult()), facts, cost);
}

static void touchPart(nn::GatherNDOp op, const CostFacts &facts, StepCost &cost) {
  readPart(op.getInput(), facts.bytesOf(op.getResult()), facts, cost);
}

//===----------------------------------------------------------------------===//
// Scatters
//===----------------------------------------------------------------------===//

template <typename Op> static double flopsOfScatter(Op op, const CostFacts &facts) {
  bool reduces = op.getReduction() != ScatterReduction::None;
  return reduces ? facts.elementsOf(op.getUpdates()) : 0;
}

/// What is changed counts, as of a gather what is read: a result may be made in the operand's
/// memory. To combine them, the elements are read, too.
template <typename Op> static void touchUpdated(Op op, const CostFacts &facts, StepCost &cost) {
  bool reduces = op.getReduction() != ScatterReduction::None;
  double updates = facts.bytesOf(op.getUpdates());
  readPart(op.getInput(), reduces ? updates : 0, facts, cost);
  cost.bytesWritten = std::min(updates, cost.bytesWritten);
}

static double flopsOf(nn::ScatterElementsOp op, const CostFacts &facts) {
  return flopsOfScatter(op, facts);
}

static void touchPart(nn::ScatterElementsOp op, const CostFacts &facts, StepCost &cost) {
  touchUpdated(op, facts, cost);
}

static double flopsOf(nn::ScatterNDOp op, const CostFacts &facts) {
  return flopsOfScatter(op, facts);
}

static void touchPart(nn::ScatterNDOp op, const CostFacts &facts, StepCost &cost) {
  touchUpdated(op, facts, cost);
}

//===----------------------------------------------------------------------===//
// Samples
//===----------------------------------------------------------------------===//

/// Elements along an axis that a sample is made of.
static double tapsOf(ResizeMode mode) {
  return mode == ResizeMode::Nearest ? 1 : mode == ResizeMode::Linear ? 2 : 4;
}

namespace {
/// What an element of a resized tensor is made of.
struct ResizeTaps {
  /// Along all axes that change, one after the other; in all.
  double along = 0, together = 1;

  ResizeTaps(nn::ResizeOp op, const CostFacts &facts) {
    for (auto [from, to] : llvm::zip(facts.sizesOf(op.getInput()), facts.sizesOf(op.getResult()))) {
      if (from == to || to == 0)
        continue;
      double widening = std::max(static_cast<double>(from) / static_cast<double>(to), 1.0);
      bool isWidened = op.getAntialias() && op.getMode() != ResizeMode::Nearest;
      double taps = tapsOf(op.getMode()) * (isWidened ? widening : 1);
      along += taps;
      together *= taps;
    }
  }
};
} // namespace

/// A multiply-add for each element that is interpolated along an axis.
static double flopsOf(nn::ResizeOp op, const CostFacts &facts) {
  if (op.getMode() == ResizeMode::Nearest)
    return 0;
  return 2 * ResizeTaps(op, facts).along * facts.elementsOf(op.getResult());
}

static void touchPart(nn::ResizeOp op, const CostFacts &facts, StepCost &cost) {
  double taps = ResizeTaps(op, facts).together;
  readPart(op.getInput(), taps * facts.bytesOf(op.getResult()), facts, cost);
}

/// Elements that a sample of a grid is made of.
static double tapsOf(nn::GridSampleOp op, const CostFacts &facts) {
  return std::pow(tapsOf(op.getMode()), facts.sizeOf(op.getPoints(), -1));
}

static double flopsOf(nn::GridSampleOp op, const CostFacts &facts) {
  if (op.getMode() == ResizeMode::Nearest)
    return 0;
  return 2 * tapsOf(op, facts) * facts.elementsOf(op.getResult());
}

static void touchPart(nn::GridSampleOp op, const CostFacts &facts, StepCost &cost) {
  readPart(op.getInput(), tapsOf(op, facts) * facts.bytesOf(op.getResult()), facts, cost);
}

/// Samples of a bin; four where the sizes of regions, which only data tells, say how many.
static double samplesOf(nn::RoiPoolOp op) {
  auto ratio = static_cast<double>(op.getWholePixels() ? 0 : op.getSamplingRatio());
  return ratio > 0 ? ratio * ratio : 4;
}

/// A sample is interpolated from four pixels, and combined with the others of its bin.
static double flopsOf(nn::RoiPoolOp op, const CostFacts &facts) {
  double perSample = op.getWholePixels() ? 1 : 9;
  return samplesOf(op) * perSample * facts.elementsOf(op.getResult());
}

static void touchPart(nn::RoiPoolOp op, const CostFacts &facts, StepCost &cost) {
  double pixels = samplesOf(op) * (op.getWholePixels() ? 1 : 4);
  readPart(op.getInput(), pixels * facts.bytesOf(op.getResult()), facts, cost);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const CostRow> plan::moveCosts() {
  static const CostRow rows[] = {
      computes<nn::CastOp, flopsOf>(),
      computes<nn::ByteLookupOp, flopsOf>(),
      computes<nn::QuantizeOp, flopsOf>(),
      computes<nn::DequantizeOp, flopsOf>(),
      computes<nn::RangeOp, flopsOf>(),
      computes<nn::RandomOp, flopsOf>(),
      computes<nn::LookupOp, flopsOf>(),
      computes<nn::Col2ImOp, flopsOf>(),
      computesPart<nn::ScatterElementsOp, flopsOf, touchPart>(),
      computesPart<nn::ScatterNDOp, flopsOf, touchPart>(),
      computesPart<nn::ResizeOp, flopsOf, touchPart>(),
      computesPart<nn::GridSampleOp, flopsOf, touchPart>(),
      computesPart<nn::RoiPoolOp, flopsOf, touchPart>(),
      movesPart<nn::ShapeOp, touchPart>(),
      movesPart<nn::SliceOp, touchPart>(),
      movesPart<nn::PadOp, touchPart>(),
      movesPart<nn::GatherOp, touchPart>(),
      movesPart<nn::GatherElementsOp, touchPart>(),
      movesPart<nn::GatherNDOp, touchPart>(),
      moves<nn::BitCastOp>(),
      moves<nn::ConcatOp>(),
      moves<nn::SplitOp>(),
      moves<nn::ReshapeOp>(),
      moves<nn::FlattenOp>(),
      moves<nn::TransposeOp>(),
      moves<nn::SqueezeOp>(),
      moves<nn::UnsqueezeOp>(),
      moves<nn::ExpandOp>(),
      moves<nn::TileOp>(),
      moves<nn::PackOp>(),
      moves<nn::UnpackOp>(),
      moves<nn::GatherChannelsOp>(),
      moves<nn::ZipMapOp>(),
      moves<nn::MapEntriesOp>(),
      moves<nn::SequenceOp>(),
      moves<nn::SequenceSpliceOp>(),
      moves<nn::SequenceAtOp>(),
      moves<nn::SequenceLengthOp>(),
      moves<nn::SequenceConcatOp>(),
      moves<nn::SequenceSplitOp>(),
      moves<nn::OptionalOp>(),
      moves<nn::OptionalHasOp>(),
      moves<nn::OptionalGetOp>(),
      // What is found, how long strings are, when an iteration ends
      dependsOnData<nn::NonZeroOp>(),
      dependsOnData<nn::NonMaxSuppressionOp>(),
      dependsOnData<nn::SoftSuppressionOp>(),
      dependsOnData<nn::UniqueOp>(),
      dependsOnData<nn::CouplePairsOp>(),
      dependsOnData<nn::ImageDecodeOp>(),
      dependsOnData<nn::StringConcatOp>(),
      dependsOnData<nn::StringNormalizeOp>(),
      dependsOnData<nn::StringSplitOp>(),
      dependsOnData<nn::RegexMatchOp>(),
      dependsOnData<nn::TfIdfOp>(),
  };
  return rows;
}
