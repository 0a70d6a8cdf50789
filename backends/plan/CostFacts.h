//===- CostFacts.h - what rules of costs may ask, and the rules -----------===//
#pragma once

#include "backends/plan/CostRules.h"
#include "ir/NNOps.h"

namespace quern::plan {

/// The sizes of the values of an op, or of the ops in a group. Numbers are doubles, which do not
/// overflow.
class CostFacts {
public:
  /// `op` is an op of the graph: a group stands for the ops in it.
  CostFacts(mlir::Operation *op, const ShapeEnvironment &values) : op(op), env(values) {}

  llvm::ArrayRef<int64_t> sizesOf(mlir::Value value) const;
  /// Of the dimension `dim`, counted from the end when it is negative.
  double sizeOf(mlir::Value value, int64_t dim) const;
  /// 0 of what is left out, of what is no tensor, and of unknown sizes.
  double elementsOf(mlir::Value value) const;
  /// The same for strings, whose lengths nobody knows.
  double bytesOf(mlir::Value value) const;
  /// Whether the sizes of all tensors are known, those of values in the group among them.
  bool areSizesKnown() const;
  /// The bytes of all operands and results, each value once.
  StepCost wholeValues() const;
  const ShapeEnvironment &values() const { return env; }

private:
  mlir::Value outside(mlir::Value value) const;

  mlir::Operation *op;
  const ShapeEnvironment &env;
};

// The operations of an op, all sizes of which are known.

// CostProducts.cpp
double flopsOf(nn::MatMulOp op, const CostFacts &facts);
double flopsOf(nn::GemmOp op, const CostFacts &facts);
double flopsOf(nn::ConvOp op, const CostFacts &facts);
double flopsOf(nn::ConvTransposeOp op, const CostFacts &facts);
double flopsOf(nn::AttentionOp op, const CostFacts &facts);
double flopsOf(nn::RecurrentOp op, const CostFacts &facts);
double flopsOf(nn::DftOp op, const CostFacts &facts);
double flopsOf(nn::DetOp op, const CostFacts &facts);
// CostReductions.cpp
double flopsOf(nn::ReduceOp op, const CostFacts &facts);
double flopsOf(nn::SoftmaxOp op, const CostFacts &facts);
double flopsOf(nn::ArgReduceOp op, const CostFacts &facts);
double flopsOf(nn::CumulateOp op, const CostFacts &facts);
double flopsOf(nn::TopKOp op, const CostFacts &facts);
double flopsOf(nn::MaxPoolOp op, const CostFacts &facts);
double flopsOf(nn::AveragePoolOp op, const CostFacts &facts);
double flopsOf(nn::GlobalPoolOp op, const CostFacts &facts);
double flopsOf(nn::MaxPoolWithIndicesOp op, const CostFacts &facts);
double flopsOf(nn::BatchNormOp op, const CostFacts &facts);
double flopsOf(nn::InstanceNormOp op, const CostFacts &facts);
double flopsOf(nn::LayerNormOp op, const CostFacts &facts);
double flopsOf(nn::LrnOp op, const CostFacts &facts);
double flopsOf(nn::TreeEnsembleOp op, const CostFacts &facts);
// CostMoves.cpp
double flopsOf(nn::CastOp op, const CostFacts &facts);
double flopsOf(nn::RangeOp op, const CostFacts &facts);
double flopsOf(nn::RandomOp op, const CostFacts &facts);
double flopsOf(nn::LookupOp op, const CostFacts &facts);
double flopsOf(nn::ScatterElementsOp op, const CostFacts &facts);
double flopsOf(nn::ScatterNDOp op, const CostFacts &facts);
double flopsOf(nn::ResizeOp op, const CostFacts &facts);
double flopsOf(nn::GridSampleOp op, const CostFacts &facts);
double flopsOf(nn::RoiPoolOp op, const CostFacts &facts);
double flopsOf(nn::Col2ImOp op, const CostFacts &facts);

// The bytes of an op that touches only a part of some values: `cost` has those of all.

// CostReductions.cpp
void touchPart(nn::TreeEnsembleOp op, const CostFacts &facts, StepCost &cost);
// CostMoves.cpp
void touchPart(nn::ShapeOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::SliceOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::PadOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::GatherOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::GatherElementsOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::GatherNDOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::ScatterElementsOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::ScatterNDOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::ResizeOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::GridSampleOp op, const CostFacts &facts, StepCost &cost);
void touchPart(nn::RoiPoolOp op, const CostFacts &facts, StepCost &cost);

} // namespace quern::plan
