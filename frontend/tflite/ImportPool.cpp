//===- ImportPool.cpp - pooling -------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/Images.h"
#include "frontend/tflite/OpTable.h"

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

std::span<const OpRow> tflite::poolImports() {
  static constexpr OpRow rows[] = {
      {Op::AVERAGE_POOL_2D, 1, 1, importAveragePool},
      {Op::L2_POOL_2D, 1, 1, importL2Pool},
      {Op::MAX_POOL_2D, 1, 1, importMaxPool},
  };
  return rows;
}
