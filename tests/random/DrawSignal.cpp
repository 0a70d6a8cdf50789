//===- DrawSignal.cpp - random Fourier transforms and windows -------------===//
#include "tests/random/ModelDraw.h"

#include "quern/CheckedSize.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
/// A signal of reals or complex numbers, [..., 1 or 2].
Drawn drawSignal(ModelDraw &draw, int64_t minRank, int64_t maxRank, bool isReal) {
  auto fits = [=](const Drawn &v) {
    return (v.dtype == DType::Float32 || v.dtype == DType::Float64) && v.rank() >= minRank &&
           v.rank() <= maxRank && v.elements() > 0 && v.elements() <= 2000 && v.bound <= 256 &&
           v.dims.back() == (isReal ? 1 : 2);
  };
  return draw.any(fits, [&] {
    Tensor::Dims dims(draw.between(minRank, maxRank));
    for (int64_t &d : dims)
      d = draw.pick<int64_t>({1, 2, 3, 4, 5, 8, 9, 16});
    dims.back() = isReal ? 1 : 2;
    if (CheckedSize::product(dims).value() > 2000)
      dims[0] = dims[1] = 2;
    return draw.leaf(draw.pick({DType::Float32, DType::Float32, DType::Float64}), dims);
  });
}

bool drawDft(ModelDraw &draw) {
  if (draw.opset() < 17 || !draw.knowsRanks())
    return false;
  bool isReal = draw.percent(50), inverse = draw.percent(40);
  // ONNX has one-sided transforms of reals, and back to them from opset 20 on.
  bool oneSided = isReal && !inverse && draw.percent(50);
  Drawn x = drawSignal(draw, 3, 4, isReal);
  bool axisIsInput = draw.opset() >= 20;
  int64_t axis = draw.below(x.rank() - 1);
  int64_t length = x.dims[axis];
  bool givesLength = draw.percent(50);
  if (givesLength)
    length = draw.between(1, 12);
  Drawn y{draw.fresh(), x.dtype, x.dims, 0, 0};
  y.dims[axis] = oneSided ? length / 2 + 1 : length;
  y.dims.back() = 2;
  auto terms = static_cast<double>(length);
  y.bound = 2 * terms * x.bound;
  y.error = 2 * terms * x.error + 16 * std::sqrt(terms) * roundingUnit(x.dtype) * y.bound;
  std::vector<std::string> inputs = {x.name};
  bool isDefault = axisIsInput ? axis == x.rank() - 2 : axis == 1;
  bool givesAxis = !isDefault || draw.percent(50);
  int64_t written = draw.signOfKnownRank(axis, x.rank());
  auto scalar = [&](int64_t value) {
    return draw.percent(70) ? draw.initializer(Tensor::of<int64_t>({}, {value}))
                            : draw.leafOf(Tensor::of<int64_t>({}, {value}), 100).name;
  };
  if (givesLength || (axisIsInput && givesAxis))
    inputs.push_back(givesLength ? scalar(length) : "");
  if (axisIsInput && givesAxis)
    inputs.push_back(draw.initializer(Tensor::of<int64_t>({}, {written})));
  auto &node = draw.result("DFT", inputs, y);
  if (!axisIsInput && givesAxis)
    node.attr("axis", written);
  if (inverse || draw.percent(30))
    node.attr("inverse", int64_t{inverse});
  if (oneSided || draw.percent(30))
    node.attr("onesided", int64_t{oneSided});
  return true;
}

bool drawStft(ModelDraw &draw) {
  if (draw.opset() < 17 || !draw.knowsRanks())
    return false;
  bool isReal = draw.percent(60), oneSided = isReal && draw.percent(60);
  int64_t batch = draw.between(1, 2), length = draw.between(8, 40), frame = draw.between(2, 8),
          step = draw.between(1, 6);
  Drawn x = draw.leaf(draw.pick({DType::Float32, DType::Float64}), {batch, length, isReal ? 1 : 2});
  int64_t frames = (length - frame) / step + 1;
  auto terms = static_cast<double>(frame);
  Drawn y{draw.fresh(),
          x.dtype,
          {batch, frames, oneSided ? frame / 2 + 1 : frame, 2},
          2 * terms * x.bound * 3,
          0};
  y.error = 16 * terms * roundingUnit(x.dtype) * y.bound;
  std::vector<std::string> inputs = {x.name, draw.initializer(Tensor::of<int64_t>({}, {step}))};
  bool hasWindow = draw.percent(60);
  inputs.push_back(hasWindow ? draw.parameter(x.dtype, {frame}, 0, 3).name : "");
  if (!hasWindow || draw.percent(50))
    inputs.push_back(draw.initializer(Tensor::of<int64_t>({}, {frame})));
  auto &node = draw.result("STFT", inputs, y);
  if (!oneSided || draw.percent(50))
    node.attr("onesided", int64_t{oneSided});
  return true;
}

bool drawWindow(ModelDraw &draw) {
  if (draw.opset() < 17)
    return false;
  int64_t size = draw.between(1, 20);
  DType dtype = draw.pick({DType::Float32, DType::Float32, DType::Float64});
  Drawn y{draw.fresh(), dtype, {size}, 1, 64 * roundingUnit(DType::Float32)};
  auto &node =
      draw.result(draw.pick<std::string>({"HannWindow", "HammingWindow", "BlackmanWindow"}),
                  {draw.leaf(DType::Int64, {}, size, size).name}, y);
  if (draw.percent(50))
    node.attr("periodic", draw.below(2));
  if (dtype != DType::Float32 || draw.percent(30))
    node.attr("output_datatype", static_cast<int64_t>(dtype));
  return true;
}
} // namespace

OpFamily random::signalFamily() { return {1, 1, {drawDft, drawDft, drawStft, drawWindow}}; }
