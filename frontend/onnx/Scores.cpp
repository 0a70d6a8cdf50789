//===- Scores.cpp - what the models of ai.onnx.ml have in common ----------===//
#include "frontend/onnx/Scores.h"

#include "frontend/onnx/TensorData.h"

#include <fmt/format.h>

#include <array>
#include <numbers>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

//===----------------------------------------------------------------------===//
// Operands and constants
//===----------------------------------------------------------------------===//

Value quern::onnx::readFeatures(NodeReader &node) {
  Value x = node.input(0);
  DType dtype = node.inputDType(0);
  if (!isFloat(dtype) && !isSignedInteger(dtype) && !isUnsignedInteger(dtype))
    node.invalid(fmt::format("input 0 must hold numbers, found {}", dtypeName(dtype)));
  std::optional<nn::Shape> shape = node.inputShape(0);
  if (shape && shape->rank() != 1 && shape->rank() != 2)
    node.invalid(fmt::format("input 0 must have rank 1 or 2, found {}", shape->rank()));
  if (node.failed())
    return x;
  if (shape && shape->rank() == 1)
    x = node.create<nn::UnsqueezeOp>(x, node.intsConstant({0}));
  return isFloat(dtype) ? widen(node, x) : node.createCast(x, DType::Float32);
}

template <typename T>
static Value floatsConstant(NodeReader &node, std::span<const float> values, Tensor::Dims dims) {
  auto tensor = Tensor::allocateUninitialized(dtypeOf<T>(), std::move(dims), node.graph().limits);
  if (!tensor) {
    node.fail(tensor.status());
    return node.none();
  }
  std::copy(values.begin(), values.end(), tensor->template mutableData<T>());
  return node.constant(*tensor);
}

Value quern::onnx::floatsLike(NodeReader &node, std::span<const float> values, Value like,
                              int64_t columns) {
  auto count = static_cast<int64_t>(values.size());
  Tensor::Dims dims = {count};
  if (columns > 0)
    dims = {count / columns, columns};
  return dtypeOf(like) == DType::Float64 ? floatsConstant<double>(node, values, dims)
                                         : floatsConstant<float>(node, values, dims);
}

Tensor quern::onnx::readTensorAttribute(NodeReader &node, std::string_view name) {
  const proto::TensorProto *proto = node.getTensor(name);
  if (!proto)
    return {};
  auto decoded = decodeTensor(*proto, node.graph().source, node.graph().limits);
  if (decoded)
    return decoded.take();
  node.fail(decoded.status().withContext(fmt::format("attribute '{}'", name)));
  return {};
}

Value quern::onnx::stringsConstant(NodeReader &node, const std::vector<std::string> &strings) {
  auto tensor = Tensor::allocate(DType::String, {static_cast<int64_t>(strings.size())});
  if (!tensor) {
    node.fail(tensor.status());
    return node.none();
  }
  std::copy(strings.begin(), strings.end(), tensor->mutableData<std::string>());
  return node.constant(*tensor);
}

//===----------------------------------------------------------------------===//
// Transforms
//===----------------------------------------------------------------------===//

PostTransform quern::onnx::readPostTransform(NodeReader &node) {
  constexpr std::array<std::string_view, 5> kNames = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                                      "PROBIT"};
  std::string name = node.getString("post_transform", "NONE");
  auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    node.unsupported(fmt::format("post_transform '{}'", name));
    return PostTransform::None;
  }
  return static_cast<PostTransform>(found - kNames.begin());
}

/// The quantile of the normal distribution, in the approximation of erf's inverse by
/// Winitzki that ONNX Runtime has, with its constants.
static Value createProbit(NodeReader &node, Value p) {
  auto number = [&](double value) { return constantLike(node, value, p); };
  Value x = node.create<nn::SubOp>(node.create<nn::MulOp>(p, number(2)), number(1));
  Value logarithm = node.create<nn::LogOp>(node.create<nn::MulOp>(
      node.create<nn::SubOp>(number(1), x), node.create<nn::AddOp>(number(1), x)));
  Value a = node.create<nn::AddOp>(number(2 / (3.14159 * 0.147)),
                                   node.create<nn::MulOp>(logarithm, number(0.5)));
  Value b = node.create<nn::DivOp>(logarithm, number(0.147));
  Value root = node.create<nn::SqrtOp>(node.create<nn::SubOp>(node.create<nn::MulOp>(a, a), b));
  Value magnitude = node.create<nn::SqrtOp>(node.create<nn::SubOp>(root, a));
  Value isNegative = node.create<nn::LessOp>(x, number(0));
  Value result = node.create<nn::WhereOp>(isNegative, node.create<nn::NegOp>(magnitude), magnitude);
  return node.create<nn::MulOp>(result, number(std::numbers::sqrt2));
}

/// Softmax over what is not zero, which stays zero.
static Value createSoftmaxZero(NodeReader &node, Value scores) {
  Value axes = node.intsConstant({-1}), zero = constantLike(node, 0, scores);
  auto reduce = [&](Value of, ReduceKind kind) -> Value {
    return node.create<nn::ReduceOp>(of, axes, kind, /*keepdims=*/true,
                                     /*noop_with_empty_axes=*/false);
  };
  Value largest = reduce(scores, ReduceKind::Max);
  Value isZero = node.create<nn::LessOrEqualOp>(node.create<nn::AbsOp>(scores),
                                                constantLike(node, 1e-7F, scores));
  Value power = node.create<nn::ExpOp>(node.create<nn::SubOp>(scores, largest));
  Value sum = reduce(node.create<nn::WhereOp>(isZero, zero, power), ReduceKind::Sum);
  Value small =
      node.create<nn::MulOp>(scores, node.create<nn::ExpOp>(node.create<nn::NegOp>(largest)));
  return node.create<nn::DivOp>(node.create<nn::WhereOp>(isZero, small, power), sum);
}

Value quern::onnx::transformScores(NodeReader &node, Value scores, int64_t columns,
                                   PostTransform transform) {
  if (columns < 2 && transform != PostTransform::Probit)
    return scores;
  switch (transform) {
  case PostTransform::None:
    return scores;
  case PostTransform::Softmax:
    return node.create<nn::SoftmaxOp>(scores, /*axis=*/-1, /*trailing=*/false);
  case PostTransform::Logistic:
    return node.create<nn::SigmoidOp>(scores);
  case PostTransform::SoftmaxZero:
    return createSoftmaxZero(node, scores);
  case PostTransform::Probit:
    return createProbit(node, scores);
  }
  return scores;
}

static Value besideEachOther(NodeReader &node, Value a, Value b) {
  return node.create<nn::ConcatOp>(mlir::ValueRange{a, b}, /*axis=*/1);
}

/// Of a single score the quantile, and 0 beside it.
static Value probitAlone(NodeReader &node, Value score) {
  Value zero = node.create<nn::SubOp>(score, score);
  return besideEachOther(node, createProbit(node, score), zero);
}

Value quern::onnx::complementScores(NodeReader &node, Value scores, PostTransform transform) {
  if (transform == PostTransform::Probit)
    return probitAlone(node, scores);
  if (transform == PostTransform::Logistic)
    return mirrorScores(node, scores, transform);
  Value other = node.create<nn::SubOp>(constantLike(node, 1, scores), scores);
  return besideEachOther(node, other, scores);
}

Value quern::onnx::mirrorScores(NodeReader &node, Value scores, PostTransform transform) {
  if (transform == PostTransform::Probit)
    return probitAlone(node, scores);
  Value both = besideEachOther(node, node.create<nn::NegOp>(scores), scores);
  return transform == PostTransform::Logistic ? node.create<nn::SigmoidOp>(both) : both;
}

//===----------------------------------------------------------------------===//
// Labels
//===----------------------------------------------------------------------===//

ClassLabels quern::onnx::readClassLabels(NodeReader &node, std::string_view intsName) {
  ClassLabels labels{node.getInts(intsName), node.getStrings("classlabels_strings")};
  if (labels.ints.empty() == labels.strings.empty())
    node.invalid(fmt::format("needs either '{}' or 'classlabels_strings'", intsName));
  return labels;
}

Value quern::onnx::createLabels(NodeReader &node, const ClassLabels &labels, Value numbers) {
  Value all =
      labels.areStrings() ? stringsConstant(node, labels.strings) : node.intsConstant(labels.ints);
  return node.create<nn::GatherOp>(all, numbers, /*axis=*/0);
}

Value quern::onnx::createBinaryLabels(NodeReader &node, const ClassLabels &labels, Value isSecond) {
  ClassLabels two = labels;
  if (labels.count() == 1 && labels.ints == std::vector<int64_t>{1})
    two.ints = {0, 1};
  else if (labels.count() == 1)
    (labels.areStrings() ? two.strings.assign(2, labels.strings[0])
                         : two.ints.assign(2, labels.ints[0]));
  Value numbers = node.createCast(isSecond, DType::Int64);
  return createLabels(node, two, node.create<nn::SqueezeOp>(numbers, node.intsConstant({1})));
}

Value quern::onnx::createTopClass(NodeReader &node, Value scores) {
  return node.create<nn::ArgReduceOp>(scores, ReduceKind::Max, /*axis=*/1, /*keepdims=*/false,
                                      /*select_last_index=*/false);
}
