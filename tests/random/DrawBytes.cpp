//===- DrawBytes.cpp - what draws of quantized tensors share --------------===//
#include "tests/random/DrawBytes.h"

using namespace quern;
using namespace quern::random;

Tensor random::drawScales(ModelDraw &draw, const Tensor::Dims &dims,
                          std::initializer_list<float> choices) {
  Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = draw.pick(choices);
  return tensor;
}

DType random::drawByteType(ModelDraw &draw) { return draw.pick({DType::Int8, DType::UInt8}); }

static Tensor drawElements(ModelDraw &draw, DType dtype, const Tensor::Dims &dims, bool atEnds) {
  Tensor tensor = Tensor::allocate(dtype, dims).take();
  int64_t count = int64_t{1} << dtypeBits(dtype), least = isSignedInteger(dtype) ? -count / 2 : 0;
  auto *out = static_cast<uint8_t *>(tensor.mutableRawData());
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    out[i] =
        static_cast<uint8_t>(least + (atEnds ? draw.below(2) * (count - 1) : draw.below(count)));
  return tensor;
}

Tensor random::drawBytes(ModelDraw &draw, DType dtype, const Tensor::Dims &dims) {
  return drawElements(draw, dtype, dims, draw.percent(15));
}

Tensor random::drawZeroPoints(ModelDraw &draw, DType dtype, const Tensor::Dims &dims) {
  return drawElements(draw, dtype, dims, draw.percent(35));
}

Drawn random::newBytes(ModelDraw &draw, DType dtype, const Tensor::Dims &dims) {
  return draw.leafOf(drawBytes(draw, dtype, dims), dtype == DType::Int8 ? 128 : 255);
}

Drawn random::anyBytes(ModelDraw &draw, int64_t minRank, int64_t maxRank) {
  return draw.any(
      [=](const Drawn &v) {
        return (v.dtype == DType::Int8 || v.dtype == DType::UInt8) && v.rank() >= minRank &&
               v.rank() <= maxRank && v.elements() <= 8000;
      },
      [&] { return newBytes(draw, drawByteType(draw), draw.drawDims(minRank, maxRank)); });
}

int64_t random::drawChannels(ModelDraw &draw) {
  return draw.percent(60) ? draw.between(1, 4) : draw.pick<int64_t>({8, 15, 16, 17, 32, 48});
}
