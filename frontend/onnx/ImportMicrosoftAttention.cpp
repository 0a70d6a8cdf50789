//===- ImportMicrosoftAttention.cpp - attention ops of ONNX Runtime -------===//
//
// What they mean is what ONNX Runtime's CPU kernels do. A masked key gets a large negative
// number instead of -infinity, unless it is masked because it comes later.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/MicrosoftAttention.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

//===----------------------------------------------------------------------===//
// What the ops have in common
//===----------------------------------------------------------------------===//

Value quern::onnx::concat(NodeReader &node, llvm::ArrayRef<Value> parts, int64_t axis) {
  return node.create<nn::ConcatOp>(mlir::ValueRange(parts), axis);
}

Value quern::onnx::add(NodeReader &node, Value a, Value b) {
  return !a ? b : !b ? a : node.create<nn::AddOp>(a, b);
}

Value quern::onnx::unsqueeze(NodeReader &node, Value x, int64_t axis) {
  return node.create<nn::UnsqueezeOp>(x, node.intsConstant({axis}));
}

/// Part `index` of a dimension, which it loses.
static Value selectPart(NodeReader &node, Value x, int64_t index, int64_t axis) {
  return node.create<nn::GatherOp>(x, node.scalarConstant(static_cast<double>(index), DType::Int64),
                                   axis);
}

std::optional<double> quern::onnx::readScale(NodeReader &node) {
  double scale = node.getFloat("scale", 0);
  return scale != 0 ? std::optional(scale) : std::nullopt;
}

int64_t quern::onnx::readHeads(NodeReader &node, const char *name) {
  constexpr int64_t kMost = int64_t{1} << 31;
  int64_t heads = node.getInt(name);
  if (heads < 1 || heads > kMost)
    node.invalid(fmt::format("attribute '{}': expected 1 to {}, found {}", name, kMost, heads));
  return std::clamp<int64_t>(heads, 1, kMost);
}

void quern::onnx::refuseInputs(NodeReader &node, llvm::ArrayRef<int> inputs) {
  for (int i : inputs)
    if (node.hasInput(i))
      node.unsupported(fmt::format("input {}", i));
}
void quern::onnx::refuseAttributes(NodeReader &node, llvm::ArrayRef<const char *> names) {
  for (const char *name : names)
    if (node.getBool(name, false))
      node.unsupported(fmt::format("attribute '{}'", name));
}

static std::optional<int64_t> rankOf(NodeReader &node, int i) {
  std::optional<nn::Shape> shape = node.inputShape(i);
  return shape ? std::optional(shape->rank()) : std::nullopt;
}

int64_t quern::onnx::requireRank(NodeReader &node, int i, int64_t least, int64_t most) {
  std::optional<int64_t> rank = rankOf(node, i);
  if (!rank)
    node.unsupported(fmt::format("input {} of unknown rank", i));
  else if (*rank < least || *rank > most)
    node.invalid(fmt::format("input {} has rank {}, expected {} to {}", i, *rank, least, most));
  return rank.value_or(least);
}

/// Which keys a mask of indices allows, [batch, keys]: those before its first `batch` numbers
/// and, where it `mayHaveStarts`, from the second on. Null when it has another length.
static Value allowedByIndices(NodeReader &node, Value mask, Value keys, bool mayHaveStarts) {
  Value batch = node.sizeOf(keys, 0), length = node.sizeOf(mask, 0), zero = node.intsConstant({0});
  Value places = node.createCount(node.sizeOf(keys, 2));
  auto given = nn::constantInts(length), size = nn::constantInts(batch);
  bool isKnown = given && size, hasOnlyEnds = isKnown && given->front() == size->front();
  if (isKnown && !hasOnlyEnds && (!mayHaveStarts || given->front() != 2 * size->front())) {
    node.unsupported(
        fmt::format("a mask of {} elements for a batch of {}", given->front(), size->front()));
    return {};
  }
  if (hasOnlyEnds || !mayHaveStarts) {
    Value ends = node.create<nn::ReshapeOp>(mask, batch, /*allowzero=*/true);
    return node.create<nn::LessOp>(places, unsqueeze(node, ends, 1));
  }
  // Starts that are missing are 0.
  Value missing = node.create<nn::SubOp>(timesSize(node, batch, 2), length);
  Value pads = concat(node, {zero, node.create<nn::MaxOp>(missing, zero)}, 0);
  Value both = node.create<nn::PadOp>(mask, pads, node.none(), PadMode::Constant);
  Value shape = joinSizes(node, {node.intsConstant({2}), batch});
  both = node.create<nn::ReshapeOp>(both, shape, /*allowzero=*/true);
  Value ends = unsqueeze(node, selectPart(node, both, 0, 0), 1);
  Value starts = unsqueeze(node, selectPart(node, both, 1, 0), 1);
  return node.create<nn::AndOp>(node.create<nn::LessOp>(places, ends),
                                createGreaterOrEqual(node, places, starts));
}

/// The key mask in input `i` as what is added to scores; null without one. It is
/// [batch, keys] or [batch, queries, keys], above 0 for keys that take part, or one of indices.
static Value readKeyMask(NodeReader &node, int i, Value keys, DType dtype, bool mayHaveStarts) {
  double filter = node.getFloat("mask_filter_value", -10000);
  if (!node.hasInput(i))
    return {};
  int64_t rank = requireRank(node, i, 1, 3);
  if (node.failed())
    return {};
  Value mask = convert(node, node.input(i), DType::Int64);
  Value allowed = rank == 1 ? allowedByIndices(node, mask, keys, mayHaveStarts)
                            : createGreater(node, mask, node.scalarConstant(0, DType::Int64));
  if (node.failed())
    return {};
  // In front of queries and keys: the heads and, where queries do not matter, these.
  std::vector<int64_t> axes = rank == 3 ? std::vector<int64_t>{1} : std::vector<int64_t>{1, 2};
  allowed = node.create<nn::UnsqueezeOp>(allowed, node.intsConstant(axes));
  return node.create<nn::WhereOp>(allowed, node.scalarConstant(0, dtype),
                                  node.scalarConstant(filter, dtype));
}

/// Attention of all to all, or causal after `past` keys.
static Value createAttention(NodeReader &node, Value queries, const KeysAndValues &all, Value bias,
                             std::optional<double> scale) {
  requireGroupedHeads(node, queries, all.keys);
  Value scores = createScores(node, queries, all.keys, attentionScale(node, queries, scale));
  scores = add(node, scores, bias);
  return sumValues(node, createProbabilities(node, scores, std::nullopt), all.values);
}

/// The bias of attention to earlier keys only, of which `past` come before the first query.
static Value causalBias(NodeReader &node, Value queries, Value keys, Value past, DType dtype) {
  KeyMask mask = keyMask(node, queries, keys, past);
  mask.requireCausal(node);
  return createBias(node, mask, {}, dtype);
}

//===----------------------------------------------------------------------===//
// Attention and QAttention
//===----------------------------------------------------------------------===//

namespace {
/// The inputs of the ops that follow the projection; -1: none.
struct SelfAttentionInputs {
  int mask, past, bias;
};
} // namespace

/// Attention of `projected`, [batch, length, queries + keys + values], with results in `result`.
static void setSelfAttention(NodeReader &node, Value projected, Value sizes, DType result,
                             const SelfAttentionInputs &inputs) {
  bool isCausal = node.getBool("unidirectional", false);
  std::optional<double> scale = readScale(node);
  refuseAttributes(node, {"do_rotary", "past_present_share_buffer"});
  int64_t heads = readHeads(node, "num_heads");
  if (node.failed())
    return;
  DType dtype = dtypeOf(projected);
  auto parts = node.createMulti<nn::SplitOp>(3, projected, sizes, /*axis=*/2);
  Value queries = splitHeads(node, parts[0], heads);
  KeysAndValues all{splitHeads(node, parts[1], heads), splitHeads(node, parts[2], heads)};
  Value before;
  if (node.hasInput(inputs.past)) {
    requireRank(node, inputs.past, 5, 5);
    if (node.failed())
      return;
    Value cache = convert(node, node.input(inputs.past), dtype);
    before = node.sizeOf(cache, 3);
    all.keys = concat(node, {selectPart(node, cache, 0, 0), all.keys}, 2);
    all.values = concat(node, {selectPart(node, cache, 1, 0), all.values}, 2);
  }
  if (node.hasOutput(1)) {
    Value present = concat(node, {unsqueeze(node, all.keys, 0), unsqueeze(node, all.values, 0)}, 0);
    node.setOutput(1, convert(node, present, result));
  }
  Value added = readKeyMask(node, inputs.mask, all.keys, dtype, /*mayHaveStarts=*/true);
  if (inputs.bias >= 0 && node.hasInput(inputs.bias))
    added = add(node, added, convert(node, node.input(inputs.bias), dtype));
  if (isCausal)
    added = add(node, added, causalBias(node, queries, all.keys, before, dtype));
  if (node.failed())
    return;
  Value y = joinHeads(node, createAttention(node, queries, all, added, scale));
  node.setOutput(0, convert(node, y, result));
}

static void importMicrosoftAttention(NodeReader &node) {
  requireRank(node, 0, 3, 3);
  requireRank(node, 1, 2, 2);
  requireFloats(node, 0);
  refuseInputs(node, {6});
  node.ignoreAttribute("rotary_embedding_dim"); // without do_rotary
  std::vector<int64_t> sizes = node.getInts("qkv_hidden_sizes");
  if (!sizes.empty() && sizes.size() != 3)
    node.invalid(fmt::format("qkv_hidden_sizes has {} entries, expected 3", sizes.size()));
  if (node.failed())
    return;
  Value x = widen(node, node.input(0));
  x = node.create<nn::MatMulOp>(x, convert(node, node.input(1), dtypeOf(x)));
  if (node.hasInput(2))
    x = node.create<nn::AddOp>(x, convert(node, node.input(2), dtypeOf(x)));
  setSelfAttention(node, x, sizes.empty() ? node.none() : node.intsConstant(sizes),
                   node.inputDType(0), {.mask = 3, .past = 4, .bias = 5});
}

/// Input `i` in int32 without its zero point, input `zero`.
static Value centred(NodeReader &node, int i, int zero) {
  Value x = convert(node, node.input(i), DType::Int32);
  return node.hasInput(zero)
             ? node.create<nn::SubOp>(x, convert(node, node.input(zero), DType::Int32))
             : x;
}

/// The projection is exact: integers, then one scale.
static void importQAttention(NodeReader &node) {
  requireRank(node, 0, 3, 3);
  requireRank(node, 1, 2, 2);
  for (int i : {0, 1})
    if (DType dtype = node.inputDType(i); dtype != DType::UInt8 && dtype != DType::Int8)
      node.invalid(fmt::format("input {} must hold bytes, found {}", i, dtypeName(dtype)));
  if (node.failed())
    return;
  Value sums = node.create<nn::MatMulOp>(centred(node, 0, 6), centred(node, 1, 7));
  Value scale = node.create<nn::MulOp>(widen(node, node.input(3)), widen(node, node.input(4)));
  Value x = node.create<nn::MulOp>(convert(node, sums, dtypeOf(scale)), scale);
  x = node.create<nn::AddOp>(x, convert(node, node.input(2), dtypeOf(x)));
  setSelfAttention(node, x, node.none(), node.inputDType(2), {.mask = 5, .past = 8, .bias = -1});
}

//===----------------------------------------------------------------------===//
// MultiHeadAttention
//===----------------------------------------------------------------------===//

/// A part of [batch, length, heads, parts, size] as [batch, length, heads * size].
static Value packedPart(NodeReader &node, Value x, int64_t index, int64_t heads) {
  Value part = selectPart(node, x, index, 3);
  Value width = timesSize(node, node.sizeOf(part, 3), heads);
  Value sizes[] = {node.sizeOf(part, 0), node.sizeOf(part, 1), width};
  return node.create<nn::ReshapeOp>(part, joinSizes(node, sizes), /*allowzero=*/true);
}

/// Adds to each of the projections its part of the bias, input 3.
static void addBias(NodeReader &node, Projections &projections) {
  if (!node.hasInput(3))
    return;
  Value bias = convert(node, node.input(3), dtypeOf(projections.queries));
  Value first = node.intsConstant({0}), width = node.sizeOf(projections.queries, 2);
  auto part = [&](Value begin, Value end) {
    return node.create<nn::SliceOp>(bias, begin, end, first, node.none());
  };
  projections.queries = node.create<nn::AddOp>(projections.queries, part(first, width));
  if (projections.keysHaveHeads)
    return;
  Value twice = timesSize(node, width, 2);
  Value end = node.intsConstant({std::numeric_limits<int64_t>::max()});
  projections.keys = node.create<nn::AddOp>(projections.keys, part(width, twice));
  projections.values = node.create<nn::AddOp>(projections.values, part(twice, end));
}

static Projections readProjections(NodeReader &node, int64_t heads) {
  int64_t rank = requireRank(node, 0, 3, 5);
  requireFloats(node, 0);
  if (rank == 4 || (rank == 5 && (node.hasInput(1) || node.hasInput(2))))
    node.invalid("a query of rank 5 holds keys and values as well, one of rank 4 is unknown");
  Projections projections;
  if (node.failed())
    return projections;
  Value x = widen(node, node.input(0));
  DType dtype = dtypeOf(x);
  projections.queries = rank == 5 ? packedPart(node, x, 0, heads) : x;
  if (rank == 5) {
    projections.keys = packedPart(node, x, 1, heads);
    projections.values = packedPart(node, x, 2, heads);
  } else if (!node.hasInput(1)) {
    node.invalid("input 1, the keys, is missing");
  } else if (int64_t keyRank = requireRank(node, 1, 3, 5); keyRank == 5) {
    Value both = convert(node, node.input(1), dtype);
    projections.keys = packedPart(node, both, 0, heads);
    projections.values = packedPart(node, both, 1, heads);
  } else if (!node.hasInput(2)) {
    node.invalid("input 2, the values, is missing");
  } else if (requireRank(node, 2, 3, 4) != keyRank) {
    node.invalid("keys and values have different ranks");
  } else {
    projections.keys = convert(node, node.input(1), dtype);
    projections.values = convert(node, node.input(2), dtype);
    projections.keysHaveHeads = keyRank == 4;
  }
  if (!node.failed())
    addBias(node, projections);
  return projections;
}

static void importMultiHeadAttention(NodeReader &node) {
  int64_t heads = readHeads(node, "num_heads");
  bool isCausal = node.getBool("unidirectional", false);
  std::optional<double> scale = readScale(node);
  refuseInputs(node, {8, 9});
  if (node.hasInput(6) != node.hasInput(7))
    node.invalid("past_key and past_value are used together only");
  Projections projections = readProjections(node, heads);
  if (node.failed())
    return;
  DType dtype = dtypeOf(projections.queries);
  Value queries = splitHeads(node, projections.queries, heads);
  KeysAndValues all{projections.keys, projections.values};
  if (!projections.keysHaveHeads)
    all = {splitHeads(node, all.keys, heads), splitHeads(node, all.values, heads)};
  Value before;
  if (node.hasInput(6)) {
    requireRank(node, 6, 4, 4);
    requireRank(node, 7, 4, 4);
    if (node.failed())
      return;
    Value past = convert(node, node.input(6), dtype);
    before = node.sizeOf(past, 2);
    all.keys = concat(node, {past, all.keys}, 2);
    all.values = concat(node, {convert(node, node.input(7), dtype), all.values}, 2);
  }
  if (node.failed())
    return;
  node.setOutput(1, convert(node, all.keys, node.inputDType(0)));
  node.setOutput(2, convert(node, all.values, node.inputDType(0)));
  Value bias = readKeyMask(node, 4, all.keys, dtype, /*mayHaveStarts=*/false);
  if (node.hasInput(5))
    bias = add(node, bias, convert(node, node.input(5), dtype));
  if (isCausal)
    bias = add(node, bias, causalBias(node, queries, all.keys, before, dtype));
  if (node.failed())
    return;
  Value y = joinHeads(node, createAttention(node, queries, all, bias, scale));
  node.setOutput(0, convert(node, y, node.inputDType(0)));
}

std::span<const OpsetRow> quern::onnx::microsoftAttentionImports() {
  static constexpr OpsetRow rows[] = {
      {"Attention", 1, 1, 2, 7, 2, importMicrosoftAttention, kMicrosoftDomain},
      {"GroupQueryAttention", 1, 1, 1, 16, 4, importGroupQueryAttention, kMicrosoftDomain},
      {"MultiHeadAttention", 1, 1, 1, 10, 4, importMultiHeadAttention, kMicrosoftDomain},
      {"QAttention", 1, 1, 5, 9, 2, importQAttention, kMicrosoftDomain},
  };
  return rows;
}
