//===- CostReductions.cpp - operations of reductions ----------------------===//
//
// What is done once for a row, a channel or a plane is not counted: only what is done for each
// element.
//
//===----------------------------------------------------------------------===//
#include "backends/plan/CostFacts.h"
#include "ir/Types.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// One to combine an element with others, and what makes it ready for that.
static double operationsPerElement(ReduceKind kind) {
  switch (kind) {
  case ReduceKind::Sum:
  case ReduceKind::Mean:
  case ReduceKind::Max:
  case ReduceKind::Min:
  case ReduceKind::Prod:
  case ReduceKind::LogSum:
    return 1;
  case ReduceKind::L1:
  case ReduceKind::L2:
  case ReduceKind::SumSquare:
    return 2;
  case ReduceKind::LogSumExp:
    return 4; // the largest, which is subtracted, the exponential, the sum
  }
  return 0;
}

static double flopsOf(nn::ReduceOp op, const CostFacts &facts) {
  return operationsPerElement(op.getKind()) * facts.elementsOf(op.getInput());
}

/// The largest, which is subtracted, the exponential, the sum, the quotient; of the logarithm a
/// difference in its place.
static double flopsOf(nn::SoftmaxOp op, const CostFacts &facts) {
  return 5 * facts.elementsOf(op.getInput());
}

static double flopsOf(nn::ArgReduceOp op, const CostFacts &facts) {
  return facts.elementsOf(op.getInput());
}

static double flopsOf(nn::CumulateOp op, const CostFacts &facts) {
  return facts.elementsOf(op.getInput());
}

/// A comparison for each element, and those that order the k largest.
static double flopsOf(nn::TopKOp op, const CostFacts &facts) {
  double k = std::max(facts.sizeOf(op.getValues(), op.getAxis()), 1.0);
  return facts.elementsOf(op.getInput()) + facts.elementsOf(op.getValues()) * std::log2(k);
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

/// One for each place of the window, padded ones too.
static double flopsOfWindows(Value result, ArrayRef<int64_t> kernel, const CostFacts &facts) {
  double places = 1;
  for (int64_t size : kernel)
    places *= static_cast<double>(size);
  return places * facts.elementsOf(result);
}

static double flopsOf(nn::MaxPoolOp op, const CostFacts &facts) {
  return flopsOfWindows(op.getResult(), op.getKernel(), facts);
}

static double flopsOf(nn::AveragePoolOp op, const CostFacts &facts) {
  return flopsOfWindows(op.getResult(), op.getKernel(), facts);
}

static double flopsOf(nn::MaxPoolWithIndicesOp op, const CostFacts &facts) {
  return flopsOfWindows(op.getResult(), op.getKernel(), facts);
}

static double flopsOf(nn::GlobalPoolOp op, const CostFacts &facts) {
  return facts.elementsOf(op.getInput());
}

//===----------------------------------------------------------------------===//
// Normalizations
//===----------------------------------------------------------------------===//

/// Less the mean, over the deviation, times the scale, plus the bias.
static double flopsOf(nn::BatchNormOp op, const CostFacts &facts) {
  return 4 * facts.elementsOf(op.getInput());
}

/// The sum; the difference, its square and their sum; over the deviation; scale and bias.
static double flopsOf(nn::InstanceNormOp op, const CostFacts &facts) {
  return 7 * facts.elementsOf(op.getInput());
}

/// As the above, without what is left out: sum and difference where nothing is centred.
static double flopsOf(nn::LayerNormOp op, const CostFacts &facts) {
  double perElement = 3 + (op.getCenter() ? 2 : 0) + (nn::isNone(op.getScale()) ? 0 : 1) +
                      (nn::isNone(op.getBias()) ? 0 : 1);
  return perElement * facts.elementsOf(op.getInput());
}

/// The square, the sum of the window, times alpha, plus the bias, the power, the quotient.
static double flopsOf(nn::LrnOp op, const CostFacts &facts) {
  return (static_cast<double>(op.getSize()) + 5) * facts.elementsOf(op.getInput());
}

//===----------------------------------------------------------------------===//
// Trees
//===----------------------------------------------------------------------===//

namespace {
/// Trees of the mean size, as if they were balanced.
struct MeanTree {
  double rows, trees, leaves, depth;
  /// Votes of a leaf.
  double votes;

  MeanTree(nn::TreeEnsembleOp op, const CostFacts &facts)
      : rows(facts.sizeOf(op.getInput(), 0)), trees(facts.elementsOf(op.getRoots())),
        leaves(std::max(facts.elementsOf(op.getLeaves()) - 1, 0.0)),
        depth(trees > 0 ? std::log2(std::max(leaves / trees, 1.0)) : 0),
        votes(leaves > 0 ? facts.elementsOf(op.getWeights()) / leaves : 0) {}
};
} // namespace

/// A comparison on each level on the way to a leaf, and a sum for each of its votes.
static double flopsOf(nn::TreeEnsembleOp op, const CostFacts &facts) {
  MeanTree tree(op, facts);
  return tree.rows * tree.trees * (tree.depth + tree.votes);
}

/// A row reads what its ways lead through: few rows do not see all nodes, nor few trees all
/// features.
static void touchPart(nn::TreeEnsembleOp op, const CostFacts &facts, StepCost &cost) {
  MeanTree tree(op, facts);
  auto part = [](double wanted, double all) { return all > 0 ? std::min(wanted / all, 1.0) : 0; };
  double features = part(tree.trees * tree.depth, facts.sizeOf(op.getInput(), 1));
  double nodes = part(tree.rows * tree.trees * tree.depth, facts.elementsOf(op.getTests()));
  double leaves = part(tree.rows * tree.trees, tree.leaves);
  cost.bytesRead = features * facts.bytesOf(op.getInput()) + facts.bytesOf(op.getRoots());
  for (Value table : {op.getNodes(), op.getTests(), op.getThresholds()})
    cost.bytesRead += nodes * facts.bytesOf(table);
  for (Value table : {op.getLeaves(), op.getTargets(), op.getWeights()})
    cost.bytesRead += leaves * facts.bytesOf(table);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const CostRow> plan::reductionCosts() {
  static const CostRow rows[] = {
      computes<nn::ReduceOp, flopsOf>(),
      computes<nn::SoftmaxOp, flopsOf>(),
      computes<nn::ArgReduceOp, flopsOf>(),
      computes<nn::CumulateOp, flopsOf>(),
      computes<nn::TopKOp, flopsOf>(),
      computes<nn::MaxPoolOp, flopsOf>(),
      computes<nn::AveragePoolOp, flopsOf>(),
      computes<nn::MaxPoolWithIndicesOp, flopsOf>(),
      computes<nn::GlobalPoolOp, flopsOf>(),
      computes<nn::BatchNormOp, flopsOf>(),
      computes<nn::InstanceNormOp, flopsOf>(),
      computes<nn::LayerNormOp, flopsOf>(),
      computes<nn::LrnOp, flopsOf>(),
      computesPart<nn::TreeEnsembleOp, flopsOf, touchPart>(),
  };
  return rows;
}
