//===- ImportStateSpace.cpp - linear attention and its convolution --------===//
//
// Layers that carry a state from one position to the next instead of looking at all
// earlier ones.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

#include <cmath>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// Zeros of these sizes, of the type of `like`.
static Value createZeros(NodeReader &node, llvm::ArrayRef<Value> sizes, Value like) {
  return node.create<nn::ExpandOp>(constantLike(node, 0, like), joinSizes(node, sizes));
}

/// An error unless the inputs that are there have rank `rank`.
static void requireRank(NodeReader &node, llvm::ArrayRef<int> inputs, int64_t rank) {
  for (int i : inputs) {
    if (!node.hasInput(i))
      continue;
    requireFloats(node, i);
    std::optional<nn::Shape> shape = node.inputShape(i);
    if (!shape)
      node.unsupported(fmt::format("input {} of unknown rank", i));
    else if (shape->rank() != rank)
      node.invalid(fmt::format("input {} has rank {}, expected {}", i, shape->rank(), rank));
  }
}

//===----------------------------------------------------------------------===//
// CausalConvWithState
//===----------------------------------------------------------------------===//

/// Each channel of `padded` with its own kernel: without a number of channels that the model
/// tells, as the products of all windows.
static Value createDepthwise(NodeReader &node, Value padded, Value weight) {
  std::optional<nn::Shape> shape = nn::shapeOf(weight);
  if (shape && (*shape)[0].isStatic() && (*shape)[0].size() > 0)
    return node.create<nn::ConvOp>(padded, weight, node.none(), std::vector<int64_t>{1},
                                   std::vector<int64_t>{1}, std::vector<int64_t>{0, 0},
                                   (*shape)[0].size(), AutoPad::NotSet);
  Value taps = node.createCount(node.sizeOf(weight, 2));
  Value starts = node.createCount(node.sizeOf(node.input(0), 2));
  starts = node.create<nn::UnsqueezeOp>(starts, node.intsConstant({1}));
  Value windows =
      node.create<nn::GatherOp>(padded, node.create<nn::AddOp>(starts, taps), /*axis=*/2);
  Value products = node.create<nn::MulOp>(windows, weight);
  return node.create<nn::ReduceOp>(products, node.intsConstant({-1}), ReduceKind::Sum,
                                   /*keepdims=*/false, /*noop_with_empty_axes=*/false);
}

static void importCausalConv(NodeReader &node) {
  std::string activation = node.getString("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return node.invalid("attribute 'activation': expected none, silu or swish, found '" +
                        activation + "'");
  requireRank(node, {0, 1, 3}, 3);
  requireRank(node, {2}, 1);
  if (node.failed())
    return;
  Value x = widen(node, node.input(0)), weight = convert(node, node.input(1), dtypeOf(x));
  Value one = node.intsConstant({1});
  Value carried = node.create<nn::SubOp>(node.sizeOf(weight, 2), one);
  if (auto taps = nn::constantInts(node.sizeOf(weight, 2))) {
    if (taps->front() < 1)
      return node.invalid("the kernel is empty");
    carried = node.intsConstant({taps->front() - 1});
  }
  Value past = node.hasInput(3)
                   ? convert(node, node.input(3), dtypeOf(x))
                   : createZeros(node, {node.sizeOf(x, 0), node.sizeOf(x, 1), carried}, x);
  Value padded = node.create<nn::ConcatOp>(mlir::ValueRange{past, x}, /*axis=*/2);
  Value y = createDepthwise(node, padded, weight);
  if (node.hasInput(2)) {
    Value bias = convert(node, node.input(2), dtypeOf(x));
    y = node.create<nn::AddOp>(y, node.create<nn::UnsqueezeOp>(bias, one));
  }
  if (activation != "none")
    y = node.create<nn::MulOp>(y, node.create<nn::SigmoidOp>(y));
  node.setOutput(0, convert(node, y, node.inputDType(0)));
  // From the length of the input on.
  Value start = node.sizeOf(x, 2), end = node.create<nn::AddOp>(start, carried);
  Value present = node.create<nn::SliceOp>(padded, start, end, node.intsConstant({2}), node.none());
  node.setOutput(1, convert(node, present, node.inputDType(0)));
}

//===----------------------------------------------------------------------===//
// LinearAttention
//===----------------------------------------------------------------------===//

namespace {
/// What a step sees of each time: [batch, heads, size].
struct Step {
  Value state, query, key, value;
  /// Null where the rule has none: the factor of the state, [batch, heads, size or 1], and
  /// the rate of the correction, [batch, heads or 1, 1].
  Value factor, rate;
};
/// The heads of queries, and of all else.
struct Heads {
  int64_t queries, keys;
};
} // namespace

/// [batch, time, heads * size] as [batch, time, heads, size].
static Value splitLast(NodeReader &node, Value x, int64_t heads) {
  Value size = dividedSize(node, node.sizeOf(x, 2), heads);
  Value sizes[] = {node.sizeOf(x, 0), node.sizeOf(x, 1), node.intsConstant({heads}), size};
  return node.create<nn::ReshapeOp>(x, joinSizes(node, sizes), /*allowzero=*/true);
}

static Value unsqueeze(NodeReader &node, Value x, int64_t axis) {
  return node.create<nn::UnsqueezeOp>(x, node.intsConstant({axis}));
}

/// The state after a step, [batch, heads, key size, value size].
static Value nextState(NodeReader &node, const Step &step) {
  Value state = step.state, value = unsqueeze(node, step.value, 2);
  if (step.factor)
    state = node.create<nn::MulOp>(state, unsqueeze(node, step.factor, -1));
  if (step.rate) { // what the state says of the key is corrected
    Value found = node.create<nn::MatMulOp>(unsqueeze(node, step.key, 2), state);
    value = node.create<nn::MulOp>(node.create<nn::SubOp>(value, found),
                                   unsqueeze(node, step.rate, -1));
  }
  Value outer = node.create<nn::MulOp>(unsqueeze(node, step.key, -1), value);
  Value next = node.create<nn::AddOp>(state, outer);
  return next.getType() == step.state.getType() ? next : reshapeLike(node, next, step.state);
}

/// What the queries read from a state: [batch, heads of queries, value size].
static Value readState(NodeReader &node, Value query, Value state, const Heads &heads) {
  Value batch = node.sizeOf(query, 0), keyHeads = node.intsConstant({heads.keys});
  Value group = node.intsConstant({heads.queries / heads.keys});
  Value rows = node.create<nn::ReshapeOp>(
      query, joinSizes(node, {batch, keyHeads, group, node.sizeOf(query, 2)}), true);
  Value read = node.create<nn::MatMulOp>(rows, state);
  Value sizes[] = {batch, node.intsConstant({heads.queries}), node.sizeOf(state, 3)};
  return node.create<nn::ReshapeOp>(read, joinSizes(node, sizes), /*allowzero=*/true);
}

/// The last state and what has been read at all times, [batch, time, heads, size], when the
/// step goes over the second dimension of its operands.
static mlir::ResultRange scanTimes(NodeReader &node, const Step &whole, const Heads &heads) {
  mlir::OperationState state(node.loc(), nn::ScanOp::getOperationName());
  mlir::Block &block = state.addRegion()->emplaceBlock();
  state.addOperands(whole.state);
  Step step;
  step.state = block.addArgument(whole.state.getType(), node.loc());
  auto addScanned = [&](Value operand) -> Value {
    if (!operand)
      return {};
    state.addOperands(operand);
    mlir::Type type = operand.getType();
    if (auto shape = nn::shapeOf(operand)) {
      nn::DimVector dims = shape->dims();
      dims.erase(dims.begin() + 1);
      type = nn::tensorType(nn::Shape(std::move(dims)), nn::elementTypeOf(operand));
    }
    return block.addArgument(type, node.loc());
  };
  step.query = addScanned(whole.query);
  step.key = addScanned(whole.key);
  step.value = addScanned(whole.value);
  step.factor = addScanned(whole.factor);
  step.rate = addScanned(whole.rate);
  {
    mlir::OpBuilder::InsertionGuard guard(node.builder());
    node.builder().setInsertionPointToStart(&block);
    Value next = nextState(node, step);
    Value read = readState(node, step.query, next, heads);
    node.builder().create<nn::YieldOp>(node.loc(), mlir::ValueRange{next, read});
  }
  mlir::Builder &builder = node.builder();
  std::vector<int64_t> axes(state.operands.size() - 1, 1), forwards(axes.size(), 0);
  state.addAttribute("input_axes", builder.getDenseI64ArrayAttr(axes));
  state.addAttribute("input_directions", builder.getDenseI64ArrayAttr(forwards));
  state.addAttribute("output_axes", builder.getDenseI64ArrayAttr({1}));
  state.addAttribute("output_directions", builder.getDenseI64ArrayAttr({0}));
  return node.createMulti(state, 2);
}

/// Reads the heads, and checks which inputs the update rule has.
static Heads readLinearHeads(NodeReader &node) {
  std::string rule = node.getString("update_rule", "gated_delta");
  bool isGated = rule == "gated" || rule == "gated_delta";
  bool isDelta = rule == "delta" || rule == "gated_delta";
  if (!isGated && !isDelta && rule != "linear")
    node.invalid("attribute 'update_rule': '" + rule + "' is unknown");
  for (auto [i, wanted] : {std::pair{4, isGated}, {5, isDelta}})
    if (node.hasInput(i) != wanted)
      node.invalid(fmt::format("update rule {} {} input {}", rule, wanted ? "needs" : "has no", i));
  node.ignoreAttribute("chunk_size"); // of a parallel way to the same results
  Heads heads{node.getInt("q_num_heads"), node.getInt("kv_num_heads")};
  if (heads.queries < 1 || heads.keys < 1 || heads.queries % heads.keys != 0) {
    node.invalid(fmt::format("q_num_heads must be a positive multiple of kv_num_heads, found {} "
                             "and {}",
                             heads.queries, heads.keys));
    heads = {1, 1};
  }
  return heads;
}

static void importLinearAttention(NodeReader &node) {
  Heads heads = readLinearHeads(node);
  double scale = node.getFloat("scale", 0);
  requireRank(node, {0, 1, 2, 4, 5}, 3);
  requireRank(node, {3}, 4);
  if (node.failed())
    return;
  auto wide = [&](int i) { return convert(node, node.input(i), DType::Float32); };
  Step whole;
  whole.query = splitLast(node, wide(0), heads.queries);
  whole.key = splitLast(node, wide(1), heads.keys);
  whole.value = splitLast(node, wide(2), heads.keys);
  if (node.hasInput(4))
    whole.factor = node.create<nn::ExpOp>(splitLast(node, wide(4), heads.keys));
  if (node.hasInput(5))
    whole.rate = unsqueeze(node, wide(5), -1);
  Value sizes[] = {node.sizeOf(whole.key, 0), node.intsConstant({heads.keys}),
                   node.sizeOf(whole.key, 3), node.sizeOf(whole.value, 3)};
  whole.state = node.hasInput(3) ? wide(3) : createZeros(node, sizes, whole.key);
  if (node.failed())
    return;
  auto results = scanTimes(node, whole, heads);
  Value factor;
  if (scale != 0) {
    factor = constantLike(node, scale, whole.query);
  } else {
    Value size = convert(node, node.sizeOf(whole.query, 3), DType::Float32);
    factor = createReciprocal(node, node.create<nn::SqrtOp>(size));
  }
  Value y = node.create<nn::MulOp>(results[1], factor);
  Value width = timesSize(node, node.sizeOf(whole.value, 3), heads.queries);
  Value shape = joinSizes(node, {node.sizeOf(y, 0), node.sizeOf(y, 1), width});
  y = node.create<nn::ReshapeOp>(y, shape, /*allowzero=*/true);
  node.setOutput(0, convert(node, y, node.inputDType(0)));
  DType stateType = node.inputDType(node.hasInput(3) ? 3 : 0);
  node.setOutput(1, convert(node, results[0], stateType));
}

std::span<const OpsetRow> quern::onnx::stateSpaceImports() {
  static constexpr OpsetRow rows[] = {
      {"CausalConvWithState", 27, kNewestOpset, 2, 4, 2, importCausalConv},
      {"LinearAttention", 27, kNewestOpset, 3, 6, 2, importLinearAttention},
  };
  return rows;
}
