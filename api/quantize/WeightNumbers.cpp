//===- WeightNumbers.cpp - weights as small integers ----------------------===//
#include "api/quantize/WeightNumbers.h"

#include "quern/CheckedSize.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::quantization;

static constexpr double kMostInt8 = 127;

/// A scale that numbers can be divided by.
static float usableScale(double scale) {
  auto rounded = static_cast<float>(scale);
  return rounded >= std::numeric_limits<float>::min() ? rounded : 1.0f;
}

static double roundTo(double value, double least, double most) {
  return std::clamp(std::nearbyint(value), least, most);
}

Expected<QuantizedWeights> quantization::quantizeToInt8(const Tensor &weights, int64_t axis,
                                                        std::span<const double> leastScales) {
  int64_t channels = axis < 0 ? 1 : weights.dim(axis), inner = 1;
  for (int64_t d = axis + 1; axis >= 0 && d < weights.rank(); ++d)
    inner *= weights.dim(d);
  auto channelOf = [&](int64_t i) { return axis < 0 ? 0 : i / inner % channels; };
  const float *given = weights.data<float>();
  std::vector<double> most(static_cast<size_t>(channels));
  for (int64_t i = 0; i < weights.numElements(); ++i) {
    double &largest = most[static_cast<size_t>(channelOf(i))];
    largest = std::max<double>(largest, std::abs(given[i]));
  }
  std::vector<float> scales;
  for (size_t c = 0; c < most.size(); ++c) {
    double least = leastScales.empty() ? 0 : leastScales[c];
    scales.push_back(usableScale(std::max(most[c] / kMostInt8, least)));
  }
  QUERN_ASSIGN(Tensor numbers, Tensor::allocate(DType::Int8, weights.dims()));
  for (int64_t i = 0; i < weights.numElements(); ++i) {
    double scale = scales[static_cast<size_t>(channelOf(i))];
    numbers.mutableData<int8_t>()[i] =
        static_cast<int8_t>(roundTo(given[i] / scale, -kMostInt8, kMostInt8));
  }
  Tensor::Dims dims = axis < 0 ? Tensor::Dims{} : Tensor::Dims{channels};
  return QuantizedWeights{std::move(numbers), Tensor::of<float>(dims, scales)};
}

//===----------------------------------------------------------------------===//
// Blocks of int4
//===----------------------------------------------------------------------===//

namespace {
/// The entries [begin, end) of a column.
struct Block {
  const float *column;
  int64_t stride, begin, end;

  double at(int64_t i) const { return column[i * stride]; }
};
} // namespace

static constexpr double kLeastInt4 = -8, kMostInt4 = 7;

static double squaredError(const Block &block, double scale) {
  double sum = 0;
  for (int64_t i = block.begin; i < block.end; ++i) {
    double error = roundTo(block.at(i) / scale, kLeastInt4, kMostInt4) * scale - block.at(i);
    sum += error * error;
  }
  return sum;
}

/// The entry of largest magnitude gets a number from 5.5 to 8: rounding it, or letting it saturate,
/// may be made good by finer steps for the others.
static float int4Scale(const Block &block) {
  double extreme = 0;
  for (int64_t i = block.begin; i < block.end; ++i)
    if (std::abs(block.at(i)) > std::abs(extreme))
      extreme = block.at(i);
  float best = usableScale(std::abs(extreme) / kMostInt4);
  double least = squaredError(block, best);
  for (double number : {8.0, 7.5, 7.0, 6.5, 6.0, 5.5}) {
    double scale = usableScale(std::abs(extreme) / number);
    if (double error = squaredError(block, scale); error < least) {
      least = error;
      best = static_cast<float>(scale);
    }
  }
  return best;
}

Expected<QuantizedWeights> quantization::quantizeToInt4(const Tensor &matrix, int64_t blockSize) {
  int64_t rows = matrix.dim(0), columns = matrix.dim(1);
  int64_t blocks = (rows + blockSize - 1) / blockSize;
  QUERN_ASSIGN(Tensor numbers, Tensor::allocate(DType::Int4, matrix.dims()));
  QUERN_ASSIGN(Tensor scales, Tensor::allocate(DType::Float32, {blocks, columns}));
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t j = 0; j < columns; ++j) {
      Block block{matrix.data<float>() + j, columns, b * blockSize,
                  std::min(rows, (b + 1) * blockSize)};
      float scale = int4Scale(block);
      scales.mutableData<float>()[b * columns + j] = scale;
      for (int64_t i = block.begin; i < block.end; ++i)
        numbers.mutableData<int8_t>()[i * columns + j] =
            static_cast<int8_t>(roundTo(block.at(i) / scale, kLeastInt4, kMostInt4));
    }
  return QuantizedWeights{std::move(numbers), std::move(scales)};
}

//===----------------------------------------------------------------------===//
// Biases
//===----------------------------------------------------------------------===//

Expected<Tensor> quantization::quantizeBias(const Tensor &bias, std::span<const double> scales) {
  QUERN_ASSIGN(Tensor numbers, Tensor::allocate(DType::Int32, bias.dims()));
  for (int64_t i = 0; i < bias.numElements(); ++i) {
    double scale = scales[scales.size() == 1 ? 0 : static_cast<size_t>(i)];
    numbers.mutableData<int32_t>()[i] = static_cast<int32_t>(
        roundTo(bias.data<float>()[i] / scale, std::numeric_limits<int32_t>::min(),
                std::numeric_limits<int32_t>::max()));
  }
  return numbers;
}

std::vector<double> quantization::scalesOf(const QuantizedWeights &weights) {
  std::span<const float> scales = weights.scales.elementsAs<float>();
  return {scales.begin(), scales.end()};
}
