//===- ImportPool.cpp - pooling -------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/CustomOptions.h"
#include "frontend/tflite/Images.h"
#include "frontend/tflite/OpTable.h"
#include "ir/GatherOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

/// The pool's window on `image`, which has its channels in front.
static Window poolWindow(const file::Pool2DOptions &options, Value image) {
  return windowOf({options.height(), options.width()}, {options.stride_h(), options.stride_w()},
                  {1, 1}, options.padding(), image);
}

static bool checkPool(OpReader &op, const file::Pool2DOptions &options) {
  return checkRank(op, 0, 4) && checkWindow(op, {options.height(), options.width(),
                                                 options.stride_h(), options.stride_w()});
}

/// The mean of what lies in the image.
static Value averageOf(OpReader &op, const file::Pool2DOptions &options, Value image) {
  Window window = poolWindow(options, image);
  return op.create<nn::AveragePoolOp>(image, window.kernel, window.strides, window.dilations,
                                      window.pads, /*ceil_mode=*/false,
                                      /*count_include_pad=*/false, window.autoPad);
}

static void importAveragePool(OpReader &op) {
  const auto &options = op.options<file::Pool2DOptions>();
  if (!checkPool(op, options))
    return;
  if (op.isOfBytes() && options.activation() != file::Activation::Tanh) {
    Value mean = averageOf(op, options, channelsToFront(op, op.bytes()));
    return op.setBytes(channelsToBack(op, createFusedOfBytes(op, mean, options.activation())));
  }
  Value mean = averageOf(op, options, channelsToFront(op, op.real(0)));
  op.setReal(0, channelsToBack(op, createFused(op, mean, options.activation())));
}

/// The root of the mean of squares.
static void importL2Pool(OpReader &op) {
  const auto &options = op.options<file::Pool2DOptions>();
  if (!checkPool(op, options))
    return;
  Value image = channelsToFront(op, op.real(0));
  Value mean = averageOf(op, options, op.create<nn::MulOp>(image, image));
  Value root = op.create<nn::SqrtOp>(mean);
  op.setReal(0, channelsToBack(op, createFused(op, root, options.activation())));
}

static void importMaxPool(OpReader &op) {
  const auto &options = op.options<file::Pool2DOptions>();
  if (!checkPool(op, options))
    return;
  auto pool = [&](Value x) {
    Value image = channelsToFront(op, x);
    Window window = poolWindow(options, image);
    return op.create<nn::MaxPoolOp>(image, window.kernel, window.strides, window.dilations,
                                    window.pads, /*ceil_mode=*/false, window.autoPad);
  };
  if (options.activation() == file::Activation::None)
    return op.setMoved(
        0, {0}, [&](llvm::ArrayRef<Value> values) { return channelsToBack(op, pool(values[0])); });
  op.setReal(0, channelsToBack(op, createFused(op, pool(op.real(0)), options.activation())));
}

//===----------------------------------------------------------------------===//
// MediaPipe's pools, which say where in its window each maximum was
//===----------------------------------------------------------------------===//

namespace {
/// TfLitePoolParams.
struct PoolFields {
  file::Padding padding = file::Padding::Valid;
  /// Of height and width.
  std::vector<int64_t> strides, kernel;
  file::Activation activation = file::Activation::None;
};
} // namespace

static PoolFields readPoolFields(OpReader &op) {
  std::vector<int64_t> fields = structOptions(op, 6);
  PoolFields pool{.padding = readStructPadding(op, fields[0]),
                  .strides = {fields[2], fields[1]},
                  .kernel = {fields[4], fields[3]}};
  checkWindow(op, {fields[1], fields[2], fields[3], fields[4]});
  constexpr auto kLast = static_cast<int64_t>(file::Activation::SignBit);
  if (fields[5] < 0 || fields[5] > kLast)
    op.invalid(fmt::format("activation {}", fields[5]));
  else
    pool.activation = static_cast<file::Activation>(fields[5]);
  return pool;
}

/// For each place of a window the number of its first element in the image, [height, width].
static Value windowStarts(OpReader &op, const PoolFields &pool, llvm::ArrayRef<int64_t> places,
                          llvm::ArrayRef<int64_t> pads, int64_t rowLength) {
  auto along = [&](size_t axis, int64_t factor) {
    Value place = op.createCount(op.intsConstant({places[axis]}));
    Value first = op.create<nn::MulOp>(place, op.intsConstant({pool.strides[axis] * factor}));
    return op.create<nn::AddOp>(first, op.intsConstant({-pads[axis] * factor}));
  };
  Value rows = op.create<nn::UnsqueezeOp>(along(0, rowLength), op.intsConstant({1}));
  return op.create<nn::AddOp>(rows, along(1, 1));
}

/// Results: the maxima, and for each the number of its place in the window, row by row, and 0.1.
static void importMaxPoolWithArgmax(OpReader &op) {
  PoolFields pool = readPoolFields(op);
  if (op.failed() || !checkRank(op, 0, 4))
    return;
  int64_t height = staticSize(op, 0, 1), width = staticSize(op, 0, 2);
  Value image = channelsToFront(op, op.real(0));
  Window window = windowOf(pool.kernel, pool.strides, {1, 1}, pool.padding, image);
  if (op.failed())
    return;
  auto found = op.createMulti<nn::MaxPoolWithIndicesOp>(
      2, image, window.kernel, window.strides, window.dilations, window.pads, /*ceil_mode=*/false,
      /*storage_order=*/int64_t{0}, window.autoPad);
  std::optional<nn::Shape> shape = op.failed() ? std::nullopt : nn::shapeOf(found[0]);
  if (!shape)
    return;
  auto constant = [&](int64_t value) {
    return op.scalarConstant(static_cast<double>(value), DType::Int64);
  };
  // In the image, in its row, and the same in the window.
  Value inImage = op.create<nn::ModOp>(found[1], constant(height * width));
  Value y = op.create<nn::DivOp>(inImage, constant(width));
  Value x = op.create<nn::ModOp>(inImage, constant(width));
  Value number = op.create<nn::AddOp>(op.create<nn::MulOp>(y, constant(pool.kernel[1])), x);
  Value first = windowStarts(op, pool, {(*shape)[2].size(), (*shape)[3].size()},
                             {window.pads[0], window.pads[1]}, pool.kernel[1]);
  number = convert(op, op.create<nn::SubOp>(number, first), DType::Float32);
  Value place = op.create<nn::AddOp>(number, op.scalarConstant(0.1F, DType::Float32));
  op.setReal(0, channelsToBack(op, createFused(op, found[0], pool.activation)));
  op.setReal(1, channelsToBack(op, place));
}

/// Where each element of an image [N, C, height, width] goes in one of `sizes`: [N, C, height *
/// width] numbers, of what lies beyond that one the number after the last.
static Value unpooledPlaces(OpReader &op, const PoolFields &pool, Value inWindow,
                            llvm::ArrayRef<int64_t> image, llvm::ArrayRef<int64_t> sizes) {
  Value width = op.scalarConstant(static_cast<double>(pool.kernel[1]), DType::Int64);
  Value offsets[] = {op.create<nn::DivOp>(inWindow, width), op.create<nn::FmodOp>(inWindow, width)};
  Value place, isInside;
  for (size_t axis = 0; axis < 2; ++axis) {
    auto size = [&](int64_t value) {
      return op.scalarConstant(static_cast<double>(value), DType::Int64);
    };
    int64_t pad = std::max<int64_t>(
        0, ((image[axis] - 1) * pool.strides[axis] + pool.kernel[axis] - sizes[axis]) / 2);
    Value first = op.create<nn::MulOp>(op.createCount(op.intsConstant({image[axis]})),
                                       size(pool.strides[axis]));
    first = op.create<nn::SubOp>(first, size(pad));
    if (axis == 0)
      first = op.create<nn::UnsqueezeOp>(first, op.intsConstant({1}));
    Value at = op.create<nn::AddOp>(first, offsets[axis]);
    Value isBefore = op.create<nn::LessOp>(at, size(sizes[axis]));
    Value isAfter = op.create<nn::LessOp>(size(-1), at);
    Value isIn = op.create<nn::AndOp>(isBefore, isAfter);
    isInside = isInside ? op.create<nn::AndOp>(isInside, isIn) : isIn;
    place = place ? op.create<nn::AddOp>(op.create<nn::MulOp>(place, size(sizes[axis])), at) : at;
  }
  Value beyond = op.scalarConstant(static_cast<double>(sizes[0] * sizes[1]), DType::Int64);
  return op.create<nn::WhereOp>(isInside, place, beyond);
}

/// Inputs: maxima, and their places as MaxPoolingWithArgmax2D has them; zeros elsewhere.
static void importMaxUnpooling(OpReader &op) {
  PoolFields pool = readPoolFields(op);
  if (op.failed() || !checkRank(op, 0, 4) || !checkRank(op, 1, 4))
    return;
  int64_t image[] = {staticSize(op, 0, 1), staticSize(op, 0, 2)};
  int64_t sizes[] = {image[0] * pool.kernel[0], image[1] * pool.kernel[1]};
  Value values = channelsToFront(op, op.real(0));
  Value inWindow = convert(op, channelsToFront(op, op.real(1)), DType::Int64);
  if (op.failed() || !checkWindow(op, {sizes[0], sizes[1]}))
    return;
  Value batch = createSizes(op, values, 0, 2), count = op.intsConstant({image[0] * image[1]});
  Value flat = joinSizes(op, {batch, count});
  Value places = reshapeTo(op, unpooledPlaces(op, pool, inWindow, image, sizes), {flat});
  Value all = op.intsConstant({sizes[0] * sizes[1]});
  Value zeros =
      op.create<nn::ExpandOp>(constantLike(op, 0, values),
                              joinSizes(op, {batch, op.intsConstant({sizes[0] * sizes[1] + 1})}));
  Value result = op.create<nn::ScatterElementsOp>(zeros, places, reshapeTo(op, values, {flat}),
                                                  ScatterReduction::None, /*axis=*/int64_t{2});
  result =
      op.create<nn::SliceOp>(result, op.intsConstant({0}), all, op.intsConstant({2}), op.none());
  result = reshapeTo(op, result, {batch, op.intsConstant({sizes[0], sizes[1]})});
  op.setReal(0, channelsToBack(op, result));
}

std::span<const OpRow> tflite::poolImports() {
  static constexpr OpRow rows[] = {
      {Op::AVERAGE_POOL_2D, 1, 1, importAveragePool},
      {Op::L2_POOL_2D, 1, 1, importL2Pool},
      {Op::MAX_POOL_2D, 1, 1, importMaxPool},
      {Op::CUSTOM, 1, 1, importMaxPoolWithArgmax, 2, "MaxPoolingWithArgmax2D"},
      {Op::CUSTOM, 2, 2, importMaxUnpooling, 1, "MaxUnpooling2D"},
  };
  return rows;
}
