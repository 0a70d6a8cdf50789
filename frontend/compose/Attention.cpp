//===- Attention.cpp - what attention ops are composed of -----------------===//
#include "frontend/compose/Attention.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::frontend;
using mlir::Value;

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

Value frontend::splitHeads(GraphBuilder &graph, Value packed, int64_t heads) {
  Value size = dividedSize(graph, graph.sizeOf(packed, 2), heads);
  Value shape = joinSizes(
      graph, {graph.sizeOf(packed, 0), graph.sizeOf(packed, 1), graph.intsConstant({heads}), size});
  Value split = graph.create<nn::ReshapeOp>(packed, shape, /*allowzero=*/true);
  return graph.create<nn::TransposeOp>(split, llvm::ArrayRef<int64_t>{0, 2, 1, 3});
}

Value frontend::joinHeads(GraphBuilder &graph, Value tensor) {
  Value width = multiplySizes(graph, graph.sizeOf(tensor, 1), graph.sizeOf(tensor, 3));
  Value shape = joinSizes(graph, {graph.sizeOf(tensor, 0), graph.sizeOf(tensor, 2), width});
  Value rows = graph.create<nn::TransposeOp>(tensor, llvm::ArrayRef<int64_t>{0, 2, 1, 3});
  return graph.create<nn::ReshapeOp>(rows, shape, /*allowzero=*/true);
}

void frontend::requireGroupedHeads(GraphBuilder &graph, Value queries, Value keys) {
  auto many = nn::constantInts(graph.sizeOf(queries, 1)),
       few = nn::constantInts(graph.sizeOf(keys, 1));
  if (many && few && (few->front() == 0 || many->front() % few->front() != 0))
    graph.invalid(fmt::format("{} heads of queries are no multiple of {} heads of keys",
                              many->front(), few->front()));
}

/// The matrix products, per head, of `a` with `b`, which may have fewer heads. The rows of a
/// group of heads are then those of one product.
static Value multiplyHeads(GraphBuilder &graph, Value a, Value b) {
  std::optional<nn::Shape> left = nn::shapeOf(a), right = nn::shapeOf(b);
  if (left && right && (*left)[1].provablyEquals((*right)[1]))
    return graph.create<nn::MatMulOp>(a, b);
  Value batch = graph.sizeOf(a, 0), heads = graph.sizeOf(a, 1), fewer = graph.sizeOf(b, 1);
  auto many = nn::constantInts(heads), few = nn::constantInts(fewer);
  Value group = many && few ? dividedSize(graph, heads, std::max<int64_t>(few->front(), 1))
                            : graph.create<nn::DivOp>(heads, fewer);
  Value rows = multiplySizes(graph, graph.sizeOf(a, 2), group);
  Value grouped = graph.create<nn::ReshapeOp>(
      a, joinSizes(graph, {batch, fewer, rows, graph.sizeOf(a, 3)}), /*allowzero=*/true);
  Value product = graph.create<nn::MatMulOp>(grouped, b);
  return graph.create<nn::ReshapeOp>(
      product, joinSizes(graph, {batch, heads, graph.sizeOf(a, 2), graph.sizeOf(b, 3)}),
      /*allowzero=*/true);
}

//===----------------------------------------------------------------------===//
// Scores, probabilities, sums
//===----------------------------------------------------------------------===//

Value frontend::attentionScale(GraphBuilder &graph, Value queries, std::optional<double> given) {
  if (given)
    return constantLike(graph, *given, queries);
  Value size = graph.sizeOf(queries, 3);
  if (auto known = nn::constantInts(size))
    return constantLike(graph, 1 / std::sqrt(static_cast<double>(known->front())), queries);
  Value root = graph.create<nn::SqrtOp>(convert(graph, size, dtypeOf(queries)));
  return createReciprocal(graph, root);
}

Value frontend::createScores(GraphBuilder &graph, Value queries, Value keys, Value scale) {
  Value scaled = graph.create<nn::MulOp>(queries, scale);
  Value columns = graph.create<nn::TransposeOp>(keys, llvm::ArrayRef<int64_t>{0, 1, 3, 2});
  return multiplyHeads(graph, scaled, columns);
}

Value frontend::capScores(GraphBuilder &graph, Value scores, double cap) {
  if (cap == 0)
    return scores;
  Value limit = constantLike(graph, cap, scores);
  Value bent = graph.create<nn::TanhOp>(graph.create<nn::DivOp>(scores, limit));
  return graph.create<nn::MulOp>(bent, limit);
}

Value frontend::createProbabilities(GraphBuilder &graph, Value scores, std::optional<DType> dtype) {
  DType own = dtypeOf(scores);
  Value probabilities = graph.create<nn::SoftmaxOp>(convert(graph, scores, dtype.value_or(own)),
                                                    /*axis=*/-1, /*trailing=*/false);
  return convert(graph, probabilities, own);
}

Value frontend::sumValues(GraphBuilder &graph, Value probabilities, Value values) {
  return multiplyHeads(graph, probabilities, values);
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

static Value intConstant(GraphBuilder &graph, int64_t value) {
  return graph.constant(Tensor::of<int64_t>({}, {value}));
}

KeyMask frontend::keyMask(GraphBuilder &graph, Value queries, Value keys, Value offset) {
  Value places = graph.create<nn::UnsqueezeOp>(graph.createCount(graph.sizeOf(queries, 2)),
                                               graph.intsConstant({1}));
  if (offset)
    places = graph.create<nn::AddOp>(places, offset);
  return {places, graph.createCount(graph.sizeOf(keys, 2))};
}

void KeyMask::require(GraphBuilder &graph, Value condition) {
  allowed = allowed ? graph.create<nn::AndOp>(allowed, condition) : condition;
}

void KeyMask::requireCausal(GraphBuilder &graph) {
  require(graph, graph.create<nn::LessOrEqualOp>(keys, places));
}

void KeyMask::requireWindow(GraphBuilder &graph, int64_t left, int64_t right) {
  if (left >= 0) {
    Value first = graph.create<nn::SubOp>(places, intConstant(graph, left));
    require(graph, createGreaterOrEqual(graph, keys, first));
  }
  if (right >= 0) {
    Value last = graph.create<nn::SubOp>(keys, intConstant(graph, right));
    require(graph, graph.create<nn::LessOrEqualOp>(last, places));
  }
}

void KeyMask::requireFirst(GraphBuilder &graph, Value counts) {
  require(graph, graph.create<nn::LessOp>(keys, counts));
}

Value frontend::createBias(GraphBuilder &graph, const KeyMask &mask, Value added, DType dtype) {
  if (!mask.allowed)
    return added;
  Value none = graph.scalarConstant(-std::numeric_limits<double>::infinity(), dtype);
  return graph.create<nn::WhereOp>(mask.allowed, added ? added : graph.scalarConstant(0, dtype),
                                   none);
}

//===----------------------------------------------------------------------===//
// Rotary embeddings
//===----------------------------------------------------------------------===//

/// Elements [start, end) of the last dimension, each `step`.
static Value sliceLast(GraphBuilder &graph, Value x, int64_t start, int64_t end, int64_t step) {
  return graph.create<nn::SliceOp>(x, graph.intsConstant({start}), graph.intsConstant({end}),
                                   graph.intsConstant({-1}), graph.intsConstant({step}));
}

/// An error when it is certain that pairs and angles are not equally many.
static void requireAngles(GraphBuilder &graph, Value part, Value angles) {
  auto size = nn::constantInts(graph.sizeOf(part, -1)),
       half = nn::constantInts(graph.sizeOf(angles, -1));
  if (size && half && size->front() != 2 * half->front())
    graph.invalid(fmt::format("{} elements of a head cannot be rotated by {} angles", size->front(),
                              half->front()));
}

Value frontend::rotate(GraphBuilder &graph, Value x, const Rotary &rotary, bool headsLast) {
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  Value part = rotary.size == 0 ? x : sliceLast(graph, x, 0, rotary.size, 1);
  requireAngles(graph, part, rotary.cos);
  requireAngles(graph, part, rotary.sin);
  if (graph.failed())
    return x;
  Value heads = graph.intsConstant({headsLast ? 2 : 1});
  Value cos = graph.create<nn::UnsqueezeOp>(rotary.cos, heads);
  Value sin = graph.create<nn::UnsqueezeOp>(rotary.sin, heads);
  Value first, second;
  if (rotary.interleaved) {
    first = sliceLast(graph, part, 0, kEnd, 2);
    second = sliceLast(graph, part, 1, kEnd, 2);
  } else {
    auto halves = graph.createMulti<nn::SplitOp>(2, part, graph.none(), /*axis=*/-1);
    first = halves[0];
    second = halves[1];
  }
  auto times = [&](Value a, Value b) { return graph.create<nn::MulOp>(a, b); };
  Value real = graph.create<nn::SubOp>(times(first, cos), times(second, sin));
  Value imaginary = graph.create<nn::AddOp>(times(first, sin), times(second, cos));
  Value rotated;
  if (rotary.interleaved) {
    Value last = graph.intsConstant({-1});
    Value pairs[] = {graph.create<nn::UnsqueezeOp>(real, last),
                     graph.create<nn::UnsqueezeOp>(imaginary, last)};
    rotated = reshapeLike(graph, graph.create<nn::ConcatOp>(mlir::ValueRange(pairs), -1), part);
  } else {
    rotated = graph.create<nn::ConcatOp>(mlir::ValueRange{real, imaginary}, -1);
  }
  if (rotary.size == 0)
    return rotated;
  Value rest = sliceLast(graph, x, rotary.size, kEnd, 1);
  return graph.create<nn::ConcatOp>(mlir::ValueRange{rotated, rest}, -1);
}
