//===- ImportSignal.cpp - transforms, windows and filters of signals ------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/SignalOps.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// The attribute `output_datatype`: what is computed in float64 is rounded to it.
static DType readOutputType(NodeReader &node) {
  int64_t type = node.getInt("output_datatype", static_cast<int64_t>(DType::Float32));
  if (type > 0 && type <= static_cast<int64_t>(DType::Int4) &&
      static_cast<DType>(type) != DType::String && static_cast<DType>(type) != DType::Bool)
    return static_cast<DType>(type);
  node.invalid(fmt::format("attribute 'output_datatype': {} is no type of numbers", type));
  return DType::Float32;
}

static Value number(NodeReader &node, double value) {
  return node.scalarConstant(value, DType::Float64);
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

/// a0 - a1 cos(t) + a2 cos(2t), where t goes once around: to the end of the window, or,
/// of a symmetric one, to its last element. The only element of such a window is 1.
static void importCosineWindow(NodeReader &node, double a0, double a1, double a2) {
  DType dtype = readOutputType(node);
  bool isPeriodic = node.getBool("periodic", true);
  Value size = readScalar(node, 0, DType::Int64);
  if (node.failed())
    return;
  Value places = node.createCast(node.createCount(size), DType::Float64);
  Value around = node.createCast(size, DType::Float64);
  Value turns;
  if (isPeriodic) {
    turns = node.create<nn::DivOp>(places, around);
  } else {
    around = node.create<nn::SubOp>(around, number(node, 1));
    Value isAlone = node.create<nn::EqualOp>(around, number(node, 0));
    turns = node.create<nn::WhereOp>(isAlone, number(node, 0.5),
                                     node.create<nn::DivOp>(places, around));
  }
  auto wave = [&](double turn, double amplitude) -> Value {
    Value angle = node.create<nn::MulOp>(turns, number(node, turn * 2 * std::numbers::pi));
    return node.create<nn::MulOp>(node.create<nn::CosOp>(angle), number(node, amplitude));
  };
  Value window = node.create<nn::SubOp>(number(node, a0), wave(1, a1));
  if (a2 != 0)
    window = node.create<nn::AddOp>(window, wave(2, a2));
  node.setOutput(0, convert(node, window, dtype));
}

static void importHannWindow(NodeReader &node) { importCosineWindow(node, 0.5, 0.5, 0); }
static void importHammingWindow(NodeReader &node) {
  importCosineWindow(node, 25.0 / 46, 21.0 / 46, 0);
}
static void importBlackmanWindow(NodeReader &node) { importCosineWindow(node, 0.42, 0.5, 0.08); }

//===----------------------------------------------------------------------===//
// MelWeightMatrix
//===----------------------------------------------------------------------===//

/// 2595 log10(1 + f / 700)
static Value melOfHertz(NodeReader &node, Value hertz) {
  Value ratio =
      node.create<nn::AddOp>(node.create<nn::DivOp>(hertz, number(node, 700)), number(node, 1));
  return node.create<nn::MulOp>(node.create<nn::LogOp>(ratio),
                                number(node, 2595 / std::numbers::ln10));
}

/// The bins of the edges of the filters, [filters + 2]: evenly spaced in mel.
static Value melEdges(NodeReader &node, Value filters, Value length) {
  Value edges = node.create<nn::AddOp>(filters, number(node, 2));
  Value numbers =
      node.createCast(node.createCount(node.createCast(edges, DType::Int64)), DType::Float64);
  Value low = melOfHertz(node, readScalar(node, 3, DType::Float64));
  Value high = melOfHertz(node, readScalar(node, 4, DType::Float64));
  Value step = node.create<nn::DivOp>(node.create<nn::SubOp>(high, low), edges);
  Value mel = node.create<nn::AddOp>(node.create<nn::MulOp>(numbers, step), low);
  Value exponent = node.create<nn::DivOp>(mel, number(node, 2595));
  Value power = node.create<nn::PowOp>(number(node, 10), exponent);
  Value hertz =
      node.create<nn::MulOp>(node.create<nn::SubOp>(power, number(node, 1)), number(node, 700));
  Value scaled = node.create<nn::MulOp>(node.create<nn::AddOp>(length, number(node, 1)), hertz);
  return node.create<nn::FloorOp>(
      node.create<nn::DivOp>(scaled, readScalar(node, 2, DType::Float64)));
}

/// A triangle for each filter, from its lower edge over its center, where it is 1, to its
/// upper one: [bins, filters].
static void importMelWeightMatrix(NodeReader &node) {
  DType dtype = readOutputType(node);
  Value filters = readScalar(node, 0, DType::Float64), length = readScalar(node, 1, DType::Float64);
  if (node.failed())
    return;
  Value edges = melEdges(node, filters, length);
  Value count = readScalar(node, 0, DType::Int64);
  auto edge = [&](int64_t first) -> Value { // of each filter
    Value start = node.intsConstant({first});
    Value end = node.create<nn::AddOp>(start, count);
    return node.create<nn::SliceOp>(edges, start, end, node.intsConstant({0}), node.none());
  };
  Value lower = edge(0), center = edge(1), upper = edge(2), zero = number(node, 0);
  Value half = node.create<nn::FloorOp>(node.create<nn::DivOp>(length, number(node, 2)));
  Value bins = node.create<nn::AddOp>(half, number(node, 1));
  bins = node.createCast(node.createCount(node.createCast(bins, DType::Int64)), DType::Float64);
  bins = node.create<nn::UnsqueezeOp>(bins, node.intsConstant({1}));

  // A side without width is the center alone.
  Value rise = node.create<nn::SubOp>(center, lower), fall = node.create<nn::SubOp>(upper, center);
  Value isFlat = node.create<nn::EqualOp>(rise, zero);
  Value slope = node.create<nn::DivOp>(node.create<nn::SubOp>(bins, lower),
                                       node.create<nn::WhereOp>(isFlat, number(node, 1), rise));
  Value up = node.create<nn::WhereOp>(isFlat, number(node, 1), slope);
  Value isRising = node.create<nn::AndOp>(createGreaterOrEqual(node, bins, lower),
                                          node.create<nn::LessOrEqualOp>(bins, center));
  Value down = node.create<nn::DivOp>(node.create<nn::SubOp>(upper, bins), fall);
  Value isFalling = node.create<nn::AndOp>(createGreaterOrEqual(node, bins, center),
                                           node.create<nn::LessOp>(bins, upper));
  Value rising = node.create<nn::WhereOp>(isRising, up, zero);
  node.setOutput(0, convert(node, node.create<nn::WhereOp>(isFalling, down, rising), dtype));
}

//===----------------------------------------------------------------------===//
// DFT and STFT
//===----------------------------------------------------------------------===//

static Value intConstant(NodeReader &node, int64_t value) { return node.intsConstant({value}); }

/// How many of `length` frequencies tell the others of a real signal; vectors of one.
static Value halfOf(NodeReader &node, Value length) {
  Value half = node.create<nn::DivOp>(length, intConstant(node, 2));
  return node.create<nn::AddOp>(half, intConstant(node, 1));
}

static Value sliceAlong(NodeReader &node, Value x, Value begin, Value end, Value axis,
                        int64_t step = 1) {
  return node.create<nn::SliceOp>(x, begin, end, axis, intConstant(node, step));
}

/// `x` with zeros along the axis, before and behind it; a negative number cuts off.
static Value padAlong(NodeReader &node, Value x, Value before, Value behind, Value axis) {
  std::optional<nn::Shape> shape = nn::shapeOf(x);
  if (!shape) // after an error
    return x;
  int64_t rank = shape->rank();
  Value pads = node.create<nn::ConcatOp>(
      mlir::ValueRange{entriesAt(node, before, axis, rank), entriesAt(node, behind, axis, rank)},
      /*axis=*/0);
  return node.create<nn::PadOp>(x, pads, node.none(), PadMode::Constant);
}

static Value sizeAlong(NodeReader &node, Value x, Value axis) {
  Value sizes = node.create<nn::ShapeOp>(x, node.builder().getI64IntegerAttr(0),
                                         /*end=*/mlir::IntegerAttr());
  return node.create<nn::GatherOp>(sizes, axis, /*axis=*/0);
}

/// All frequencies of a real signal of `length`, of the first half of them: the others are
/// their conjugates in reverse.
static Value mirrored(NodeReader &node, Value half, Value length, Value axis) {
  Value known = halfOf(node, length), zero = intConstant(node, 0);
  Value others = node.create<nn::SubOp>(length, known);
  half =
      padAlong(node, half, zero, node.create<nn::SubOp>(known, sizeAlong(node, half, axis)), axis);
  Value reversed = sliceAlong(node, half, others, zero, axis, -1);
  Value signs = node.constant(Tensor::of<float>({2}, {1, -1}));
  reversed = node.create<nn::MulOp>(reversed, convert(node, signs, dtypeOf(half)));
  return node.create<nn::AddOp>(padAlong(node, half, zero, others, axis),
                                padAlong(node, reversed, known, zero, axis));
}

/// The axis of a DFT as a vector of one: an attribute before opset 20.
static Value readDftAxis(NodeReader &node) {
  if (node.opset() < 20)
    return intConstant(node, node.getInt("axis", 1));
  if (!node.hasInput(2))
    return intConstant(node, -2);
  return node.create<nn::ReshapeOp>(readScalar(node, 2, DType::Int64), intConstant(node, 1),
                                    /*allowzero=*/false);
}

/// Fails unless the last dimension is of numbers with `parts` parts, or of any where 0.
static void requireSignal(NodeReader &node, int64_t rank, int64_t parts) {
  requireFloats(node, 0);
  std::optional<nn::Shape> shape = node.inputShape(0);
  if (!shape)
    return node.unsupported("a signal of unknown rank");
  if (shape->rank() < 2 || (rank != 0 && shape->rank() != rank))
    return node.invalid(fmt::format("the signal must have rank {}, found {}",
                                    rank == 0 ? "2 or more" : std::to_string(rank), shape->rank()));
  if (const nn::Dim &last = (*shape)[shape->rank() - 1];
      parts != 0 && !last.compatibleWith(nn::Dim(parts)))
    node.invalid(
        fmt::format("the last dimension of the signal must be {}, found {}", parts, last.str()));
}

static void importDft(NodeReader &node) {
  bool inverse = node.getBool("inverse", false), onesided = node.getBool("onesided", false);
  requireSignal(node, 0, !onesided ? 0 : inverse ? 2 : 1);
  Value axis = readDftAxis(node);
  if (node.failed())
    return;
  Value x = widen(node, node.input(0)), size = sizeAlong(node, x, axis), length = size;
  if (onesided && inverse) // of as many as half of 2 (size - 1) are
    length = node.create<nn::MulOp>(node.create<nn::SubOp>(size, intConstant(node, 1)),
                                    intConstant(node, 2));
  if (node.hasInput(1))
    length = node.create<nn::ReshapeOp>(readScalar(node, 1, DType::Int64), intConstant(node, 1),
                                        /*allowzero=*/false);
  if (onesided && inverse)
    x = mirrored(node, x, length, axis);
  else if (node.hasInput(1))
    x = padAlong(node, x, intConstant(node, 0), node.create<nn::SubOp>(length, size), axis);
  Value y = node.create<nn::DftOp>(x, axis, inverse);
  Value zero = intConstant(node, 0);
  if (onesided && inverse) // the real parts
    y = sliceAlong(node, y, zero, intConstant(node, 1), intConstant(node, -1));
  else if (onesided)
    y = sliceAlong(node, y, zero, halfOf(node, length), axis);
  node.setOutput(0, convert(node, y, node.inputDType(0)));
}

/// The length of a frame, as a vector of one: input 3, or that of the window or the signal.
static Value readFrameLength(NodeReader &node) {
  if (node.hasInput(3))
    return node.create<nn::ReshapeOp>(readScalar(node, 3, DType::Int64), intConstant(node, 1),
                                      /*allowzero=*/false);
  return node.hasInput(2) ? node.sizeOf(node.input(2), 0) : node.sizeOf(node.input(0), 1);
}

/// Frames are gathered out of the signal and transformed, each for itself.
static void importStft(NodeReader &node) {
  bool onesided = node.getBool("onesided", true);
  requireSignal(node, 3, onesided ? 1 : 0);
  if (auto window = node.inputShape(2); window && window->rank() != 1)
    node.invalid(fmt::format("the window must have rank 1, found {}", window->rank()));
  if (node.failed())
    return;
  Value signal = widen(node, node.input(0)), length = readFrameLength(node);
  Value step = readScalar(node, 1, DType::Int64), one = intConstant(node, 1);
  Value room = node.create<nn::SubOp>(node.sizeOf(signal, 1), length);
  Value frames = node.create<nn::AddOp>(node.create<nn::DivOp>(room, step), one);
  Value starts = node.create<nn::MulOp>(node.createCount(frames), step);
  starts = node.create<nn::UnsqueezeOp>(starts, one);
  Value places = node.create<nn::AddOp>(starts, node.createCount(length));
  Value framed = node.create<nn::GatherOp>(signal, places, /*axis=*/1);
  if (node.hasInput(2)) {
    // In the shape that it must have: one of another length is an error, and no broadcast.
    Value shape = node.create<nn::ConcatOp>(mlir::ValueRange{length, one}, /*axis=*/0);
    Value window = node.create<nn::ReshapeOp>(node.input(2), shape, /*allowzero=*/true);
    framed = node.create<nn::MulOp>(framed, convert(node, window, dtypeOf(framed)));
  }
  Value axis = intConstant(node, 2);
  Value y = node.create<nn::DftOp>(framed, axis, /*inverse=*/false);
  if (onesided)
    y = sliceAlong(node, y, intConstant(node, 0), halfOf(node, length), axis);
  node.setOutput(0, convert(node, y, node.inputDType(0)));
}

std::span<const OpsetRow> quern::onnx::signalImports() {
  static constexpr OpsetRow rows[] = {
      {"BlackmanWindow", 17, kNewestOpset, 1, 1, 1, importBlackmanWindow},
      {"DFT", 17, 19, 1, 2, 1, importDft},
      {"DFT", 20, kNewestOpset, 1, 3, 1, importDft},
      {"HammingWindow", 17, kNewestOpset, 1, 1, 1, importHammingWindow},
      {"HannWindow", 17, kNewestOpset, 1, 1, 1, importHannWindow},
      {"MelWeightMatrix", 17, kNewestOpset, 5, 5, 1, importMelWeightMatrix},
      {"STFT", 17, kNewestOpset, 2, 4, 1, importStft},
  };
  return rows;
}
