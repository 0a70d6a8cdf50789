//===- ImportDeformConv.cpp - deformable convolution ----------------------===//
//
// A composition: the image is sampled where the offsets say, once for each element of
// the kernel, and the weights are multiplied with what was found.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/compose/Window.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/WindowAttributes.h"
#include "ir/VisionOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

namespace {
struct DeformConv {
  Window window;
  int64_t group, offsetGroup;
  /// Of the input and the result.
  int64_t channels, outputs;
  int64_t axes, kernelElements;
  /// The result's spatial sizes, those of the offsets.
  Value resultSizes;
  /// [N], of the input.
  Value batch;
};
} // namespace

/// Kernel and channels are sizes that the composition must know.
static DeformConv readDeformConv(NodeReader &node) {
  auto weights = node.inputShape(1);
  DeformConv conv{};
  conv.group = node.getInt("group", 1);
  conv.offsetGroup = node.getInt("offset_group", 1);
  conv.window = readWindow(node, weights);
  if (!weights || weights->rank() < 3 || !weights->numElements()) {
    node.unsupported("weights whose shape is unknown");
    return conv;
  }
  conv.axes = weights->rank() - 2;
  // Tables of as many places are made, whether or not there are weights.
  constexpr int64_t kMostElements = int64_t{1} << 20;
  CheckedSize elements = 1;
  for (int64_t size : conv.window.kernel)
    elements = elements * CheckedSize(size);
  if (!elements.valid() || elements.value() > kMostElements) {
    node.fail(resourceLimit(fmt::format("weights {} have more than {} elements a kernel",
                                        weights->str(), kMostElements)));
    return conv;
  }
  conv.kernelElements = elements.value();
  conv.outputs = (*weights)[0].size();
  CheckedSize channels = CheckedSize((*weights)[1].size()) * CheckedSize(conv.group);
  if (conv.group < 1 || conv.offsetGroup < 1 || !channels.valid() ||
      conv.outputs % conv.group != 0 || channels.value() % conv.offsetGroup != 0) {
    node.invalid(fmt::format("weights {} do not divide into {} groups and {} offset groups",
                             weights->str(), conv.group, conv.offsetGroup));
    return conv;
  }
  conv.channels = channels.value();
  auto check = [&](int i, int64_t rank, int64_t dim, int64_t size) {
    auto shape = node.inputShape(i);
    if (shape && (shape->rank() != rank || !(*shape)[dim].compatibleWith(nn::Dim(size))))
      node.invalid(fmt::format("input {} must have rank {} and a dimension {} of {}, found {}", i,
                               rank, dim, size, shape->str()));
  };
  CheckedSize masks = elements * CheckedSize(conv.offsetGroup),
              offsets = masks * CheckedSize(conv.axes);
  if (!offsets.valid()) {
    node.invalid(fmt::format("{} offset groups are too many", conv.offsetGroup));
    return conv;
  }
  check(0, conv.axes + 2, 1, conv.channels);
  check(2, conv.axes + 2, 1, offsets.value());
  check(3, 1, 0, conv.outputs);
  check(4, conv.axes + 2, 1, masks.value());
  return conv;
}

/// Where along an axis the window's elements lie before they are moved: [kernel, 1...] +
/// [1, ..., size, 1...], in pixels.
static Value regularPlaces(NodeReader &node, const DeformConv &conv, int64_t axis, DType dtype) {
  int64_t inner = 1;
  for (int64_t a = axis + 1; a < conv.axes; ++a)
    inner *= conv.window.kernel[a];
  std::vector<double> ofKernel;
  for (int64_t k = 0; k < conv.kernelElements; ++k)
    ofKernel.push_back(double(k / inner % conv.window.kernel[axis] * conv.window.dilations[axis] -
                              conv.window.pads[axis]));
  std::vector<int64_t> dims(static_cast<size_t>(conv.axes) + 1, 1);
  dims[0] = conv.kernelElements;
  Value kernel = convert(node, node.constant(Tensor::of<double>(dims, ofKernel)), dtype);
  Value size = node.create<nn::GatherOp>(conv.resultSizes, node.intsConstant({axis}), 0);
  Value positions = convert(node, node.createCount(size), dtype);
  positions = node.create<nn::MulOp>(
      positions, constantLike(node, double(conv.window.strides[axis]), positions));
  std::vector<int64_t> after;
  for (int64_t d = 1; d < conv.axes - axis; ++d)
    after.push_back(d);
  if (!after.empty())
    positions = node.create<nn::UnsqueezeOp>(positions, node.intsConstant(after));
  return node.create<nn::AddOp>(kernel, positions);
}

/// [N * offset groups, kernel, result..., axes] of places in pixels.
static Value pointsOf(NodeReader &node, const DeformConv &conv) {
  Value offsets = widen(node, node.input(2));
  offsets = reshapeTo(node, offsets,
                      {node.intsConstant({-1, conv.kernelElements, conv.axes}), conv.resultSizes});
  std::vector<Value> coordinates;
  for (int64_t axis = conv.axes; axis-- > 0;) {
    Value offset =
        node.create<nn::GatherOp>(offsets, node.scalarConstant(double(axis), DType::Int64),
                                  /*axis=*/2);
    Value places = node.create<nn::AddOp>(offset, regularPlaces(node, conv, axis, dtypeOf(offset)));
    coordinates.push_back(node.create<nn::UnsqueezeOp>(places, node.intsConstant({conv.axes + 2})));
  }
  return node.create<nn::ConcatOp>(mlir::ValueRange(coordinates), /*axis=*/conv.axes + 2);
}

/// The image at these points, times the mask: [N * offset groups, channels, kernel, result...].
static Value sampleImage(NodeReader &node, const DeformConv &conv, Value image) {
  Value channels = node.intsConstant({-1, conv.channels / conv.offsetGroup});
  image = reshapeTo(node, image, {channels, createSizes(node, image, 2)});
  Value sampled = node.create<nn::GridSampleOp>(image, pointsOf(node, conv), ResizeMode::Linear,
                                                PadMode::Constant, /*align_corners=*/true);
  if (!node.hasInput(4))
    return sampled;
  Value mask = convert(node, node.input(4), dtypeOf(sampled));
  mask = reshapeTo(node, mask, {node.intsConstant({-1, 1, conv.kernelElements}), conv.resultSizes});
  return node.create<nn::MulOp>(sampled, mask);
}

static void importDeformConv(NodeReader &node) {
  for (int i : {0, 1, 2})
    requireFloats(node, i);
  DeformConv conv = readDeformConv(node);
  if (node.failed())
    return;
  Value image = widen(node, node.input(0));
  conv.resultSizes = createSizes(node, node.input(2), 2);
  conv.batch = createSizes(node, image, 0, 1);
  int64_t depth = conv.channels / conv.group * conv.kernelElements;
  // [groups, outputs, depth] times [N, groups, depth, positions].
  Value columns = reshapeTo(node, sampleImage(node, conv, image),
                            {conv.batch, node.intsConstant({conv.group, depth, -1})});
  Value weights = convert(node, node.input(1), dtypeOf(image));
  weights = node.create<nn::ReshapeOp>(
      weights, node.intsConstant({conv.group, conv.outputs / conv.group, depth}),
      /*allowzero=*/true);
  Value result = node.create<nn::MatMulOp>(weights, columns);
  result =
      reshapeTo(node, result, {conv.batch, node.intsConstant({conv.outputs}), conv.resultSizes});
  if (node.hasInput(3)) {
    std::vector<int64_t> dims(static_cast<size_t>(conv.axes) + 1, 1);
    dims[0] = conv.outputs;
    Value bias = convert(node, node.input(3), dtypeOf(image));
    bias = node.create<nn::ReshapeOp>(bias, node.intsConstant(dims), /*allowzero=*/true);
    result = node.create<nn::AddOp>(result, bias);
  }
  node.setOutput(0, convert(node, result, node.inputDType(0)));
}

std::span<const OpsetRow> quern::onnx::deformConvImports() {
  static constexpr OpsetRow rows[] = {
      {"DeformConv", 19, kNewestOpset, 3, 5, 1, importDeformConv},
  };
  return rows;
}
