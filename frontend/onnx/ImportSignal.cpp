//===- ImportSignal.cpp - windows and filters of signals ------------------===//
#include "frontend/onnx/Composition.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// The attribute `output_datatype`: what is computed in float64 is rounded to it.
static DType readOutputType(NodeImport &node) {
  int64_t type = node.getInt("output_datatype", static_cast<int64_t>(DType::Float32));
  if (type > 0 && type <= static_cast<int64_t>(DType::Int4) &&
      static_cast<DType>(type) != DType::String && static_cast<DType>(type) != DType::Bool)
    return static_cast<DType>(type);
  node.invalid(fmt::format("attribute 'output_datatype': {} is no type of numbers", type));
  return DType::Float32;
}

static Value number(NodeImport &node, double value) {
  return node.scalarConstant(value, DType::Float64);
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

/// a0 - a1 cos(t) + a2 cos(2t), where t goes once around: to the end of the window, or,
/// of a symmetric one, to its last element. The only element of such a window is 1.
static void importCosineWindow(NodeImport &node, double a0, double a1, double a2) {
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

static void importHannWindow(NodeImport &node) { importCosineWindow(node, 0.5, 0.5, 0); }
static void importHammingWindow(NodeImport &node) {
  importCosineWindow(node, 25.0 / 46, 21.0 / 46, 0);
}
static void importBlackmanWindow(NodeImport &node) { importCosineWindow(node, 0.42, 0.5, 0.08); }

//===----------------------------------------------------------------------===//
// MelWeightMatrix
//===----------------------------------------------------------------------===//

/// 2595 log10(1 + f / 700)
static Value melOfHertz(NodeImport &node, Value hertz) {
  Value ratio =
      node.create<nn::AddOp>(node.create<nn::DivOp>(hertz, number(node, 700)), number(node, 1));
  return node.create<nn::MulOp>(node.create<nn::LogOp>(ratio),
                                number(node, 2595 / std::numbers::ln10));
}

/// The bins of the edges of the filters, [filters + 2]: evenly spaced in mel.
static Value melEdges(NodeImport &node, Value filters, Value length) {
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
static void importMelWeightMatrix(NodeImport &node) {
  DType dtype = readOutputType(node);
  Value filters = readScalar(node, 0, DType::Float64), length = readScalar(node, 1, DType::Float64);
  if (node.failed())
    return;
  Value edges = melEdges(node, filters, length);
  Value count = readScalar(node, 0, DType::Int64);
  auto edge = [&](int64_t first) -> Value { // of each filter
    Value start = node.intsConstant({first});
    Value end = node.create<nn::AddOp>(start, count);
    return node.create<nn::SliceOp>(edges, start, end, node.intsConstant({0}), node.graph().none);
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
  Value isRising = node.create<nn::AndOp>(node.create<nn::GreaterOrEqualOp>(bins, lower),
                                          node.create<nn::LessOrEqualOp>(bins, center));
  Value down = node.create<nn::DivOp>(node.create<nn::SubOp>(upper, bins), fall);
  Value isFalling = node.create<nn::AndOp>(node.create<nn::GreaterOrEqualOp>(bins, center),
                                           node.create<nn::LessOp>(bins, upper));
  Value rising = node.create<nn::WhereOp>(isRising, up, zero);
  node.setOutput(0, convert(node, node.create<nn::WhereOp>(isFalling, down, rising), dtype));
}

std::span<const OpsetRow> quern::onnx::signalImports() {
  static constexpr OpsetRow rows[] = {
      {"BlackmanWindow", 17, kNewestOpset, 1, 1, 1, importBlackmanWindow},
      {"HammingWindow", 17, kNewestOpset, 1, 1, 1, importHammingWindow},
      {"HannWindow", 17, kNewestOpset, 1, 1, 1, importHannWindow},
      {"MelWeightMatrix", 17, kNewestOpset, 5, 5, 1, importMelWeightMatrix},
  };
  return rows;
}
