//===- ImportLoss.cpp - losses of classifiers -----------------------------===//
//
// The loss of a sample is the negative score of its class, times the weight of that
// class. Scores are [samples, classes, places...], classes [samples, places...].
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/GatherOps.h"

#include <fmt/format.h>

#include <limits>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// Checks what shapes tell of scores, classes and weights.
static void requireLossShapes(NodeReader &node) {
  requireFloats(node, 0);
  if (DType dtype = node.inputDType(1); dtype != DType::Int32 && dtype != DType::Int64)
    node.invalid(fmt::format("input 1 must hold int32 or int64, found {}", dtypeName(dtype)));
  std::optional<nn::Shape> scores = node.inputShape(0), classes = node.inputShape(1),
                           weights = node.inputShape(2);
  if (!scores)
    return;
  if (scores->rank() < 2)
    return node.invalid(fmt::format("input 0 must have rank 2 or more, found {}", scores->rank()));
  if (weights && (weights->rank() != 1 || !(*weights)[0].compatibleWith((*scores)[1])))
    node.invalid(fmt::format("input 2 must have one weight for each of {} classes, found {}",
                             (*scores)[1].str(), weights->str()));
  bool fits = !classes || classes->rank() == scores->rank() - 1;
  for (int64_t d = 0; classes && fits && d < classes->rank(); ++d)
    fits = (*classes)[d].compatibleWith((*scores)[d == 0 ? 0 : d + 1]);
  if (!fits)
    node.invalid(fmt::format("the shape of input 1, {}, must be that of input 0, {}, without "
                             "dimension 1",
                             classes->str(), scores->str()));
}

namespace {
/// The classes of the samples.
struct Classes {
  /// As int64, 0 where a sample is ignored.
  Value indices;
  /// Whether a sample counts; null when all do.
  Value isCounted;
};
} // namespace

static Classes readClasses(NodeReader &node) {
  Classes classes{convert(node, node.input(1), DType::Int64), Value()};
  Value zero = node.scalarConstant(0, DType::Int64);
  if (node.hasAttribute("ignore_index")) {
    Value ignored = node.constant(Tensor::of<int64_t>({}, {node.getInt("ignore_index")}));
    Value isIgnored = node.create<nn::EqualOp>(classes.indices, ignored);
    classes.isCounted = node.create<nn::NotOp>(isIgnored);
    classes.indices = node.create<nn::WhereOp>(isIgnored, zero, classes.indices);
  }
  // Gathers would count negative ones from the end.
  constexpr int64_t kNoClass = std::numeric_limits<int64_t>::max();
  Value isNegative = node.create<nn::LessOp>(classes.indices, zero);
  classes.indices = node.create<nn::WhereOp>(
      isNegative, node.constant(Tensor::of<int64_t>({}, {kNoClass})), classes.indices);
  return classes;
}

/// The score of each sample's class.
static Value scoresOfClasses(NodeReader &node, Value scores, Value classes) {
  mlir::Builder &builder = node.builder();
  Value samples =
      node.create<nn::ShapeOp>(scores, builder.getI64IntegerAttr(0), builder.getI64IntegerAttr(1));
  Value places =
      node.create<nn::ShapeOp>(scores, builder.getI64IntegerAttr(2), mlir::IntegerAttr());
  Value shape =
      node.create<nn::ConcatOp>(mlir::ValueRange{samples, node.intsConstant({1}), places}, 0);
  Value indices = node.create<nn::ReshapeOp>(classes, shape, /*allowzero=*/true);
  return reshapeLike(node, node.create<nn::GatherElementsOp>(scores, indices, /*axis=*/1), classes);
}

static Value reduceAll(NodeReader &node, Value values, ReduceKind kind) {
  return node.create<nn::ReduceOp>(values, node.none(), kind, /*keepdims=*/false,
                                   /*noop_with_empty_axes=*/false);
}

/// Result 0, from logarithms of probabilities. A mean is weighted as its terms are.
static void setLoss(NodeReader &node, Value logarithms) {
  std::string reduction = node.getString("reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean")
    return node.invalid("attribute 'reduction': expected none, sum or mean, found '" + reduction +
                        "'");
  Classes classes = readClasses(node);
  Value zero = constantLike(node, 0, logarithms), weights;
  Value loss = node.create<nn::NegOp>(scoresOfClasses(node, logarithms, classes.indices));
  if (node.hasInput(2)) {
    Value ofClasses = convert(node, node.input(2), dtypeOf(logarithms));
    weights = node.create<nn::GatherOp>(ofClasses, classes.indices, /*axis=*/0);
    loss = node.create<nn::MulOp>(loss, weights);
    if (classes.isCounted)
      weights = node.create<nn::WhereOp>(classes.isCounted, weights, zero);
  } else if (classes.isCounted) {
    weights = node.createCast(classes.isCounted, dtypeOf(logarithms));
  }
  if (classes.isCounted)
    loss = node.create<nn::WhereOp>(classes.isCounted, loss, zero);
  if (reduction == "mean" && !weights)
    loss = reduceAll(node, loss, ReduceKind::Mean);
  else if (reduction != "none")
    loss = reduceAll(node, loss, ReduceKind::Sum);
  if (reduction == "mean" && weights)
    loss = node.create<nn::DivOp>(loss, reduceAll(node, weights, ReduceKind::Sum));
  node.setOutput(0, convert(node, loss, node.inputDType(0)));
}

static void importNegativeLogLikelihoodLoss(NodeReader &node) {
  requireLossShapes(node);
  if (!node.failed())
    setLoss(node, widen(node, node.input(0)));
}

static void importSoftmaxCrossEntropyLoss(NodeReader &node) {
  requireLossShapes(node);
  if (node.failed())
    return;
  Value logarithms =
      node.create<nn::SoftmaxOp>(widen(node, node.input(0)), /*axis=*/1, /*trailing=*/false,
                                 /*logarithm=*/true);
  setLoss(node, logarithms);
  node.setOutput(1, convert(node, logarithms, node.inputDType(0)));
}

std::span<const OpsetRow> quern::onnx::lossImports() {
  static constexpr OpsetRow rows[] = {
      {"NegativeLogLikelihoodLoss", 12, kNewestOpset, 2, 3, 1, importNegativeLogLikelihoodLoss},
      {"SoftmaxCrossEntropyLoss", 12, kNewestOpset, 2, 3, 2, importSoftmaxCrossEntropyLoss},
  };
  return rows;
}
