//===- ImportConv.cpp - convolution ---------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/CustomOptions.h"
#include "frontend/tflite/Images.h"
#include "frontend/tflite/OpTable.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

Window tflite::windowOf(std::vector<int64_t> kernel, std::vector<int64_t> strides,
                        std::vector<int64_t> dilations, file::Padding padding, Value image) {
  Window window{.kernel = std::move(kernel),
                .strides = std::move(strides),
                .dilations = std::move(dilations),
                .pads = {}};
  window.pads.assign(2 * window.kernel.size(), 0);
  window.autoPad = padding == file::Padding::Same ? AutoPad::SameUpper : AutoPad::NotSet;
  resolveAutoPad(window, nn::shapeOf(image));
  return window;
}

bool tflite::checkWindow(OpReader &op, std::initializer_list<int64_t> values) {
  constexpr int64_t kMost = 1 << 20;
  for (int64_t value : values)
    if (value < 1 || value > kMost)
      op.invalid(fmt::format("a window of size, stride or dilation {}", value));
  return !op.failed();
}

bool tflite::checkRank(OpReader &op, int i, int64_t rank) {
  std::optional<nn::Shape> shape = op.inputShape(i);
  if (!shape)
    op.unsupported(fmt::format("input {} of unknown rank", i));
  else if (shape->rank() != rank)
    op.invalid(fmt::format("input {} must have rank {}, found {}", i, rank, shape->rank()));
  return !op.failed();
}

int64_t tflite::staticSize(OpReader &op, int i, int64_t at) {
  std::optional<nn::Shape> shape = op.inputShape(i);
  if (!shape || at >= shape->rank() || !(*shape)[at].isStatic()) {
    op.unsupported(fmt::format("sizes of input {} that a run computes", i));
    return 1;
  }
  return (*shape)[at].size();
}

file::Padding tflite::readStructPadding(OpReader &op, int64_t field) {
  enum { Same = 1, Valid = 2 };
  if (field != Same && field != Valid)
    op.invalid(fmt::format("padding {}", field));
  return field == Same ? file::Padding::Same : file::Padding::Valid;
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

namespace {
/// A convolution of what has its channels in front by weights [M, C / group, kernel...].
struct Convolution {
  Value image, weights, bias;
  Window window;
  int64_t group = 1;
  file::Activation activation = file::Activation::None;
};
} // namespace

static void setConvolution(OpReader &op, const Convolution &conv) {
  Value y = op.create<nn::ConvOp>(conv.image, conv.weights, conv.bias, conv.window.strides,
                                  conv.window.dilations, conv.window.pads, conv.group,
                                  conv.window.autoPad);
  op.setReal(0, channelsToBack(op, createFused(op, y, conv.activation)));
}

/// The image's channels; nothing where only a run knows them.
static std::optional<int64_t> channelsOf(OpReader &op) {
  std::optional<nn::Shape> shape = op.inputShape(0);
  if (!shape || shape->rank() == 0 || !(*shape)[shape->rank() - 1].isStatic())
    return std::nullopt;
  return (*shape)[shape->rank() - 1].size();
}

/// Channels of the image over those of the weights.
static int64_t groupsOf(OpReader &op, int64_t ofWeights) {
  int64_t channels = channelsOf(op).value_or(ofWeights);
  if (ofWeights < 1 || channels % ofWeights != 0)
    op.invalid(fmt::format("{} channels, weights of {}", channels, ofWeights));
  return op.failed() ? 1 : channels / ofWeights;
}

/// Whether the op is of images and weights of rank 4, with such steps.
template <typename Options> static bool checkImages(OpReader &op, const Options &options) {
  return checkRank(op, 0, 4) && checkRank(op, 1, 4) &&
         checkWindow(op, {options.stride_h(), options.stride_w(), options.dilation_h(),
                          options.dilation_w()});
}

/// Of images, with `weights` [M, C / group, height, width], which the file has as [_, height,
/// width,
/// _]. An op that has failed is left as it is.
template <typename Options>
static void setImageConvolution(OpReader &op, const Options &options, int64_t group,
                                llvm::function_ref<Value()> weights) {
  std::vector<int64_t> kernel = {staticSize(op, 1, 1), staticSize(op, 1, 2)};
  if (op.failed())
    return;
  Value image = channelsToFront(op, op.real(0));
  setConvolution(op, {.image = image,
                      .weights = weights(),
                      .bias = op.real(2),
                      .window = windowOf(kernel, {options.stride_h(), options.stride_w()},
                                         {options.dilation_h(), options.dilation_w()},
                                         options.padding(), image),
                      .group = group,
                      .activation = options.activation()});
}

/// Weights [M, height, width, C / group].
static void importConv2D(OpReader &op) {
  const auto &options = op.options<file::Conv2DOptions>();
  if (!checkImages(op, options))
    return;
  setImageConvolution(op, options, groupsOf(op, staticSize(op, 1, 3)),
                      [&] { return channelsToFront(op, op.real(1)); });
}

/// Weights [1, height, width, C * multiplier].
static void importDepthwise(OpReader &op) {
  const auto &options = op.options<file::DepthwiseConv2DOptions>();
  if (!checkImages(op, options))
    return;
  int64_t filters = staticSize(op, 1, 3);
  int64_t group = channelsOf(op).value_or(filters / std::max<int64_t>(options.multiplier(), 1));
  if (!op.failed() && (group < 1 || filters % group != 0 || staticSize(op, 1, 0) != 1))
    op.invalid(fmt::format("{} channels, {} filters", group, filters));
  setImageConvolution(op, options, group, [&]() -> Value {
    return op.create<nn::TransposeOp>(op.real(1), llvm::ArrayRef<int64_t>{3, 0, 1, 2});
  });
}

/// Weights [depth, height, width, C / group, M].
static void importConv3D(OpReader &op) {
  const auto &options = op.options<file::Conv3DOptions>();
  if (!checkRank(op, 0, 5) || !checkRank(op, 1, 5) ||
      !checkWindow(op, {options.stride_d(), options.stride_h(), options.stride_w(),
                        options.dilation_d(), options.dilation_h(), options.dilation_w()}))
    return;
  std::vector<int64_t> kernel = {staticSize(op, 1, 0), staticSize(op, 1, 1), staticSize(op, 1, 2)};
  int64_t group = groupsOf(op, staticSize(op, 1, 3));
  if (op.failed())
    return;
  Value image = channelsToFront(op, op.real(0));
  Value weights = op.create<nn::TransposeOp>(op.real(1), llvm::ArrayRef<int64_t>{4, 3, 0, 1, 2});
  setConvolution(
      op, {.image = image,
           .weights = weights,
           .bias = op.real(2),
           .window = windowOf(kernel, {options.stride_d(), options.stride_h(), options.stride_w()},
                              {options.dilation_d(), options.dilation_h(), options.dilation_w()},
                              options.padding(), image),
           .group = group,
           .activation = options.activation()});
}

//===----------------------------------------------------------------------===//
// Transposed convolution
//===----------------------------------------------------------------------===//

/// Pads, begins and then ends, and what is beyond the window at the ends, so that the result has
/// these sizes: the way back from the convolution whose padding is SAME or VALID.
static void fitResult(Window &window, std::vector<int64_t> &beyond, llvm::ArrayRef<int64_t> inputs,
                      llvm::ArrayRef<int64_t> results) {
  size_t axes = inputs.size();
  for (size_t i = 0; i < axes; ++i) {
    int64_t full = (inputs[i] - 1) * window.strides[i] + window.kernel[i];
    int64_t pads = std::max<int64_t>(full - results[i], 0);
    window.pads[i] = pads / 2;
    window.pads[axes + i] = pads - pads / 2;
    beyond.push_back(std::max<int64_t>(results[i] - full, 0));
  }
}

namespace {
/// A transposed convolution of the image that is input `image` by weights [M, height, width, C].
struct TransposedConvolution {
  int image, weights, bias;
  std::vector<int64_t> strides;
  file::Activation activation;
};
} // namespace

/// `results`: from the sizes of image and window, height and width of the result.
using ResultSizes =
    llvm::function_ref<std::vector<int64_t>(llvm::ArrayRef<int64_t> image, const Window &window)>;

static void setTransposedConvolution(OpReader &op, const TransposedConvolution &conv,
                                     ResultSizes results) {
  if (!checkRank(op, conv.weights, 4) || !checkRank(op, conv.image, 4) ||
      !checkWindow(op, {conv.strides[0], conv.strides[1]}))
    return;
  int64_t inputs[] = {staticSize(op, conv.image, 1), staticSize(op, conv.image, 2)};
  Window window{.kernel = {staticSize(op, conv.weights, 1), staticSize(op, conv.weights, 2)},
                .strides = conv.strides,
                .dilations = {1, 1},
                .pads = {0, 0, 0, 0}};
  if (op.failed() || !checkWindow(op, {window.kernel[0], window.kernel[1]}))
    return;
  std::vector<int64_t> beyond;
  fitResult(window, beyond, inputs, results(inputs, window));
  Value weights =
      op.create<nn::TransposeOp>(op.real(conv.weights), llvm::ArrayRef<int64_t>{3, 0, 1, 2});
  Value y = op.create<nn::ConvTransposeOp>(
      channelsToFront(op, op.real(conv.image)), weights, op.real(conv.bias), window.strides,
      window.dilations, window.pads, beyond, std::vector<int64_t>(), int64_t{1}, AutoPad::NotSet);
  op.setReal(0, channelsToBack(op, createFused(op, y, conv.activation)));
}

/// Inputs: the sizes of the result, weights, the image.
static void importTransposeConv(OpReader &op) {
  const auto &options = op.options<file::TransposeConvOptions>();
  // Where the batch is open a run computes them; of the image itself the file says them.
  std::vector<int64_t> result = op.constants(0).value_or(op.outputDims(0));
  if (result.size() != 4)
    return op.invalid(fmt::format("{} sizes of the result", result.size()));
  if (result[1] < 0 || result[2] < 0)
    return op.unsupported("sizes of the result that a run computes");
  setTransposedConvolution(
      op,
      {.image = 2,
       .weights = 1,
       .bias = 3,
       .strides = {options.stride_h(), options.stride_w()},
       .activation = options.activation()},
      [&](llvm::ArrayRef<int64_t>, const Window &) { return std::vector{result[1], result[2]}; });
}

/// MediaPipe's: the image, weights, biases. Of the way back from a convolution whose padding is
/// SAME the result has the least sizes.
static void importTransposeConvBias(OpReader &op) {
  // TfLiteTransposeConvParams: padding, the strides of width and height.
  std::vector<int64_t> fields = structOptions(op, 3);
  bool isSame = readStructPadding(op, fields[0]) == file::Padding::Same;
  setTransposedConvolution(op,
                           {.image = 0,
                            .weights = 1,
                            .bias = 2,
                            .strides = {fields[2], fields[1]},
                            .activation = file::Activation::None},
                           [&](llvm::ArrayRef<int64_t> image, const Window &window) {
                             std::vector<int64_t> sizes;
                             for (size_t i = 0; i < 2; ++i) {
                               int64_t stride = window.strides[i], kernel = window.kernel[i],
                                       last = image[i] - 1;
                               int64_t pads =
                                   isSame ? std::max<int64_t>(0, kernel - last % stride - 1) : 0;
                               sizes.push_back(stride * last + kernel - pads);
                             }
                             return sizes;
                           });
}

std::span<const OpRow> tflite::convImports() {
  static constexpr OpRow rows[] = {
      {Op::CONV_2D, 2, 3, importConv2D},
      {Op::CONV_3D, 2, 3, importConv3D},
      {Op::DEPTHWISE_CONV_2D, 2, 3, importDepthwise},
      {Op::TRANSPOSE_CONV, 3, 4, importTransposeConv},
      {Op::CUSTOM, 3, 3, importTransposeConvBias, 1, "Convolution2DTransposeBias"},
  };
  return rows;
}
