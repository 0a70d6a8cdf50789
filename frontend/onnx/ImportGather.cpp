//===- ImportGather.cpp - elements by index, read and written -------------===//
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/GatherOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

static void importGatherElements(NodeReader &node) {
  int64_t axis = node.getInt("axis", 0);
  node.setOutput(0, node.create<nn::GatherElementsOp>(node.input(0), node.input(1), axis));
}

static void importGatherND(NodeReader &node) {
  int64_t batchDims = node.opset() < 12 ? 0 : node.getInt("batch_dims", 0);
  node.setOutput(0, node.create<nn::GatherNDOp>(node.input(0), node.input(1), batchDims));
}

/// Reductions came with opset 16, those by order with 18.
static ScatterReduction readReduction(NodeReader &node) {
  if (node.opset() < 16)
    return ScatterReduction::None;
  ScatterReduction reduction = node.getEnum("reduction", ScatterReduction::None);
  bool byOrder = reduction == ScatterReduction::Max || reduction == ScatterReduction::Min;
  if (byOrder && node.opset() < 18)
    node.unsupported(fmt::format("reduction '{}' before opset 18", nameOf(reduction)));
  return reduction;
}

static void importScatterElements(NodeReader &node) {
  int64_t axis = node.getInt("axis", 0);
  ScatterReduction reduction = readReduction(node);
  node.setOutput(0, node.create<nn::ScatterElementsOp>(node.input(0), node.input(1), node.input(2),
                                                       reduction, axis));
}

static void importScatterND(NodeReader &node) {
  ScatterReduction reduction = readReduction(node);
  node.setOutput(
      0, node.create<nn::ScatterNDOp>(node.input(0), node.input(1), node.input(2), reduction));
}

/// What stands along an axis where a condition holds: Gather at the places that NonZero finds.
static void importCompress(NodeReader &node) {
  Value input = node.input(0);
  int64_t axis = 0;
  if (node.hasAttribute("axis"))
    axis = node.getInt("axis");
  else
    input = node.create<nn::ReshapeOp>(input, node.intsConstant({-1}), /*allowzero=*/false);
  if (auto condition = node.inputShape(1); condition && condition->rank() != 1)
    return node.invalid(fmt::format("the condition must have rank 1, found {}", condition->rank()));
  Value places = node.create<nn::NonZeroOp>(node.input(1));
  places = node.create<nn::SqueezeOp>(places, node.intsConstant({0}));
  node.setOutput(0, node.create<nn::GatherOp>(input, places, axis));
}

/// Gathers, in each batch, the times in their new order.
static void importReverseSequence(NodeReader &node) {
  int64_t batchAxis = node.getInt("batch_axis", 1), timeAxis = node.getInt("time_axis", 0);
  if (std::min(batchAxis, timeAxis) != 0 || std::max(batchAxis, timeAxis) != 1)
    return node.invalid(fmt::format("batch_axis and time_axis must be 0 and 1, found {} and {}",
                                    batchAxis, timeAxis));
  auto shape = node.inputShape(0);
  if (shape && shape->rank() < 2)
    return node.invalid(fmt::format("the input must have rank 2 or more, found {}", shape->rank()));
  if (!shape && timeAxis == 0)
    return node.unsupported("time_axis 0, when the rank of the input is unknown");
  std::vector<int64_t> perm = {1, 0};
  for (int64_t d = 2; shape && d < shape->rank(); ++d)
    perm.push_back(d);
  Value times = node.createCount(node.sizeOf(node.input(0), timeAxis));
  Value lengths = node.create<nn::UnsqueezeOp>(node.input(1), node.intsConstant({1}));
  Value last = node.create<nn::SubOp>(lengths, node.scalarConstant(1, DType::Int64));
  Value isReversed = node.create<nn::LessOp>(times, lengths);
  Value order = node.create<nn::WhereOp>(isReversed, node.create<nn::SubOp>(last, times), times);
  order = node.create<nn::UnsqueezeOp>(order, node.intsConstant({2}));
  Value input = node.input(0);
  if (timeAxis == 0)
    input = node.create<nn::TransposeOp>(input, perm);
  Value result = node.create<nn::GatherNDOp>(input, order, /*batch_dims=*/1);
  if (timeAxis == 0)
    result = node.create<nn::TransposeOp>(result, perm);
  node.setOutput(0, result);
}

/// Writes updates into a cache, in each batch from its own index on along the axis.
static void importTensorScatter(NodeReader &node) {
  int64_t axis = node.getInt("axis", -2);
  std::string mode = node.getString("mode", "linear");
  if (mode != "linear" && mode != "circular")
    return node.invalid("attribute 'mode': expected linear or circular, found '" + mode + "'");
  auto shape = node.inputShape(1);
  if (!shape)
    return node.unsupported("updates of unknown rank");
  int64_t rank = shape->rank(), at = axis < 0 ? axis + rank : axis;
  if (at < 1 || at >= rank)
    return node.invalid(fmt::format("axis {} is none of 1 to {}", axis, rank - 1));
  // The places along the axis, [batch or 1, 1, ..., length, 1, ...].
  std::vector<int64_t> along(static_cast<size_t>(rank), 1), batch = along;
  along[static_cast<size_t>(at)] = -1;
  batch[0] = -1;
  Value places = node.createCount(node.sizeOf(node.input(1), at));
  places = node.create<nn::ReshapeOp>(places, node.intsConstant(along), /*allowzero=*/false);
  if (node.hasInput(2)) {
    Value first =
        node.create<nn::ReshapeOp>(node.input(2), node.intsConstant(batch), /*allowzero=*/false);
    places = node.create<nn::AddOp>(first, places);
  }
  if (mode == "circular")
    places = node.create<nn::ModOp>(places, node.sizeOf(node.input(0), at));
  Value sizes = node.create<nn::ShapeOp>(node.input(1), node.builder().getI64IntegerAttr(0),
                                         mlir::IntegerAttr());
  places = node.create<nn::ExpandOp>(places, sizes);
  node.setOutput(0, node.create<nn::ScatterElementsOp>(node.input(0), places, node.input(1),
                                                       ScatterReduction::None, at));
}

std::span<const OpsetRow> quern::onnx::gatherImports() {
  static constexpr OpsetRow rows[] = {
      {"Compress", 9, kNewestOpset, 2, 2, 1, importCompress},
      {"GatherElements", 11, kNewestOpset, 2, 2, 1, importGatherElements},
      {"GatherND", 11, kNewestOpset, 2, 2, 1, importGatherND},
      {"ReverseSequence", 10, kNewestOpset, 2, 2, 1, importReverseSequence},
      {"Scatter", 9, 10, 3, 3, 1, importScatterElements},
      {"ScatterElements", 11, kNewestOpset, 3, 3, 1, importScatterElements},
      {"ScatterND", 11, kNewestOpset, 3, 3, 1, importScatterND},
      {"TensorScatter", 24, kNewestOpset, 2, 3, 1, importTensorScatter},
  };
  return rows;
}
