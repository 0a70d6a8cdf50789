//===- ImportNormalization.cpp - normalizations ---------------------------===//
//
// Those over the last dimensions are nn.layer_norm; scale and bias, which may have any
// shape that broadcasts, are ops of their own, which RaiseLayerNorm puts into it.
// Their statistics are computed from rows: the dimensions before the axis together,
// and those from it on.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using llvm::APFloat;
using mlir::Value;

namespace {
/// What the batch itself says about each channel.
struct BatchStatistics {
  Value mean, variance;
};
} // namespace

static BatchStatistics batchStatistics(NodeReader &node, Value x) {
  // [N, C, all else], whatever the rank.
  Value rows = node.create<nn::ReshapeOp>(x, node.intsConstant({0, 0, -1}), /*allowzero=*/false);
  auto mean = [&](Value of, bool keepDims) -> Value {
    return node.create<nn::ReduceOp>(of, node.intsConstant({0, 2}), ReduceKind::Mean, keepDims,
                                     /*noop_with_empty_axes=*/false);
  };
  Value distance = node.create<nn::SubOp>(rows, mean(rows, /*keepDims=*/true));
  return {mean(rows, false), mean(node.create<nn::MulOp>(distance, distance), false)};
}

/// `momentum` times a running statistic plus the rest of the batch's.
static Value runningStatistic(NodeReader &node, Value before, Value ofBatch, double momentum) {
  before = convert(node, before, dtypeOf(ofBatch));
  Value kept = node.create<nn::MulOp>(before, constantLike(node, momentum, ofBatch));
  Value added = node.create<nn::MulOp>(ofBatch, constantLike(node, 1 - momentum, ofBatch));
  return node.create<nn::AddOp>(kept, added);
}

namespace {
/// The operands of BatchNormalization on their way.
struct BatchNorm {
  NodeReader &node;
  double epsilon, momentum;
  /// Until opset 8 features can each have statistics of their own instead of channels: all
  /// operands but x have its shape without the batch then. They are channels of a matrix here.
  bool ofFeatures;

  Value x() const {
    return ofFeatures ? node.create<nn::FlattenOp>(node.input(0), /*axis=*/1) : node.input(0);
  }
  Value vectorOf(int input) const {
    return ofFeatures ? node.create<nn::ReshapeOp>(node.input(input), node.intsConstant({-1}),
                                                   /*allowzero=*/false)
                      : node.input(input);
  }
  /// `value` as a result of the node, with the shape and the type of input `like`.
  void setOutput(int output, Value value, int like) const {
    value = convert(node, value, node.inputDType(like));
    node.setOutput(output, ofFeatures ? reshapeLike(node, value, node.input(like)) : value);
  }
  void normalize() const;
  void train() const;
};
} // namespace

void BatchNorm::normalize() const {
  Value y = node.create<nn::BatchNormOp>(x(), vectorOf(1), vectorOf(2), vectorOf(3), vectorOf(4),
                                         APFloat(epsilon));
  setOutput(0, y, 0);
}

/// Normalizes by the statistics of the batch. Before opset 14 these were results as well.
void BatchNorm::train() const {
  for (int i = 0; i < 5; ++i)
    requireFloats(node, i);
  if (node.failed())
    return;
  Value wide = widen(node, x());
  DType dtype = dtypeOf(wide);
  BatchStatistics batch = batchStatistics(node, wide);
  Value y = node.create<nn::BatchNormOp>(wide, convert(node, vectorOf(1), dtype),
                                         convert(node, vectorOf(2), dtype), batch.mean,
                                         batch.variance, APFloat(epsilon));
  setOutput(0, y, 0);
  auto setStatistic = [&](int output, Value value) {
    if (node.hasOutput(output))
      setOutput(output, value, 3);
  };
  setStatistic(1, runningStatistic(node, vectorOf(3), batch.mean, momentum));
  setStatistic(2, runningStatistic(node, vectorOf(4), batch.variance, momentum));
  setStatistic(3, batch.mean);
  setStatistic(4, batch.variance);
}

static void importBatchNormalization(NodeReader &node) {
  double epsilon = node.getFloat("epsilon", 1e-5);
  double momentum = node.getFloat("momentum", 0.9);
  bool ofFeatures = node.opset() < 9 && !node.getBool("spatial", true);
  BatchNorm norm{node, epsilon, momentum, ofFeatures};
  bool hasStatistics = false;
  for (int i = 1; i < node.outputCount(); ++i)
    hasStatistics |= node.hasOutput(i);
  bool training = node.opset() >= 14 ? node.getBool("training_mode", false)
                  : node.opset() < 7 ? !node.getBool("is_test", false)
                                     : hasStatistics;
  if (hasStatistics && !training)
    return node.invalid("running statistics are results of training_mode only");
  training ? norm.train() : norm.normalize();
}

static void importInstanceNormalization(NodeReader &node) {
  double epsilon = node.getFloat("epsilon", 1e-5);
  node.setOutput(0, node.create<nn::InstanceNormOp>(node.input(0), node.input(1), node.input(2),
                                                    APFloat(epsilon)));
}

static void importLrn(NodeReader &node) {
  double alpha = node.getFloat("alpha", 1e-4), beta = node.getFloat("beta", 0.75);
  double bias = node.getFloat("bias", 1);
  int64_t size = node.getInt("size");
  node.setOutput(
      0, node.create<nn::LrnOp>(node.input(0), APFloat(alpha), APFloat(beta), APFloat(bias), size));
}

//===----------------------------------------------------------------------===//
// Over rows: LayerNormalization and its relatives
//===----------------------------------------------------------------------===//

namespace {
/// What is normalized, in float32 or float64.
struct RowNorm {
  Value x;
  int64_t axis;
  double epsilon;
};
} // namespace

/// x as [rows, length].
static Value rowsOf(NodeReader &node, const RowNorm &norm) {
  return node.create<nn::FlattenOp>(norm.x, norm.axis);
}

static Value reduceRows(NodeReader &node, Value rows, ReduceKind kind) {
  return node.create<nn::ReduceOp>(rows, node.intsConstant({1}), kind, /*keepdims=*/true,
                                   /*noop_with_empty_axes=*/false);
}

/// 1 / sqrt(mean of squares + epsilon) of each row.
static Value inverseRootMeanSquare(NodeReader &node, Value rows, double epsilon) {
  std::optional<nn::Shape> shape = nn::shapeOf(rows.getType());
  Value mean;
  if (shape && (*shape)[1].isStatic()) {
    // No tensor of squares.
    Value sum = reduceRows(node, rows, ReduceKind::SumSquare);
    Value length = constantLike(node, static_cast<double>((*shape)[1].size()), rows);
    mean = node.create<nn::DivOp>(sum, length);
  } else {
    mean = reduceRows(node, node.create<nn::MulOp>(rows, rows), ReduceKind::Mean);
  }
  Value shifted = node.create<nn::AddOp>(mean, constantLike(node, epsilon, rows));
  return createReciprocal(node, node.create<nn::SqrtOp>(shifted));
}

/// A vector of `count` equal floats.
static Value filledVector(NodeReader &node, int64_t count, double value, DType dtype) {
  auto size = static_cast<size_t>(count);
  return node.constant(
      dtype == DType::Float64
          ? Tensor::of<double>({count}, std::vector<double>(size, value))
          : Tensor::of<float>({count}, std::vector<float>(size, static_cast<float>(value))));
}

/// (x - mean) / sqrt(variance + epsilon) over `image`, [n, groups, length].
static Value createGroupNorm(NodeReader &node, Value image, int64_t groups, double epsilon) {
  DType dtype = dtypeOf(image);
  return node.create<nn::InstanceNormOp>(image, filledVector(node, groups, 1, dtype),
                                         filledVector(node, groups, 0, dtype), APFloat(epsilon));
}

/// Without scale and bias.
static Value createLayerNorm(NodeReader &node, const RowNorm &norm, bool center) {
  Value none = node.none();
  return node.create<nn::LayerNormOp>(norm.x, none, none, norm.axis, center, APFloat(norm.epsilon));
}

/// A statistic of each row in x's shape, but 1 from the axis on. The axis counts from
/// the end.
static Value besideX(NodeReader &node, const RowNorm &norm, Value statistic) {
  Value before = node.create<nn::ShapeOp>(norm.x, node.builder().getI64IntegerAttr(0),
                                          node.builder().getI64IntegerAttr(norm.axis));
  Value ones = node.intsConstant(std::vector<int64_t>(static_cast<size_t>(-norm.axis), 1));
  Value shape = node.create<nn::ConcatOp>(mlir::ValueRange{before, ones}, /*axis=*/0);
  return node.create<nn::ReshapeOp>(statistic, shape, /*allowzero=*/true);
}

/// `value` times input `i`, or as it is when the node has none.
static Value scaleBy(NodeReader &node, Value value, int i) {
  requireBroadcastsToFirst(node, i);
  return node.hasInput(i)
             ? node.create<nn::MulOp>(value, convert(node, node.input(i), dtypeOf(value)))
             : value;
}

/// `value` plus input `i`, or as it is when the node has none.
static Value shiftBy(NodeReader &node, Value value, int i) {
  requireBroadcastsToFirst(node, i);
  return node.hasInput(i)
             ? node.create<nn::AddOp>(value, convert(node, node.input(i), dtypeOf(value)))
             : value;
}

static void setStatistic(NodeReader &node, int output, const RowNorm &norm, Value statistic,
                         DType dtype) {
  if (norm.axis >= 0)
    return node.unsupported("statistics of a tensor of unknown rank along an axis from the front");
  node.setOutput(output, convert(node, besideX(node, norm, statistic), dtype));
}

/// Mean and inverse deviation as results 1 and 2, when these are wanted.
static void setMoments(NodeReader &node, const RowNorm &norm, DType dtype) {
  if (!node.hasOutput(1) && !node.hasOutput(2))
    return;
  Value rows = rowsOf(node, norm), mean = reduceRows(node, rows, ReduceKind::Mean);
  if (node.hasOutput(1))
    setStatistic(node, 1, norm, mean, dtype);
  if (!node.hasOutput(2))
    return;
  Value distance = node.create<nn::SubOp>(rows, mean);
  setStatistic(node, 2, norm, inverseRootMeanSquare(node, distance, norm.epsilon), dtype);
}

/// The type of the statistics. They are computed in float32 at least.
static DType readStashType(NodeReader &node) {
  int64_t type = node.getInt("stash_type", 1);
  for (DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::BFloat16})
    if (type == static_cast<int64_t>(dtype))
      return dtype;
  node.unsupported(fmt::format("attribute 'stash_type' = {}", type));
  return DType::Float32;
}

/// The first operand for statistics of type `stash`.
static Value operandFor(NodeReader &node, DType stash) {
  requireFloats(node, 0);
  return stash == DType::Float64 ? convert(node, node.input(0), stash) : widen(node, node.input(0));
}

static void importLayerNormalization(NodeReader &node) {
  double epsilon = node.getFloat("epsilon", 1e-5);
  DType stash = readStashType(node);
  int64_t axis = readAxis(node, -1);
  if (node.failed())
    return;
  RowNorm norm{operandFor(node, stash), axis, epsilon};
  Value y = shiftBy(node, scaleBy(node, createLayerNorm(node, norm, /*center=*/true), 1), 2);
  node.setOutput(0, convert(node, y, node.inputDType(0)));
  setMoments(node, norm, stash);
}

/// The result has the type of the scale. ONNX Runtime's op of the same meaning,
/// SimplifiedLayerNormalization, has the inverse deviation as a second result.
static void importRmsNormalization(NodeReader &node) {
  double epsilon = node.getFloat("epsilon", 1e-5);
  DType stash = readStashType(node);
  int64_t axis = readAxis(node, -1);
  requireFloats(node, 1);
  if (node.failed())
    return;
  RowNorm norm{operandFor(node, stash), axis, epsilon};
  Value y = scaleBy(node, createLayerNorm(node, norm, /*center=*/false), 1);
  node.setOutput(0, convert(node, y, node.inputDType(1)));
  if (node.hasOutput(1))
    setStatistic(node, 1, norm, inverseRootMeanSquare(node, rowsOf(node, norm), epsilon), stash);
}

/// Input 0 + input 1 (+ bias), which is result 3 as well, over its last dimension.
static RowNorm importSkip(NodeReader &node, int bias) {
  double epsilon = node.getFloat("epsilon", 1e-12);
  for (int i : {0, 1, 2})
    requireFloats(node, i);
  Value sum = shiftBy(node, shiftBy(node, widen(node, node.input(0)), 1), bias);
  node.setOutput(3, convert(node, sum, node.inputDType(0)));
  return {sum, -1, epsilon};
}

static void importSkipLayerNormalization(NodeReader &node) {
  RowNorm norm = importSkip(node, 4);
  Value y = shiftBy(node, scaleBy(node, createLayerNorm(node, norm, /*center=*/true), 2), 3);
  node.setOutput(0, convert(node, y, node.inputDType(0)));
  setMoments(node, norm, DType::Float32);
}

static void importSkipSimplifiedLayerNormalization(NodeReader &node) {
  if (node.hasOutput(1))
    return node.unsupported("output 1, the mean");
  RowNorm norm = importSkip(node, 3);
  Value y = scaleBy(node, createLayerNorm(node, norm, /*center=*/false), 2);
  node.setOutput(0, convert(node, y, node.inputDType(0)));
  if (node.hasOutput(2))
    setStatistic(node, 2, norm, inverseRootMeanSquare(node, rowsOf(node, norm), norm.epsilon),
                 DType::Float32);
}

/// The sum of the embeddings of words, positions and, maybe, segments, normalized. Result 1 is
/// the number of words before the first that the mask leaves out.
static void importEmbedLayerNormalization(NodeReader &node) {
  double epsilon = node.getFloat("epsilon", 1e-12);
  node.ignoreAttribute("mask_index_type"); // tells the type of result 1
  if (auto ids = node.inputShape(0); !ids || ids->rank() != 2)
    return node.invalid("input_ids must have rank 2");
  if (node.hasInput(1) != node.hasInput(4))
    return node.invalid("segment_ids and segment_embedding are used together only");
  for (int i : {2, 3, 5, 6}) {
    if (!node.hasInput(i))
      return node.invalid(fmt::format("input {} is required but left out", i));
    requireFloats(node, i);
  }
  if (node.failed())
    return;
  auto embed = [&](int table, Value ids) -> Value {
    return node.create<nn::GatherOp>(widen(node, node.input(table)), ids, /*axis=*/0);
  };
  Value places = node.hasInput(8) ? node.input(8) : node.createCount(node.sizeOf(node.input(0), 1));
  Value sum = node.create<nn::AddOp>(embed(2, node.input(0)), embed(3, places));
  if (node.hasInput(1))
    sum = node.create<nn::AddOp>(sum, embed(4, node.input(1)));
  DType dtype = node.inputDType(2);
  node.setOutput(2, convert(node, sum, dtype));
  RowNorm norm{sum, -1, epsilon};
  Value scale = convert(node, node.input(5), dtypeOf(sum));
  Value bias = convert(node, node.input(6), dtypeOf(sum));
  Value y = node.create<nn::MulOp>(createLayerNorm(node, norm, /*center=*/true), scale);
  node.setOutput(0, convert(node, node.create<nn::AddOp>(y, bias), dtype));
  Value kept = node.hasInput(7)
                   ? node.input(7)
                   : node.create<nn::MulOp>(node.input(0), constantLike(node, 0, node.input(0)));
  Value count = node.create<nn::ReduceOp>(kept, node.intsConstant({1}), ReduceKind::Sum,
                                          /*keepdims=*/false, /*noop_with_empty_axes=*/false);
  node.setOutput(1, convert(node, count, node.inputDType(0)));
}

//===----------------------------------------------------------------------===//
// Over groups of channels, chosen axes, one axis
//===----------------------------------------------------------------------===//

/// An error unless `channels` divide into groups and input `i` has `wanted` elements.
static void requireGroups(NodeReader &node, int64_t groups, bool perGroup) {
  if (groups < 1)
    return node.invalid(fmt::format("num_groups is {}, expected at least 1", groups));
  // Vectors of as many are made, and the channels may not be known.
  constexpr int64_t kMost = int64_t{1} << 20;
  if (groups > kMost)
    return node.fail(
        resourceLimit(fmt::format("num_groups is {}, the limit is {}", groups, kMost)));
  std::optional<nn::Shape> x = node.inputShape(0);
  if (x && x->rank() < 2)
    return node.invalid(fmt::format("input 0 needs rank 2 or more, found {}", x->rank()));
  nn::Dim channels = x ? (*x)[1] : nn::Dim();
  if (channels.isStatic() && channels.size() % groups != 0)
    return node.invalid(
        fmt::format("{} channels do not divide into {} groups", channels.size(), groups));
  nn::Dim wanted = perGroup ? nn::Dim(groups) : channels;
  for (int i : {1, 2})
    if (auto shape = node.inputShape(i);
        shape && (shape->rank() != 1 || !(*shape)[0].compatibleWith(wanted)))
      return node.invalid(fmt::format("input {} must be a vector of {} elements", i, wanted.str()));
}

/// Scale and bias belong to groups before opset 21, then to channels.
static void importGroupNormalization(NodeReader &node) {
  double epsilon = node.getFloat("epsilon", 1e-5);
  int64_t groups = node.getInt("num_groups");
  bool perGroup = node.opset() < 21;
  DType stash = perGroup ? DType::Float32 : readStashType(node);
  requireGroups(node, groups, perGroup);
  if (node.failed())
    return;
  Value x = operandFor(node, stash);
  DType wide = dtypeOf(x);
  Value scale = convert(node, node.input(1), wide), bias = convert(node, node.input(2), wide);
  Value image = node.create<nn::ReshapeOp>(x, node.intsConstant({0, groups, -1}),
                                           /*allowzero=*/false);
  Value y;
  if (perGroup) {
    y = node.create<nn::InstanceNormOp>(image, scale, bias, APFloat(epsilon));
  } else {
    Value channels = node.create<nn::ShapeOp>(scale, node.builder().getI64IntegerAttr(0),
                                              /*end=*/mlir::IntegerAttr());
    Value shape = node.create<nn::ConcatOp>(
        mlir::ValueRange{node.intsConstant({0}), channels, node.intsConstant({-1})}, /*axis=*/0);
    y = createGroupNorm(node, image, groups, epsilon);
    y = node.create<nn::ReshapeOp>(y, shape, /*allowzero=*/false);
    // [channels, 1]
    Value axes = node.intsConstant({1});
    y = node.create<nn::MulOp>(y, node.create<nn::UnsqueezeOp>(scale, axes));
    y = node.create<nn::AddOp>(y, node.create<nn::UnsqueezeOp>(bias, axes));
  }
  node.setOutput(0, convert(node, reshapeLike(node, y, x), node.inputDType(0)));
}

/// Before opset 9 it was called experimental, and had other attributes.
static void importMeanVarianceNormalization(NodeReader &node) {
  if (node.opset() < 9 &&
      (node.getBool("across_channels", false) || !node.getBool("normalize_variance", true)))
    return node.unsupported("attributes 'across_channels' = 1 and 'normalize_variance' = 0");
  std::vector<int64_t> list = node.getInts("axes");
  if (list.empty())
    list = {0, 2, 3};
  requireFloats(node, 0);
  Value x = widen(node, node.input(0)), axes = node.intsConstant(list);
  auto mean = [&](Value of) -> Value {
    return node.create<nn::ReduceOp>(of, axes, ReduceKind::Mean, /*keepdims=*/true,
                                     /*noop_with_empty_axes=*/false);
  };
  Value distance = node.create<nn::SubOp>(x, mean(x));
  Value variance = mean(node.create<nn::MulOp>(distance, distance));
  Value deviation =
      node.create<nn::AddOp>(node.create<nn::SqrtOp>(variance), constantLike(node, 1e-9, x));
  Value y = node.create<nn::DivOp>(distance, deviation);
  node.setOutput(0, convert(node, y, node.inputDType(0)));
}

/// What has norm 0 stays 0.
static void importLpNormalization(NodeReader &node) {
  int64_t p = node.getInt("p", 2), axis = readAxis(node, -1);
  if (p != 1 && p != 2)
    return node.invalid(fmt::format("attribute 'p': expected 1 or 2, found {}", p));
  requireFloats(node, 0);
  Value x = widen(node, node.input(0));
  Value norm = node.create<nn::ReduceOp>(x, node.intsConstant({axis}),
                                         p == 1 ? ReduceKind::L1 : ReduceKind::L2,
                                         /*keepdims=*/true, /*noop_with_empty_axes=*/false);
  Value isZero = node.create<nn::EqualOp>(norm, constantLike(node, 0, x));
  Value divisor = node.create<nn::WhereOp>(isZero, constantLike(node, 1, x), norm);
  node.setOutput(0, convert(node, node.create<nn::DivOp>(x, divisor), node.inputDType(0)));
}

std::span<const OpsetRow> quern::onnx::normalizationImports() {
  static constexpr OpsetRow rows[] = {
      {"BatchNormalization", 1, kNewestOpset, 5, 5, 5, importBatchNormalization},
      {"EmbedLayerNormalization", 1, 1, 1, 9, 3, importEmbedLayerNormalization, kMicrosoftDomain},
      {"GroupNormalization", 18, kNewestOpset, 3, 3, 1, importGroupNormalization},
      {"InstanceNormalization", 1, kNewestOpset, 3, 3, 1, importInstanceNormalization},
      {"LRN", 1, kNewestOpset, 1, 1, 1, importLrn},
      // ONNX has it from opset 17 on; ONNX Runtime's optimizers write it into older models, too.
      {"LayerNormalization", 1, kNewestOpset, 2, 3, 3, importLayerNormalization},
      {"LpNormalization", 1, kNewestOpset, 1, 1, 1, importLpNormalization},
      {"MeanVarianceNormalization", 1, kNewestOpset, 1, 1, 1, importMeanVarianceNormalization},
      {"RMSNormalization", 23, kNewestOpset, 2, 2, 1, importRmsNormalization},
      // ONNX Runtime has this one in ONNX's domain.
      {"SimplifiedLayerNormalization", 1, kNewestOpset, 2, 2, 2, importRmsNormalization},
      {"SkipLayerNormalization", 1, 1, 3, 5, 4, importSkipLayerNormalization, kMicrosoftDomain},
      {"SkipSimplifiedLayerNormalization", 1, 1, 3, 4, 4, importSkipSimplifiedLayerNormalization,
       kMicrosoftDomain},
  };
  return rows;
}
