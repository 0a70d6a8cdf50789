//===- ImportPool.cpp - pooling -------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/compose/Window.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/WindowAttributes.h"
#include "ir/GatherOps.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

namespace {
/// The window of a pooling node and its rounding.
struct PoolWindow : Window {
  bool ceilMode;
};
} // namespace

static PoolWindow readPoolWindow(NodeReader &node) {
  PoolWindow window{readWindow(node), node.getBool("ceil_mode", false)};
  if (window.kernel.empty())
    node.invalid("required attribute 'kernel_shape' is missing");
  // SAME_* fixes the output size: there is nothing left to round.
  if (window.autoPad != AutoPad::NotSet)
    window.ceilMode = false;
  resolveAutoPad(window, node.inputShape(0));
  return window;
}

static void importMaxPool(NodeReader &node) {
  PoolWindow window = readPoolWindow(node);
  int64_t storageOrder = node.getInt("storage_order", 0);
  if (!node.hasOutput(1))
    return node.setOutput(0, node.create<nn::MaxPoolOp>(
                                 node.input(0), window.kernel, window.strides, window.dilations,
                                 window.pads, window.ceilMode, window.autoPad));
  auto results = node.createMulti<nn::MaxPoolWithIndicesOp>(
      2, node.input(0), window.kernel, window.strides, window.dilations, window.pads,
      window.ceilMode, storageOrder, window.autoPad);
  node.setOutput(0, results[0]);
  node.setOutput(1, results[1]);
}

static void importAveragePool(NodeReader &node) {
  PoolWindow window = readPoolWindow(node);
  bool countPads = node.getBool("count_include_pad", false);
  node.setOutput(0, node.create<nn::AveragePoolOp>(node.input(0), window.kernel, window.strides,
                                                   window.dilations, window.pads, window.ceilMode,
                                                   countPads, window.autoPad));
}

template <ReduceKind kind> static void importGlobalPool(NodeReader &node) {
  node.setOutput(0, node.create<nn::GlobalPoolOp>(node.input(0), kind));
}

/// ONNX Runtime's op on [N, spatial..., C].
static void importNhwcMaxPool(NodeReader &node) {
  PoolWindow window = readPoolWindow(node);
  auto rank = static_cast<int64_t>(window.kernel.size()) + 2;
  if (auto shape = node.inputShape(0); shape && shape->rank() != rank)
    node.invalid(fmt::format("the input must have rank {}, found {}", rank, shape->rank()));
  if (node.failed())
    return;
  std::vector<int64_t> toFront = {0, rank - 1}, toBack = {0};
  for (int64_t axis = 1; axis < rank - 1; ++axis) {
    toFront.push_back(axis);
    toBack.push_back(axis + 1);
  }
  toBack.push_back(1);
  Value input = node.create<nn::TransposeOp>(node.input(0), toFront);
  Value pooled = node.create<nn::MaxPoolOp>(input, window.kernel, window.strides, window.dilations,
                                            window.pads, window.ceilMode, window.autoPad);
  node.setOutput(0, node.create<nn::TransposeOp>(pooled, toBack));
}

//===----------------------------------------------------------------------===//
// Norms of windows
//===----------------------------------------------------------------------===//

/// |x|^p, of which sums are made.
static Value powerOf(NodeReader &node, Value x, double p) {
  if (p == 2)
    return node.create<nn::MulOp>(x, x);
  Value magnitude = node.create<nn::AbsOp>(x);
  return p == 1 ? magnitude : node.create<nn::PowOp>(magnitude, constantLike(node, p, x));
}

static Value rootOf(NodeReader &node, Value sum, double p) {
  if (p == 1)
    return sum;
  return p == 2 ? node.create<nn::SqrtOp>(sum)
                : node.create<nn::PowOp>(sum, constantLike(node, 1 / p, sum));
}

/// The norm's p, and input 0 in float32 at least.
static double readNorm(NodeReader &node) {
  double p = node.getNumber("p", 2);
  requireFloats(node, 0);
  if (!(p > 0) || std::isinf(p))
    node.invalid(fmt::format("attribute 'p' must be positive, found {}", p));
  return p;
}

/// `x`, of zeros at its ends so that every window that ceil_mode adds is whole; then as many
/// windows as start before the end padding.
static Value averageOfWholeWindows(NodeReader &node, Value x, const PoolWindow &window) {
  auto axes = static_cast<int64_t>(window.kernel.size());
  std::vector<int64_t> pads(2 * axes + 4, 0), none(2 * axes, 0), begins, spatial;
  std::vector<int64_t> starts(axes, 0);
  for (int64_t axis = 0; axis < axes; ++axis) {
    pads[2 + axis] = window.pads[axis];
    pads[4 + axes + axis] = window.pads[axes + axis] + window.strides[axis] - 1;
    begins.push_back(window.pads[axis] - 1);
    spatial.push_back(2 + axis);
  }
  Value padded = node.create<nn::PadOp>(x, node.intsConstant(pads), node.none(), PadMode::Constant);
  Value pooled = node.create<nn::AveragePoolOp>(padded, window.kernel, window.strides,
                                                window.dilations, none, /*ceil_mode=*/false,
                                                /*count_include_pad=*/true, AutoPad::NotSet);
  Value starting = node.create<nn::AddOp>(createSizes(node, x, 2), node.intsConstant(begins));
  Value ends = node.create<nn::AddOp>(
      node.create<nn::DivOp>(starting, node.intsConstant(window.strides)), node.intsConstant({1}));
  return node.create<nn::SliceOp>(pooled, node.intsConstant(starts), ends,
                                  node.intsConstant(spatial), node.none());
}

/// The root of the sum of powers, which is the mean over the window with its padding times
/// its size.
static void importLpPool(NodeReader &node) {
  double p = readNorm(node);
  PoolWindow window = readPoolWindow(node);
  if (node.failed())
    return;
  double elements = 1;
  bool overhangs = false;
  for (size_t axis = 0; axis < window.kernel.size(); ++axis) {
    elements *= static_cast<double>(window.kernel[axis]);
    overhangs |= window.ceilMode && window.strides[axis] > 1;
  }
  Value power = powerOf(node, widen(node, node.input(0)), p);
  Value mean = overhangs
                   ? averageOfWholeWindows(node, power, window)
                   : node.create<nn::AveragePoolOp>(power, window.kernel, window.strides,
                                                    window.dilations, window.pads,
                                                    /*ceil_mode=*/false,
                                                    /*count_include_pad=*/true, window.autoPad);
  Value sum = node.create<nn::MulOp>(mean, constantLike(node, elements, mean));
  node.setOutput(0, convert(node, rootOf(node, sum, p), node.inputDType(0)));
}

static void importGlobalLpPool(NodeReader &node) {
  double p = readNorm(node);
  auto shape = node.inputShape(0);
  if (!shape)
    return node.unsupported("an input of unknown rank");
  if (shape->rank() < 2)
    node.invalid(fmt::format("the input must have rank 2 or more, found {}", shape->rank()));
  if (node.failed())
    return;
  std::vector<int64_t> axes(static_cast<size_t>(shape->rank()) - 2);
  std::iota(axes.begin(), axes.end(), 2);
  Value power = powerOf(node, widen(node, node.input(0)), p);
  Value sum = node.create<nn::ReduceOp>(power, node.intsConstant(axes), ReduceKind::Sum,
                                        /*keepdims=*/true, /*noop_with_empty_axes=*/true);
  node.setOutput(0, convert(node, rootOf(node, sum, p), node.inputDType(0)));
}

//===----------------------------------------------------------------------===//
// MaxUnpool
//===----------------------------------------------------------------------===//

/// The sizes of what MaxPool with this window took: batch, channels and spatial ones.
static Value unpooledSizes(NodeReader &node, const Window &window) {
  size_t axes = window.kernel.size();
  std::vector<int64_t> more;
  for (size_t axis = 0; axis < axes; ++axis)
    more.push_back(window.kernel[axis] - window.strides[axis] - window.pads[axis] -
                   window.pads[axes + axis]);
  Value spatial = node.create<nn::MulOp>(createSizes(node, node.input(0), 2),
                                         node.intsConstant(window.strides));
  spatial = node.create<nn::AddOp>(spatial, node.intsConstant(more));
  return joinSizes(node, {createSizes(node, node.input(0), 0, 2), spatial});
}

/// Zeros but where MaxPool found its maxima. Indices count in the tensor that the window
/// alone implies; output_shape adds zeros at its ends, or cuts it.
static void importMaxUnpool(NodeReader &node) {
  Window window = readWindow(node);
  if (window.kernel.empty())
    node.invalid("required attribute 'kernel_shape' is missing");
  if (auto shape = node.inputShape(0);
      shape && shape->rank() != static_cast<int64_t>(window.kernel.size()) + 2)
    node.invalid(fmt::format("the input must have rank {}, found {}", window.kernel.size() + 2,
                             shape->rank()));
  if (node.failed())
    return;
  Value flat = node.intsConstant({-1}), sizes = unpooledSizes(node, window);
  Value count = node.create<nn::ReduceOp>(sizes, node.intsConstant({0}), ReduceKind::Prod,
                                          /*keepdims=*/true, /*noop_with_empty_axes=*/false);
  Value zero = node.createCast(node.scalarConstant(0, DType::Float32), node.inputDType(0));
  Value zeros = node.create<nn::ExpandOp>(zero, count);
  Value values = node.create<nn::ReshapeOp>(node.input(0), flat, /*allowzero=*/false);
  Value places = node.create<nn::ReshapeOp>(node.input(1), flat, /*allowzero=*/false);
  Value result = node.create<nn::ScatterElementsOp>(zeros, places, values, ScatterReduction::None,
                                                    /*axis=*/0);
  result = node.create<nn::ReshapeOp>(result, sizes, /*allowzero=*/true);
  if (node.hasInput(2)) {
    Value before = node.intsConstant(std::vector<int64_t>(window.kernel.size() + 2, 0));
    Value after = node.create<nn::SubOp>(convert(node, node.input(2), DType::Int64), sizes);
    result = node.create<nn::PadOp>(result, joinSizes(node, {before, after}), node.none(),
                                    PadMode::Constant);
  }
  node.setOutput(0, result);
}

std::span<const OpsetRow> quern::onnx::poolImports() {
  static constexpr OpsetRow rows[] = {
      {"AveragePool", 1, kNewestOpset, 1, 1, 1, importAveragePool},
      {"GlobalAveragePool", 1, kNewestOpset, 1, 1, 1, importGlobalPool<ReduceKind::Mean>},
      {"GlobalLpPool", 1, kNewestOpset, 1, 1, 1, importGlobalLpPool},
      {"GlobalMaxPool", 1, kNewestOpset, 1, 1, 1, importGlobalPool<ReduceKind::Max>},
      {"LpPool", 1, kNewestOpset, 1, 1, 1, importLpPool},
      {"MaxPool", 1, kNewestOpset, 1, 1, 2, importMaxPool},
      {"MaxUnpool", 9, kNewestOpset, 2, 3, 1, importMaxUnpool},
      {"NhwcMaxPool", 1, 1, 1, 1, 1, importNhwcMaxPool, kMicrosoftDomain},
  };
  return rows;
}
