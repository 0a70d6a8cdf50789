//===- Attention.cpp - what attention ops are composed of -----------------===//
#include "frontend/onnx/Attention.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

DType quern::onnx::attentionType(NodeImport &node, llvm::ArrayRef<int> inputs) {
  for (int i : inputs)
    if (node.hasInput(i) && node.inputDType(i) == DType::Float64)
      return DType::Float64;
  return DType::Float32;
}

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

Value quern::onnx::splitHeads(NodeImport &node, Value packed, int64_t heads) {
  Value size = dividedSize(node, node.sizeOf(packed, 2), heads);
  Value shape = joinSizes(
      node, {node.sizeOf(packed, 0), node.sizeOf(packed, 1), node.intsConstant({heads}), size});
  Value split = node.create<nn::ReshapeOp>(packed, shape, /*allowzero=*/true);
  return node.create<nn::TransposeOp>(split, llvm::ArrayRef<int64_t>{0, 2, 1, 3});
}

Value quern::onnx::joinHeads(NodeImport &node, Value tensor) {
  Value width = multiplySizes(node, node.sizeOf(tensor, 1), node.sizeOf(tensor, 3));
  Value shape = joinSizes(node, {node.sizeOf(tensor, 0), node.sizeOf(tensor, 2), width});
  Value rows = node.create<nn::TransposeOp>(tensor, llvm::ArrayRef<int64_t>{0, 2, 1, 3});
  return node.create<nn::ReshapeOp>(rows, shape, /*allowzero=*/true);
}

void quern::onnx::requireGroupedHeads(NodeImport &node, Value queries, Value keys) {
  auto many = nn::constantInts(node.sizeOf(queries, 1)),
       few = nn::constantInts(node.sizeOf(keys, 1));
  if (many && few && (few->front() == 0 || many->front() % few->front() != 0))
    node.invalid(fmt::format("{} heads of queries are no multiple of {} heads of keys",
                             many->front(), few->front()));
}

/// The matrix products, per head, of `a` with `b`, which may have fewer heads. The rows of a
/// group of heads are then those of one product.
static Value multiplyHeads(NodeImport &node, Value a, Value b) {
  std::optional<nn::Shape> left = nn::shapeOf(a), right = nn::shapeOf(b);
  if (left && right && (*left)[1].provablyEquals((*right)[1]))
    return node.create<nn::MatMulOp>(a, b);
  Value batch = node.sizeOf(a, 0), heads = node.sizeOf(a, 1), fewer = node.sizeOf(b, 1);
  auto many = nn::constantInts(heads), few = nn::constantInts(fewer);
  Value group = many && few ? dividedSize(node, heads, std::max<int64_t>(few->front(), 1))
                            : node.create<nn::DivOp>(heads, fewer);
  Value rows = multiplySizes(node, node.sizeOf(a, 2), group);
  Value grouped = node.create<nn::ReshapeOp>(
      a, joinSizes(node, {batch, fewer, rows, node.sizeOf(a, 3)}), /*allowzero=*/true);
  Value product = node.create<nn::MatMulOp>(grouped, b);
  return node.create<nn::ReshapeOp>(
      product, joinSizes(node, {batch, heads, node.sizeOf(a, 2), node.sizeOf(b, 3)}),
      /*allowzero=*/true);
}

//===----------------------------------------------------------------------===//
// Scores, probabilities, sums
//===----------------------------------------------------------------------===//

Value quern::onnx::attentionScale(NodeImport &node, Value queries, std::optional<double> given) {
  if (given)
    return constantLike(node, *given, queries);
  Value size = node.sizeOf(queries, 3);
  if (auto known = nn::constantInts(size))
    return constantLike(node, 1 / std::sqrt(static_cast<double>(known->front())), queries);
  Value root = node.create<nn::SqrtOp>(convert(node, size, dtypeOf(queries)));
  return createReciprocal(node, root);
}

Value quern::onnx::createScores(NodeImport &node, Value queries, Value keys, Value scale) {
  Value scaled = node.create<nn::MulOp>(queries, scale);
  Value columns = node.create<nn::TransposeOp>(keys, llvm::ArrayRef<int64_t>{0, 1, 3, 2});
  return multiplyHeads(node, scaled, columns);
}

Value quern::onnx::capScores(NodeImport &node, Value scores, double cap) {
  if (cap == 0)
    return scores;
  Value limit = constantLike(node, cap, scores);
  Value bent = node.create<nn::TanhOp>(node.create<nn::DivOp>(scores, limit));
  return node.create<nn::MulOp>(bent, limit);
}

Value quern::onnx::createProbabilities(NodeImport &node, Value scores, std::optional<DType> dtype) {
  DType own = dtypeOf(scores);
  Value probabilities = node.create<nn::SoftmaxOp>(convert(node, scores, dtype.value_or(own)),
                                                   /*axis=*/-1, /*trailing=*/false);
  return convert(node, probabilities, own);
}

Value quern::onnx::sumValues(NodeImport &node, Value probabilities, Value values) {
  return multiplyHeads(node, probabilities, values);
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

static Value intConstant(NodeImport &node, int64_t value) {
  return node.constant(Tensor::of<int64_t>({}, {value}));
}

KeyMask quern::onnx::keyMask(NodeImport &node, Value queries, Value keys, Value offset) {
  Value places = node.create<nn::UnsqueezeOp>(node.createCount(node.sizeOf(queries, 2)),
                                              node.intsConstant({1}));
  if (offset)
    places = node.create<nn::AddOp>(places, offset);
  return {places, node.createCount(node.sizeOf(keys, 2))};
}

void KeyMask::require(NodeImport &node, Value condition) {
  allowed = allowed ? node.create<nn::AndOp>(allowed, condition) : condition;
}

void KeyMask::requireCausal(NodeImport &node) {
  require(node, node.create<nn::LessOrEqualOp>(keys, places));
}

void KeyMask::requireWindow(NodeImport &node, int64_t left, int64_t right) {
  if (left >= 0) {
    Value first = node.create<nn::SubOp>(places, intConstant(node, left));
    require(node, createGreaterOrEqual(node, keys, first));
  }
  if (right >= 0) {
    Value last = node.create<nn::SubOp>(keys, intConstant(node, right));
    require(node, node.create<nn::LessOrEqualOp>(last, places));
  }
}

void KeyMask::requireFirst(NodeImport &node, Value counts) {
  require(node, node.create<nn::LessOp>(keys, counts));
}

Value quern::onnx::createBias(NodeImport &node, const KeyMask &mask, Value added, DType dtype) {
  if (!mask.allowed)
    return added;
  Value none = node.scalarConstant(-std::numeric_limits<double>::infinity(), dtype);
  return node.create<nn::WhereOp>(mask.allowed, added ? added : node.scalarConstant(0, dtype),
                                  none);
}

//===----------------------------------------------------------------------===//
// Rotary embeddings
//===----------------------------------------------------------------------===//

/// Elements [start, end) of the last dimension, each `step`.
static Value sliceLast(NodeImport &node, Value x, int64_t start, int64_t end, int64_t step) {
  return node.create<nn::SliceOp>(x, node.intsConstant({start}), node.intsConstant({end}),
                                  node.intsConstant({-1}), node.intsConstant({step}));
}

/// An error when it is certain that pairs and angles are not equally many.
static void requireAngles(NodeImport &node, Value part, Value angles) {
  auto size = nn::constantInts(node.sizeOf(part, -1)),
       half = nn::constantInts(node.sizeOf(angles, -1));
  if (size && half && size->front() != 2 * half->front())
    node.invalid(fmt::format("{} elements of a head cannot be rotated by {} angles", size->front(),
                             half->front()));
}

Value quern::onnx::rotate(NodeImport &node, Value x, const Rotary &rotary, bool headsLast) {
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  Value part = rotary.size == 0 ? x : sliceLast(node, x, 0, rotary.size, 1);
  requireAngles(node, part, rotary.cos);
  requireAngles(node, part, rotary.sin);
  if (node.failed())
    return x;
  Value heads = node.intsConstant({headsLast ? 2 : 1});
  Value cos = node.create<nn::UnsqueezeOp>(rotary.cos, heads);
  Value sin = node.create<nn::UnsqueezeOp>(rotary.sin, heads);
  Value first, second;
  if (rotary.interleaved) {
    first = sliceLast(node, part, 0, kEnd, 2);
    second = sliceLast(node, part, 1, kEnd, 2);
  } else {
    auto halves = node.createMulti<nn::SplitOp>(2, part, node.graph().none, /*axis=*/-1);
    first = halves[0];
    second = halves[1];
  }
  auto times = [&](Value a, Value b) { return node.create<nn::MulOp>(a, b); };
  Value real = node.create<nn::SubOp>(times(first, cos), times(second, sin));
  Value imaginary = node.create<nn::AddOp>(times(first, sin), times(second, cos));
  Value rotated;
  if (rotary.interleaved) {
    Value last = node.intsConstant({-1});
    Value pairs[] = {node.create<nn::UnsqueezeOp>(real, last),
                     node.create<nn::UnsqueezeOp>(imaginary, last)};
    rotated = reshapeLike(node, node.create<nn::ConcatOp>(mlir::ValueRange(pairs), -1), part);
  } else {
    rotated = node.create<nn::ConcatOp>(mlir::ValueRange{real, imaginary}, -1);
  }
  if (rotary.size == 0)
    return rotated;
  Value rest = sliceLast(node, x, rotary.size, kEnd, 1);
  return node.create<nn::ConcatOp>(mlir::ValueRange{rotated, rest}, -1);
}
