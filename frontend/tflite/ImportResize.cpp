//===- ImportResize.cpp - images of other sizes ---------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/Images.h"
#include "frontend/tflite/OpTable.h"

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

namespace {
struct ResizeRule {
  ResizeMode mode;
  ResizeCoordinates coordinates;
  NearestMode nearest;
};
} // namespace

static ResizeCoordinates coordinatesOf(bool alignsCorners, bool halfPixel) {
  if (alignsCorners)
    return ResizeCoordinates::AlignCorners;
  return halfPixel ? ResizeCoordinates::HalfPixel : ResizeCoordinates::Asymmetric;
}

/// Of an image, whose new height and width are input 1.
static Value resize(OpReader &op, Value x, const ResizeRule &rule) {
  Value image = channelsToFront(op, x);
  Value sizes = joinSizes(op, {createSizes(op, image, 0, 2), op.sizes(1)});
  Value y = op.create<nn::ResizeOp>(image, op.none(), op.none(), sizes, rule.mode, rule.coordinates,
                                    rule.nearest, llvm::APFloat(-0.75),
                                    /*exclude_outside=*/false, llvm::APFloat(0.0),
                                    /*antialias=*/false);
  return channelsToBack(op, y);
}

static void importBilinear(OpReader &op) {
  const auto &options = op.options<file::ResizeBilinearOptions>();
  if (!checkRank(op, 0, 4))
    return;
  ResizeRule rule = {ResizeMode::Linear,
                     coordinatesOf(options.align_corners(), options.half_pixel()),
                     NearestMode::Floor};
  if (op.isOfBytes())
    op.setBytes(resize(op, op.bytes(), rule));
  else
    op.setReal(0, resize(op, op.real(0), rule));
}

/// Rounds down, but where corners are aligned or pixels have their middle: up from the middle.
static void importNearest(OpReader &op) {
  const auto &options = op.options<file::ResizeNearestOptions>();
  if (!checkRank(op, 0, 4))
    return;
  bool rounds = options.align_corners() || options.half_pixel();
  ResizeRule rule = {ResizeMode::Nearest,
                     coordinatesOf(options.align_corners(), options.half_pixel()),
                     rounds ? NearestMode::RoundPreferCeil : NearestMode::Floor};
  op.setMoved(0, {0}, [&](llvm::ArrayRef<Value> x) { return resize(op, x[0], rule); });
}

std::span<const OpRow> tflite::resizeImports() {
  static constexpr OpRow rows[] = {
      {Op::RESIZE_BILINEAR, 2, 2, importBilinear},
      {Op::RESIZE_NEAREST_NEIGHBOR, 2, 2, importNearest},
  };
  return rows;
}
