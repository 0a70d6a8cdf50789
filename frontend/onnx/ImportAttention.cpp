//===- ImportAttention.cpp - attention, rotary embeddings -----------------===//
//
// Compositions. They are computed in float32 at least, and rounded once.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Attention.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

#include <limits>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A float type by its number in an attribute; nullopt when the node has none.
static std::optional<DType> readFloatType(NodeReader &node, const char *name) {
  if (!node.hasAttribute(name))
    return std::nullopt;
  int64_t number = node.getInt(name);
  for (DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::BFloat16})
    if (number == static_cast<int64_t>(dtype))
      return dtype;
  node.invalid(fmt::format("attribute '{}': {} is no float type", name, number));
  return std::nullopt;
}

static std::optional<double> readScale(NodeReader &node) {
  return node.hasAttribute("scale") ? std::optional(node.getFloat("scale")) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

namespace {
/// The operands in four dimensions, of the type of the computation.
struct Operands {
  Value queries, keys, values;
  /// Whether they came, and the result goes, in three dimensions.
  bool isPacked;
};
} // namespace

/// An error unless the inputs 0 to 2 all have rank 4 or, where `maybePacked`, 3. That rank.
static int64_t requireRanks(NodeReader &node, bool maybePacked) {
  std::optional<int64_t> rank;
  for (int i : {0, 1, 2}) {
    requireFloats(node, i);
    std::optional<nn::Shape> shape = node.inputShape(i);
    if (!shape) {
      node.unsupported(fmt::format("input {} of unknown rank", i));
    } else if (shape->rank() != 4 && !(maybePacked && shape->rank() == 3)) {
      node.invalid(fmt::format("input {} has rank {}, expected {}", i, shape->rank(),
                               maybePacked ? "3 or 4" : "4"));
    } else if (shape->rank() != rank.value_or(shape->rank())) {
      node.invalid(fmt::format("input {} has rank {}, input 0 has {}", i, shape->rank(), *rank));
    }
    rank = shape ? shape->rank() : 4;
  }
  return rank.value_or(4);
}

static int64_t readHeads(NodeReader &node, const char *name) {
  int64_t heads = node.getInt(name, 0);
  if (heads < 1)
    node.invalid(fmt::format("attribute '{}': expected at least 1 for packed inputs, found {}",
                             name, heads));
  return std::max<int64_t>(heads, 1);
}

static Operands readOperands(NodeReader &node) {
  bool isPacked = requireRanks(node, /*maybePacked=*/true) == 3;
  DType dtype = attentionType(node, {0, 1, 2});
  Operands operands{{}, {}, {}, isPacked};
  node.ignoreAttribute("q_num_heads");
  node.ignoreAttribute("kv_num_heads");
  int64_t heads = isPacked ? readHeads(node, "q_num_heads") : 0;
  int64_t keyHeads = isPacked ? readHeads(node, "kv_num_heads") : 0;
  Value *places[] = {&operands.queries, &operands.keys, &operands.values};
  for (int i = 0; i < 3 && !node.failed(); ++i) {
    Value x = convert(node, node.input(i), dtype);
    *places[i] = isPacked ? splitHeads(node, x, i == 0 ? heads : keyHeads) : x;
  }
  return operands;
}

/// Puts the keys and values of earlier steps before these, and gives both to results 1
/// and 2. How many came before; null when none did.
static Value appendToPast(NodeReader &node, Operands &operands) {
  if (node.hasInput(4) != node.hasInput(5))
    node.invalid("past_key and past_value are used together only");
  if (node.hasInput(4) && node.hasInput(6))
    node.invalid("nonpad_kv_seqlen is not used together with past_key");
  Value count;
  Value *places[] = {&operands.keys, &operands.values};
  for (int i : {4, 5}) {
    if (node.failed())
      return {};
    Value &present = *places[i - 4];
    if (node.hasInput(i)) {
      Value past = convert(node, node.input(i), dtypeOf(present));
      if (i == 4)
        count = node.sizeOf(past, 2);
      present = node.create<nn::ConcatOp>(mlir::ValueRange{past, present}, /*axis=*/2);
    }
    if (node.hasOutput(i - 3))
      node.setOutput(i - 3, convert(node, present, node.inputDType(i - 3)));
  }
  return count;
}

/// Input 3 as what is added to scores; a bool says which keys take part. Its last dimension
/// may lack the last keys: these do not take part.
static Value readMask(NodeReader &node, const Operands &operands) {
  if (!node.hasInput(3))
    return {};
  DType dtype = dtypeOf(operands.queries);
  std::optional<nn::Shape> shape = node.inputShape(3);
  if (!shape || shape->rank() < 1 || shape->rank() > 4) {
    node.invalid("attn_mask must have a rank of 1 to 4");
    return {};
  }
  Value none = node.scalarConstant(-kInfinity, dtype);
  Value mask = node.inputDType(3) == DType::Bool
                   ? node.create<nn::WhereOp>(node.input(3), node.scalarConstant(0, dtype), none)
                   : convert(node, node.input(3), dtype);
  Value given = node.sizeOf(mask, -1), wanted = node.sizeOf(operands.keys, 2);
  std::optional<nn::Shape> keys = nn::shapeOf(operands.keys);
  if (keys && (*keys)[2].provablyEquals((*shape)[shape->rank() - 1]))
    return mask;
  auto from = nn::constantInts(given), to = nn::constantInts(wanted);
  if (from && to && from->front() > to->front())
    node.invalid(fmt::format("attn_mask is for {} keys, there are {}", from->front(), to->front()));
  std::vector<int64_t> before(static_cast<size_t>(2 * shape->rank() - 1), 0);
  Value missing = node.create<nn::SubOp>(wanted, given);
  Value pads = node.create<nn::ConcatOp>(mlir::ValueRange{node.intsConstant(before), missing}, 0);
  return node.create<nn::PadOp>(mask, pads, none, PadMode::Constant);
}

/// What the attributes and inputs 3 and 6 add to scores; null when nothing. `past` is the
/// number of keys before those of the queries.
static Value readBias(NodeReader &node, const Operands &operands, Value past) {
  bool isCausal = node.getBool("is_causal", false);
  int64_t left = -1, right = -1;
  if (node.opset() >= 25) {
    left = node.getInt("left_window_size", -1);
    right = node.getInt("right_window_size", -1);
    if (left < -1 || right < -1)
      node.invalid(fmt::format("window sizes must be -1 or more, found {} and {}", left, right));
  }
  Value counts, offset = past;
  if (node.hasInput(6)) {
    counts = node.create<nn::ReshapeOp>(node.input(6), node.intsConstant({-1, 1, 1, 1}),
                                        /*allowzero=*/false);
    offset = node.create<nn::SubOp>(counts, node.sizeOf(operands.queries, 2));
  }
  KeyMask mask;
  if (isCausal || left >= 0 || right >= 0 || counts)
    mask = keyMask(node, operands.queries, operands.keys, offset);
  if (isCausal)
    mask.requireCausal(node);
  mask.requireWindow(node, left, right);
  if (counts)
    mask.requireFirst(node, counts);
  return createBias(node, mask, readMask(node, operands), dtypeOf(operands.queries));
}

/// Probabilities are 0 where a query may see no key at all.
static Value zeroMaskedRows(NodeReader &node, Value probabilities, Value bias) {
  Value largest =
      node.create<nn::ReduceOp>(bias, node.intsConstant({-1}), ReduceKind::Max, /*keepdims=*/true,
                                /*noop_with_empty_axes=*/false);
  Value isMasked = node.create<nn::EqualOp>(largest, constantLike(node, -kInfinity, bias));
  return node.create<nn::WhereOp>(isMasked, constantLike(node, 0, probabilities), probabilities);
}

static void importAttention(NodeReader &node) {
  std::optional<double> scale = readScale(node);
  double cap = node.getFloat("softcap", 0);
  std::optional<DType> softmaxType = readFloatType(node, "softmax_precision");
  int64_t stage = node.getInt("qk_matmul_output_mode", 0);
  if (stage < 0 || stage > 3)
    node.invalid(fmt::format("attribute 'qk_matmul_output_mode': {} is not in [0, 3]", stage));
  Operands operands = readOperands(node);
  if (node.failed())
    return;
  Value past = appendToPast(node, operands);
  requireGroupedHeads(node, operands.queries, operands.keys);
  Value bias = readBias(node, operands, past);
  if (node.failed())
    return;
  Value scores = createScores(node, operands.queries, operands.keys,
                              attentionScale(node, operands.queries, scale));
  Value capped = capScores(node, scores, cap);
  Value biased = bias ? node.create<nn::AddOp>(capped, bias) : capped;
  Value probabilities = createProbabilities(node, biased, softmaxType);
  if (bias)
    probabilities = zeroMaskedRows(node, probabilities, bias);
  Value y = sumValues(node, probabilities, operands.values);
  DType dtype = node.inputDType(0);
  node.setOutput(0, convert(node, operands.isPacked ? joinHeads(node, y) : y, dtype));
  const Value stages[] = {scores, capped, biased, probabilities};
  if (node.hasOutput(3))
    node.setOutput(3, convert(node, stages[stage], dtype));
}

//===----------------------------------------------------------------------===//
// FlexAttention
//===----------------------------------------------------------------------===//

/// What a graph attribute makes of `value`: its nodes are put here. `value` when the node has no
/// such attribute.
static Value applyGraph(NodeReader &node, const char *name, Value value) {
  if (!node.hasAttribute(name) || node.failed())
    return value;
  const proto::GraphProto *graph = node.getGraph(name);
  if (!graph)
    return value;
  if (graph->input_size() != 1 || graph->output_size() != 1) {
    node.invalid(fmt::format("attribute '{}': the graph has {} inputs and {} outputs, expected one "
                             "of each",
                             name, graph->input_size(), graph->output_size()));
    return value;
  }
  mlir::Region region;
  mlir::Block &block = region.emplaceBlock();
  mlir::BlockArgument argument = block.addArgument(value.getType(), node.loc());
  auto results = node.graph().importBody(*graph, node.scope(), block);
  if (!results) {
    node.fail(results.status().withContext(fmt::format("attribute '{}'", name)));
    return value;
  }
  Value result = results->front() == argument ? value : results->front();
  argument.replaceAllUsesWith(value);
  mlir::OpBuilder &builder = node.builder();
  builder.getInsertionBlock()->getOperations().splice(builder.getInsertionPoint(),
                                                      block.getOperations());
  if (nn::isNestedType(result.getType()) || dtypeOf(result) != dtypeOf(value)) {
    node.invalid(
        fmt::format("attribute '{}': the graph gives another type than it is given", name));
    return value;
  }
  return result;
}

static void importFlexAttention(NodeReader &node) {
  std::optional<double> scale = readScale(node);
  std::optional<DType> softmaxType = readFloatType(node, "softmax_precision");
  requireRanks(node, /*maybePacked=*/false);
  if (node.failed())
    return;
  DType dtype = attentionType(node, {0, 1, 2});
  Value queries = convert(node, node.input(0), dtype), keys = convert(node, node.input(1), dtype);
  requireGroupedHeads(node, queries, keys);
  Value scores = createScores(node, queries, keys, attentionScale(node, queries, scale));
  // The graphs see the type of the softmax.
  scores = convert(node, scores, softmaxType.value_or(dtype));
  scores = applyGraph(node, "score_mod", scores);
  Value probabilities = createProbabilities(node, scores, std::nullopt);
  probabilities = applyGraph(node, "prob_mod", probabilities);
  if (node.failed())
    return;
  Value y =
      sumValues(node, convert(node, probabilities, dtype), convert(node, node.input(2), dtype));
  node.setOutput(0, convert(node, y, node.inputDType(0)));
}

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

/// Reads the attributes; the number of heads, 0 when the node does not say.
static int64_t readRotary(NodeReader &node, Rotary &rotary) {
  rotary.interleaved = node.getBool("interleaved", false);
  rotary.size = node.getInt("rotary_embedding_dim", 0);
  int64_t heads = node.getInt("num_heads", 0);
  if (rotary.size < 0 || heads < 0)
    node.invalid(fmt::format("rotary_embedding_dim is {}, num_heads {}", rotary.size, heads));
  requireFloats(node, 0);
  std::optional<nn::Shape> shape = node.inputShape(0);
  if (!shape)
    node.unsupported("an input of unknown rank");
  else if (shape->rank() != 3 && shape->rank() != 4)
    node.invalid(fmt::format("the input must have rank 3 or 4, found {}", shape->rank()));
  return heads;
}

/// Rotates input 0, `x` in wide floats, whose last dimension is split into heads when it has
/// three: into as many, or (0) into those of twice as many elements as there are angles.
static void setRotated(NodeReader &node, Value x, const Rotary &rotary, int64_t heads) {
  for (Value angle : {rotary.cos, rotary.sin})
    if (auto found = nn::shapeOf(angle); found && found->rank() != 3)
      node.invalid(
          fmt::format("cos and sin must be [batch, length, size / 2], found {}", found->str()));
  bool isPacked = node.inputShape(0)->rank() == 3;
  if (node.failed())
    return;
  Value split = x;
  if (isPacked) {
    Value width = node.sizeOf(x, 2), size = timesSize(node, node.sizeOf(rotary.cos, -1), 2);
    Value count = node.intsConstant({heads});
    if (heads > 0)
      size = dividedSize(node, width, heads);
    else if (auto known = nn::constantInts(size); known && known->front() > 0)
      count = dividedSize(node, width, known->front());
    else
      count = node.create<nn::DivOp>(width, size);
    Value sizes[] = {node.sizeOf(x, 0), node.sizeOf(x, 1), count, size};
    split = node.create<nn::ReshapeOp>(x, joinSizes(node, sizes), /*allowzero=*/true);
  }
  if (node.failed())
    return;
  Value y = rotate(node, split, rotary, /*headsLast=*/isPacked);
  node.setOutput(0, convert(node, isPacked ? reshapeLike(node, y, x) : y, node.inputDType(0)));
}

static void importRotaryEmbedding(NodeReader &node) {
  Rotary rotary;
  int64_t heads = readRotary(node, rotary);
  if (!node.failed() && heads == 0 && node.inputShape(0)->rank() == 3)
    node.invalid("attribute 'num_heads' is required for an input of rank 3");
  if (node.failed())
    return;
  Value x = widen(node, node.input(0));
  auto angles = [&](int i) -> Value {
    Value cache = convert(node, node.input(i), dtypeOf(x));
    return node.hasInput(3) ? node.create<nn::GatherOp>(cache, node.input(3), /*axis=*/0) : cache;
  };
  rotary.cos = angles(1);
  rotary.sin = angles(2);
  setRotated(node, x, rotary, heads);
}

/// ONNX Runtime's: position_ids come before the caches, and may be the first position of all.
static void importMicrosoftRotaryEmbedding(NodeReader &node) {
  Rotary rotary;
  int64_t heads = readRotary(node, rotary);
  if (node.getFloat("scale", 1) != 1)
    node.unsupported("attribute 'scale'");
  if (node.getBool("is_packed_batching", false))
    node.unsupported("attribute 'is_packed_batching' = 1");
  std::optional<nn::Shape> ids = node.inputShape(1);
  if (!ids || ids->rank() < 1 || ids->rank() > 2)
    node.invalid("position_ids must have rank 1 or 2");
  if (node.failed())
    return;
  Value x = widen(node, node.input(0)), positions = node.input(1);
  bool isPacked = node.inputShape(0)->rank() == 3;
  if (ids->rank() == 1) {
    Value count = node.createCount(node.sizeOf(x, isPacked ? 1 : 2));
    positions = node.create<nn::UnsqueezeOp>(node.create<nn::AddOp>(positions, count),
                                             node.intsConstant({0}));
  }
  auto angles = [&](int i) -> Value {
    return node.create<nn::GatherOp>(convert(node, node.input(i), dtypeOf(x)), positions, 0);
  };
  rotary.cos = angles(2);
  rotary.sin = angles(3);
  setRotated(node, x, rotary, heads);
}

std::span<const OpsetRow> quern::onnx::attentionImports() {
  static constexpr OpsetRow rows[] = {
      {"Attention", 23, kNewestOpset, 3, 7, 4, importAttention},
      {"FlexAttention", 1, 1, 3, 3, 1, importFlexAttention, kPreviewDomain},
      {"RotaryEmbedding", 1, 1, 4, 4, 1, importMicrosoftRotaryEmbedding, kMicrosoftDomain},
      {"RotaryEmbedding", 23, kNewestOpset, 3, 4, 1, importRotaryEmbedding},
  };
  return rows;
}
