//===- CostProducts.cpp - operations of products --------------------------===//
//
// A multiply-add is two. What is put around the products counts by element, as elementwise ops do.
//
//===----------------------------------------------------------------------===//
#include "backends/plan/CostFacts.h"
#include "ir/Types.h"
#include "runtime/reference/AttentionShape.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

static double product(ArrayRef<int64_t> sizes) {
  double all = 1;
  for (int64_t size : sizes)
    all *= static_cast<double>(size);
  return all;
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

static double flopsOf(nn::MatMulOp op, const CostFacts &facts) {
  return 2 * facts.sizeOf(op.getA(), -1) * facts.elementsOf(op.getResult());
}

/// What is subtracted beside.
static double flopsOf(nn::MatMulIntegerOp op, const CostFacts &facts) {
  double zeros = (nn::isNone(op.getAZero()) ? 0 : facts.elementsOf(op.getA())) +
                 (nn::isNone(op.getBZero()) ? 0 : facts.elementsOf(op.getB()));
  return 2 * facts.sizeOf(op.getA(), -1) * facts.elementsOf(op.getResult()) + zeros;
}

static double flopsOf(nn::BlockMatMulOp op, const CostFacts &facts) {
  return 2 * facts.sizeOf(op.getA(), -1) * facts.elementsOf(op.getResult());
}

static double flopsOf(nn::GemmOp op, const CostFacts &facts) {
  bool hasC = !nn::isNone(op.getC());
  double perElement = 2 * facts.sizeOf(op.getA(), op.getTransA() ? 0 : 1);
  perElement += op.getAlpha().convertToDouble() != 1 ? 1 : 0;
  perElement += hasC ? 1 : 0;
  perElement += hasC && op.getBeta().convertToDouble() != 1 ? 1 : 0;
  return perElement * facts.elementsOf(op.getResult());
}

/// Two thirds of n cubed for each matrix, as elimination needs.
static double flopsOf(nn::DetOp op, const CostFacts &facts) {
  return 2.0 / 3 * facts.sizeOf(op.getInput(), -1) * facts.elementsOf(op.getInput());
}

/// 5 n log2 n for each signal of n complex numbers: what fast transforms are rated by.
static double flopsOf(nn::DftOp op, const CostFacts &facts) {
  std::optional<std::vector<int64_t>> axis = facts.values().integersOf(op.getAxis());
  auto rank = static_cast<int64_t>(facts.sizesOf(op.getResult()).size());
  if (!axis || axis->size() != 1 || axis->front() < -rank || axis->front() >= rank)
    return 0;
  double length = std::max(facts.sizeOf(op.getResult(), axis->front()), 1.0);
  return 5 * facts.elementsOf(op.getResult()) / 2 * std::log2(length);
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

/// A padded place counts as any other. Channels are those of the weights: blocks may have more.
template <typename Op> static double flopsOfConv(Op op, const CostFacts &facts) {
  ArrayRef<int64_t> weights = facts.sizesOf(op.getWeights()),
                    result = facts.sizesOf(op.getResult());
  ArrayRef<int64_t> pixels = result.drop_front(2);
  if (nn::layoutOf(op.getResult()).isBlocked())
    pixels = pixels.drop_back();
  double elements =
      static_cast<double>(result[0]) * static_cast<double>(weights[0]) * product(pixels);
  double bias = nn::isNone(op.getBias()) ? 0 : 1;
  return elements * (2 * product(weights.drop_front(1)) + bias);
}

static double flopsOf(nn::ConvOp op, const CostFacts &facts) { return flopsOfConv(op, facts); }

/// What is subtracted beside.
static double flopsOf(nn::ConvIntegerOp op, const CostFacts &facts) {
  double zeros = (nn::isNone(op.getInputZero()) ? 0 : facts.elementsOf(op.getInput())) +
                 (nn::isNone(op.getWeightsZero()) ? 0 : facts.elementsOf(op.getWeights()));
  return flopsOfConv(op, facts) + zeros;
}

/// Each element of the input meets all weights of its channel; blocks may have more channels.
static double flopsOf(nn::ConvTransposeOp op, const CostFacts &facts) {
  ArrayRef<int64_t> input = facts.sizesOf(op.getInput()), weights = facts.sizesOf(op.getWeights());
  ArrayRef<int64_t> pixels = input.drop_front(2);
  if (nn::layoutOf(op.getInput()).isBlocked())
    pixels = pixels.drop_back();
  double bias = nn::isNone(op.getBias()) ? 0 : facts.elementsOf(op.getResult());
  return 2 * static_cast<double>(input[0]) * product(pixels) * product(weights) + bias;
}

//===----------------------------------------------------------------------===//
// Attention and recurrent networks
//===----------------------------------------------------------------------===//

/// The keys that the queries see, together: with `causal` those up to the query's own place.
static double visibleKeys(nn::AttentionOp op, const AttentionShape &shape, const CostFacts &facts) {
  auto queries = static_cast<double>(shape.queries), keys = static_cast<double>(shape.keys);
  double offset = 0;
  if (!nn::isNone(op.getOffset())) {
    std::optional<std::vector<int64_t>> known = facts.values().integersOf(op.getOffset());
    offset = known && known->size() == 1 ? static_cast<double>(known->front()) : keys;
  }
  if (!op.getCausal())
    return queries * keys;
  // Query i sees i + offset + 1 keys, but none below 0 and no more than there are.
  double first = std::clamp(-offset - 1, 0.0, queries);
  double rising = std::clamp(keys - offset - 1, first, queries);
  return (rising - first) * (first + rising + 1 + 2 * offset) / 2 + (queries - rising) * keys;
}

/// Products of queries with keys and of scores with values; five operations for the softmax of a
/// score, one for each of scale, mask and condition, three for the cap.
static double flopsOf(nn::AttentionOp op, const CostFacts &facts) {
  auto sizesOf = [&](Value operand) {
    return nn::isNone(operand) ? ArrayRef<int64_t>() : facts.sizesOf(operand);
  };
  Expected<AttentionShape> shape =
      attentionShape({sizesOf(op.getQuery()), sizesOf(op.getKey()), sizesOf(op.getValue()),
                      sizesOf(op.getMask()), sizesOf(op.getCondition()), op.getQueryPerm(),
                      op.getKeyPerm(), op.getValuePerm(), op.getResultPerm()});
  if (!shape)
    return 0;
  bool isScaled = !nn::isNone(op.getScale()) || op.getScaleFactor().convertToDouble() != 1;
  double perScore = 2 * (static_cast<double>(shape->size) + static_cast<double>(shape->valueSize));
  perScore += 5 + (isScaled ? 1 : 0) + (op.getSoftcap().convertToDouble() != 0 ? 3 : 0) +
              (nn::isNone(op.getMask()) ? 0 : 1) + (nn::isNone(op.getCondition()) ? 0 : 1);
  return static_cast<double>(shape->batch) * static_cast<double>(shape->heads) *
         visibleKeys(op, *shape, facts) * perScore;
}

/// For each hidden unit at each time: the product of its gates, a sum and an activation of each,
/// and what makes the state of the gates. All sequences count as long as the longest.
static double flopsOf(nn::RecurrentOp op, const CostFacts &facts) {
  auto gates = static_cast<double>(gatesOf(op.cellKind()));
  double state = op.cellKind() == CellKind::Rnn ? 0 : 5;
  double hidden = facts.sizeOf(op.getRecurrence(), -1);
  return facts.elementsOf(op.getY()) * (gates * (2 * hidden + 2) + state);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const CostRow> plan::productCosts() {
  static const CostRow rows[] = {
      computes<nn::BlockMatMulOp, flopsOf>(),   computes<nn::MatMulOp, flopsOf>(),
      computes<nn::GemmOp, flopsOf>(),          computes<nn::DetOp, flopsOf>(),
      computes<nn::DftOp, flopsOf>(),           computes<nn::MatMulIntegerOp, flopsOf>(),
      computes<nn::ConvIntegerOp, flopsOf>(),   computes<nn::ConvOp, flopsOf>(),
      computes<nn::ConvTransposeOp, flopsOf>(), computes<nn::AttentionOp, flopsOf>(),
      computes<nn::RecurrentOp, flopsOf>(),
  };
  return rows;
}
