//===- ImportGroupQueryAttention.cpp - attention over a cache -------------===//
//
// The keys and values of a batch of sequences lie in one cache, each sequence's from its
// start on; the runs tell how many it has. A plan's sizes do not depend on that, unless the
// cache must grow.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/MicrosoftAttention.h"
#include "frontend/onnx/Operands.h"
#include "ir/GatherOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

namespace {
/// The lengths that a run tells, int64.
struct CacheLengths {
  /// The keys of each sequence, [batch].
  Value total;
  /// Those of them that come before the queries, [batch].
  Value past;
  /// The longest, a vector of one.
  Value longest;
};
} // namespace

/// The first run after a start has all keys: nothing is past, even of shorter sequences.
static CacheLengths readLengths(NodeReader &node, Value queryCount) {
  Value one = node.scalarConstant(1, DType::Int64), zero = node.scalarConstant(0, DType::Int64);
  Value vector = node.intsConstant({-1});
  auto ints = [&](int i) -> Value {
    return node.create<nn::ReshapeOp>(convert(node, node.input(i), DType::Int64), vector, false);
  };
  CacheLengths lengths;
  lengths.total = node.create<nn::AddOp>(ints(5), one);
  lengths.longest = ints(6);
  Value isFirst = node.create<nn::EqualOp>(queryCount, lengths.longest);
  Value past = node.create<nn::SubOp>(lengths.total, queryCount);
  lengths.past = node.create<nn::WhereOp>(isFirst, zero, past);
  return lengths;
}

/// Inputs 0 to 2 as heads; input 0 may hold all.
static Projections readGroupedHeads(NodeReader &node, int64_t heads, int64_t keyHeads) {
  requireRank(node, 0, 3, 3);
  requireFloats(node, 0);
  if (node.hasInput(1) != node.hasInput(2))
    node.invalid("key and value are used together only");
  for (int i : {1, 2})
    if (node.hasInput(i))
      requireRank(node, i, 3, 3);
  if (node.failed())
    return {};
  Value x = widen(node, node.input(0));
  Projections packed{x, {}, {}, true};
  if (node.hasInput(1)) {
    packed.keys = convert(node, node.input(1), dtypeOf(x));
    packed.values = convert(node, node.input(2), dtypeOf(x));
  } else {
    Value size = dividedSize(node, node.sizeOf(x, 2), heads + 2 * keyHeads);
    Value few = timesSize(node, size, keyHeads);
    Value sizes = joinSizes(node, {timesSize(node, size, heads), few, few});
    auto parts = node.createMulti<nn::SplitOp>(3, x, sizes, /*axis=*/2);
    packed = {parts[0], parts[1], parts[2], true};
  }
  return {splitHeads(node, packed.queries, heads), splitHeads(node, packed.keys, keyHeads),
          splitHeads(node, packed.values, keyHeads), true};
}

/// [batch, length]: where queries stand, from input 9 or their places.
static Value queryPositions(NodeReader &node, Value queries, const CacheLengths &lengths) {
  if (node.hasInput(9))
    return node.input(9);
  Value count = node.createCount(node.sizeOf(queries, 2));
  return node.create<nn::AddOp>(unsqueeze(node, lengths.past, 1), count);
}

/// `cache` with `added` from the end of each sequence's past on.
static Value writeToCache(NodeReader &node, Value cache, Value added, const CacheLengths &lengths) {
  // As long as the longest sequence at least.
  Value size = node.sizeOf(cache, 2), zero = node.intsConstant({0});
  Value missing = node.create<nn::MaxOp>(node.create<nn::SubOp>(lengths.longest, size), zero);
  Value before = node.intsConstant({0, 0, 0, 0, 0, 0});
  Value pads = concat(node, {before, missing, zero}, 0);
  cache = node.create<nn::PadOp>(cache, pads, node.none(), PadMode::Constant);
  Value first = node.create<nn::UnsqueezeOp>(lengths.past, node.intsConstant({1, 2, 3}));
  Value count = unsqueeze(node, node.createCount(node.sizeOf(added, 2)), 1);
  Value shape =
      node.create<nn::ShapeOp>(added, node.builder().getI64IntegerAttr(0), mlir::IntegerAttr());
  Value places = node.create<nn::ExpandOp>(node.create<nn::AddOp>(first, count), shape);
  return node.create<nn::ScatterElementsOp>(cache, places, added, ScatterReduction::None,
                                            /*axis=*/2);
}

/// The softmax where each head also attends to a key without a value, of score `sink`, [heads].
static Value probabilitiesWithSink(NodeReader &node, Value scores, Value sink) {
  Value sizes[] = {node.sizeOf(scores, 0), node.sizeOf(scores, 1), node.sizeOf(scores, 2),
                   node.intsConstant({1})};
  Value column = node.create<nn::UnsqueezeOp>(sink, node.intsConstant({0, 2, 3}));
  column = node.create<nn::ExpandOp>(column, joinSizes(node, sizes));
  Value whole = createProbabilities(node, concat(node, {scores, column}, 3), std::nullopt);
  return node.create<nn::SliceOp>(whole, node.intsConstant({0}), node.sizeOf(scores, 3),
                                  node.intsConstant({3}), node.none());
}

namespace {
/// The attributes of GroupQueryAttention.
struct GroupedOptions {
  int64_t heads, keyHeads, window;
  bool isCausal, hasRotary, isInterleaved, hasSink;
  std::optional<double> scale;
  double cap;
};
} // namespace

static GroupedOptions readGroupedOptions(NodeReader &node) {
  GroupedOptions options{};
  options.heads = readHeads(node, "num_heads");
  options.keyHeads = readHeads(node, "kv_num_heads");
  options.window = node.getInt("local_window_size", -1);
  options.isCausal = node.getBool("causal", true);
  options.hasRotary = node.getBool("do_rotary", false);
  options.isInterleaved = node.getBool("rotary_interleaved", false);
  options.hasSink = node.getInt("smooth_softmax", -1) > 0;
  options.scale = readScale(node);
  options.cap = node.getFloat("softcap", 0);
  for (const char *name : {"k_quant_type", "v_quant_type"})
    if (std::string kind = node.getString(name, "NONE"); kind != "NONE")
      node.unsupported(fmt::format("attribute '{}' = {}", name, kind));
  for (const char *name : {"kv_cache_bit_width", "qk_norm_epsilon"})
    node.ignoreAttribute(name); // of what is refused
  refuseAttributes(node, {"sliding_window_cache", "qk_output"});
  refuseInputs(node, {12, 13, 14, 15});
  if (options.heads % options.keyHeads != 0)
    node.invalid(fmt::format("num_heads is {}, no multiple of kv_num_heads, {}", options.heads,
                             options.keyHeads));
  if (options.hasRotary && (!node.hasInput(7) || !node.hasInput(8)))
    node.invalid("do_rotary needs inputs 7 and 8");
  if (node.hasInput(3) != node.hasInput(4))
    node.invalid("past_key and past_value are used together only");
  for (int i : {5, 6})
    if (!node.hasInput(i))
      node.invalid(fmt::format("input {} is required but left out", i));
  for (int i : {3, 4})
    if (node.hasInput(i)) {
      requireFloats(node, i);
      requireRank(node, i, 4, 4);
    }
  return options;
}

/// Which keys the queries see: of those that the sequence has so far, the last `window`.
static Value groupedBias(NodeReader &node, const GroupedOptions &options, Value queries, Value keys,
                         const CacheLengths &lengths) {
  auto perSequence = [&](Value vector) -> Value {
    return node.create<nn::UnsqueezeOp>(vector, node.intsConstant({1, 2, 3}));
  };
  KeyMask mask = keyMask(node, queries, keys, perSequence(lengths.past));
  if (options.isCausal)
    mask.requireCausal(node);
  else
    mask.requireFirst(node, perSequence(lengths.total));
  if (options.window > 0)
    mask.requireWindow(node, options.window - 1, -1);
  DType dtype = dtypeOf(queries);
  Value added = node.hasInput(10) ? convert(node, node.input(10), dtype) : Value();
  return createBias(node, mask, added, dtype);
}

void quern::onnx::importGroupQueryAttention(NodeReader &node) {
  GroupedOptions options = readGroupedOptions(node);
  if (node.failed())
    return;
  Projections heads = readGroupedHeads(node, options.heads, options.keyHeads);
  if (node.failed())
    return;
  DType dtype = dtypeOf(heads.queries);
  CacheLengths lengths = readLengths(node, node.sizeOf(heads.queries, 2));
  if (options.hasRotary) {
    Value positions = queryPositions(node, heads.queries, lengths);
    auto angles = [&](int i) -> Value {
      return node.create<nn::GatherOp>(convert(node, node.input(i), dtype), positions, 0);
    };
    Rotary rotary{angles(7), angles(8), options.isInterleaved, 0};
    if (auto half = nn::constantInts(node.sizeOf(rotary.cos, -1)))
      rotary.size = 2 * half->front();
    heads.queries = rotate(node, heads.queries, rotary, /*headsLast=*/false);
    heads.keys = rotate(node, heads.keys, rotary, /*headsLast=*/false);
  }
  KeysAndValues all{heads.keys, heads.values};
  if (node.hasInput(3)) {
    all.keys = writeToCache(node, convert(node, node.input(3), dtype), all.keys, lengths);
    all.values = writeToCache(node, convert(node, node.input(4), dtype), all.values, lengths);
  }
  if (node.failed())
    return;
  node.setOutput(1, convert(node, all.keys, node.inputDType(0)));
  node.setOutput(2, convert(node, all.values, node.inputDType(0)));
  Value scores = createScores(node, heads.queries, all.keys,
                              attentionScale(node, heads.queries, options.scale));
  scores = capScores(node, scores, options.cap);
  scores = add(node, scores, groupedBias(node, options, heads.queries, all.keys, lengths));
  Value sink = node.hasInput(11)  ? convert(node, node.input(11), dtype)
               : !options.hasSink ? Value()
                                  : node.create<nn::ExpandOp>(node.scalarConstant(0, dtype),
                                                              node.intsConstant({options.heads}));
  Value probabilities = sink ? probabilitiesWithSink(node, scores, sink)
                             : createProbabilities(node, scores, std::nullopt);
  Value y = joinHeads(node, sumValues(node, probabilities, all.values));
  node.setOutput(0, convert(node, y, node.inputDType(0)));
}
