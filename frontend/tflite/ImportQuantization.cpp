//===- ImportQuantization.cpp - between integers and real numbers ---------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

/// Floats as integers, or integers as those of another scale.
static void importQuantize(OpReader &op) { op.setReal(0, op.real(0)); }

/// Also of float16, which is not quantized.
static void importDequantize(OpReader &op) {
  op.setStored(0, convert(op, op.real(0), op.outputDType(0)));
}

/// Sparse weights, which are dense once they are read.
static void importDensify(OpReader &op) { op.setStored(0, op.stored(0)); }

/// As quantizing to so many bits and back would: the range is moved so that 0 is a step.
static void importFakeQuant(OpReader &op) {
  const auto &options = op.options<file::FakeQuantOptions>();
  double low = options.narrow() ? 1 : 0, high = std::exp2(options.bits()) - 1;
  if (!(options.min() < options.max()) || options.bits() < 2 || options.bits() > 16)
    return op.invalid("a range or number of bits that means nothing");
  double scale = (double(options.max()) - double(options.min())) / (high - low);
  double zero = std::clamp(std::round(low - options.min() / scale), low, high);
  Value x = op.real(0);
  auto number = [&](double value) { return constantLike(op, value, x); };
  double least = (low - zero) * scale, most = (high - zero) * scale;
  Value inside = op.create<nn::MinOp>(op.create<nn::MaxOp>(x, number(least)), number(most));
  Value steps = op.create<nn::DivOp>(op.create<nn::SubOp>(inside, number(least)), number(scale));
  Value whole = op.create<nn::FloorOp>(op.create<nn::AddOp>(steps, number(0.5)));
  op.setReal(0, op.create<nn::AddOp>(op.create<nn::MulOp>(whole, number(scale)), number(least)));
}

std::span<const OpRow> tflite::quantizationImports() {
  static constexpr OpRow rows[] = {
      {Op::DENSIFY, 1, 1, importDensify},
      {Op::DEQUANTIZE, 1, 1, importDequantize},
      {Op::FAKE_QUANT, 1, 1, importFakeQuant},
      {Op::QUANTIZE, 1, 1, importQuantize},
  };
  return rows;
}
