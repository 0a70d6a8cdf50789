//===- EvalNormalization.cpp - reference kernels of normalizations --------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/Windows.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::reference;

namespace {
/// [N, C, spatial...] data as N images of C planes of `plane` elements.
struct ChannelDims {
  int64_t batch;
  int64_t channels;
  int64_t plane;
};
} // namespace

/// A vector without channels, as ONNX allows for batch normalization, has one.
static Expected<ChannelDims> channelDims(const Tensor &input) {
  if (input.rank() == 0)
    return invalidInput("input needs rank 1 or more");
  std::span<const int64_t> dims = input.dims();
  if (input.rank() == 1)
    return ChannelDims{dims[0], 1, 1};
  return ChannelDims{dims[0], dims[1], countOf(dims.subspan(2))};
}

/// A parameter with one value per channel.
static Expected<std::span<double>> channelValues(const Tensor &parameter, int64_t channels,
                                                 std::string_view what, Budget &budget) {
  if (parameter.rank() != 1 || parameter.dim(0) != channels)
    return invalidInput(
        fmt::format("{} must have shape {}, found {}", what, channels, parameter.describe()));
  QUERN_ASSIGN(std::span<double> values, budget.scratch<double>(channels));
  QUERN_TRY(visitFloat(parameter.dtype(), [&]<typename T>() {
    return budget.forParts(channels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c)
        values[c] = widen(parameter.data<T>()[c]);
    });
  }));
  return values;
}

namespace {
struct Moments {
  double mean;
  /// The mean of the squared differences from `mean`.
  double variance;
};
} // namespace

/// Those of `values`, of which there is one at least; around 0 when they are not centred.
template <typename T> static Moments momentsOf(std::span<const T> values, bool center = true) {
  auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (T v : values)
    sum += widen(v);
  double mean = center ? sum / count : 0;
  for (T v : values)
    squares += (widen(v) - mean) * (widen(v) - mean);
  return {mean, squares / count};
}

/// One plane of normalized data: (x - mean) / deviation * scale + bias.
template <typename T>
static Status normalizePlane(std::span<const T> in, T *out, double mean, double deviation,
                             double scale, double bias, Budget &budget) {
  return budget.forParts(static_cast<int64_t>(in.size()), 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      out[i] = narrow<T>((widen(in[i]) - mean) / deviation * scale + bias);
  });
}

static Expected<std::vector<Tensor>> evalBatchNorm(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(ChannelDims dims, channelDims(input));
  QUERN_ASSIGN(auto scale, channelValues(call.inputs[1], dims.channels, "scale", call.budget));
  QUERN_ASSIGN(auto bias, channelValues(call.inputs[2], dims.channels, "bias", call.budget));
  QUERN_ASSIGN(auto mean, channelValues(call.inputs[3], dims.channels, "mean", call.budget));
  QUERN_ASSIGN(auto variance,
               channelValues(call.inputs[4], dims.channels, "variance", call.budget));
  double epsilon = call.attributes.getFloat("epsilon", 1e-5);
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), input.dims()));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_TRY(visitFloat(input.dtype(), [&]<typename T>() {
    for (int64_t p = 0; p < dims.batch * dims.channels; ++p) {
      int64_t c = p % dims.channels;
      QUERN_TRY(call.budget.spend(8));
      QUERN_TRY(normalizePlane(input.elementsAs<T>().subspan(p * dims.plane, dims.plane),
                               result.mutableData<T>() + p * dims.plane, mean[c],
                               std::sqrt(variance[c] + epsilon), scale[c], bias[c], call.budget));
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

/// Each channel of each image by itself; what is beside the channels of a block becomes 0.
template <typename T>
static Status normalizeChannels(const OpCall &call, const ImageLayout &layout,
                                std::span<const double> scale, std::span<const double> bias,
                                Tensor &result) {
  double epsilon = call.attributes.getFloat("epsilon", 1e-5);
  int64_t plane = layout.plane();
  QUERN_ASSIGN(std::span<T> in, call.budget.scratch<T>(plane));
  QUERN_ASSIGN(std::span<T> out, call.budget.scratch<T>(plane));
  for (int64_t n = 0; n < layout.batch; ++n)
    for (size_t c = 0; c < scale.size(); ++c) {
      int64_t first = layout.offset(n, static_cast<int64_t>(c));
      QUERN_TRY(call.budget.spend(plane * 6 + 8));
      for (int64_t i = 0; i < plane; ++i)
        in[i] = call.inputs[0].data<T>()[first + i * layout.block];
      Moments moments = momentsOf(std::span<const T>(in));
      QUERN_TRY(normalizePlane(std::span<const T>(in), out.data(), moments.mean,
                               std::sqrt(moments.variance + epsilon), scale[c], bias[c],
                               call.budget));
      for (int64_t i = 0; i < plane; ++i)
        result.mutableData<T>()[first + i * layout.block] = out[i];
    }
  return Status::ok();
}

static Expected<std::vector<Tensor>> evalInstanceNorm(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  int64_t block = call.attributes.getInt("input_block", 0), channels = call.inputs[1].numElements();
  QUERN_ASSIGN(ImageLayout layout, imageLayout(input, block));
  if (block == 0)
    channels = layout.blocks;
  else if (ceilDiv(channels, block) != layout.blocks)
    return invalidInput(fmt::format("{} channels do not fit {}", channels, input.describe()));
  QUERN_ASSIGN(auto scale, channelValues(call.inputs[1], channels, "scale", call.budget));
  QUERN_ASSIGN(auto bias, channelValues(call.inputs[2], channels, "bias", call.budget));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), input.dims()));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_TRY(visitFloat(input.dtype(), [&]<typename T>() {
    return normalizeChannels<T>(call, layout, scale, bias, result);
  }));
  return std::vector<Tensor>{result};
}

/// One row: (x - mean) / deviation * scale + bias, where there are scale and bias.
template <typename T>
static void normalizeRow(std::span<const T> in, const Tensor &scale, const Tensor &bias,
                         double mean, double deviation, T *out) {
  for (size_t i = 0; i < in.size(); ++i) {
    double y = (widen(in[i]) - mean) / deviation;
    if (scale.isPresent())
      y *= widen(scale.data<T>()[i]);
    if (bias.isPresent())
      y += widen(bias.data<T>()[i]);
    out[i] = narrow<T>(y);
  }
}

static Expected<std::vector<Tensor>> evalLayerNorm(const OpCall &call) {
  const Tensor &input = call.inputs[0], &scale = call.inputs[1], &bias = call.inputs[2];
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis"), input.rank()));
  double epsilon = call.attributes.getFloat("epsilon");
  bool center = call.attributes.getInt("center");
  int64_t length = countOf(std::span(input.dims()).subspan(axis));
  for (const Tensor *parameter : {&scale, &bias})
    if (parameter->isPresent() &&
        (parameter->dtype() != input.dtype() || parameter->numElements() != length))
      return invalidInput(fmt::format("a row has {} elements of {}, its scale or bias is {}",
                                      length, dtypeName(input.dtype()), parameter->describe()));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), input.dims()));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_TRY(visitFloat(input.dtype(), [&]<typename T>() {
    for (int64_t first = 0; first < input.numElements(); first += length) {
      std::span<const T> row = input.elementsAs<T>().subspan(first, length);
      QUERN_TRY(call.budget.spend(length * 8 + 8));
      Moments moments = momentsOf(row, center);
      normalizeRow(row, scale, bias, moments.mean, std::sqrt(moments.variance + epsilon),
                   result.mutableData<T>() + first);
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

/// x / (bias + alpha / size * sum of squares over `size` channels around x)^beta
static Expected<std::vector<Tensor>> evalLrn(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  const Attributes &attributes = call.attributes;
  double alpha = attributes.getFloat("alpha"), beta = attributes.getFloat("beta");
  double bias = attributes.getFloat("bias");
  int64_t size = attributes.getInt("size");
  if (input.rank() < 2)
    return invalidInput("input needs rank 2 or more, found " + input.describe());
  if (size < 1)
    return invalidInput(fmt::format("size must be positive, found {}", size));
  ImageLayout layout{.batch = input.dim(0), .blocks = input.dim(1), .block = 1, .spatial = {}};
  if (int64_t block = attributes.getInt("input_block"); block > 0) {
    QUERN_ASSIGN(layout, imageLayout(input, block));
  } else {
    layout.spatial.assign(input.dims().begin() + 2, input.dims().end());
  }
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), input.dims()));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  int64_t channels = layout.storedChannels(), plane = layout.plane();
  constexpr int64_t kPowerWork = 32;
  // Of an even window, the larger half lies after the channel.
  int64_t before = std::min((size - 1) / 2, channels), after = std::min(size / 2, channels);
  int64_t window = kPowerWork + 2 * std::min(before + after + 1, channels);
  QUERN_TRY(call.budget.require(CheckedSize(input.numElements()) * CheckedSize(window)));
  QUERN_TRY(visitFloat(input.dtype(), [&]<typename T>() {
    for (int64_t n = 0; n < layout.batch; ++n)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t i = 0; i < plane; ++i) {
          QUERN_TRY(call.budget.spend(window));
          int64_t first = std::max<int64_t>(0, c - before);
          int64_t last = std::min(channels - 1, c + after);
          auto place = [&](int64_t channel) {
            return layout.offset(n, channel) + i * layout.block;
          };
          double squares = 0;
          for (int64_t k = first; k <= last; ++k)
            squares += widen(input.data<T>()[place(k)]) * widen(input.data<T>()[place(k)]);
          double scale = std::pow(bias + alpha / static_cast<double>(size) * squares, beta);
          result.mutableData<T>()[place(c)] = narrow<T>(widen(input.data<T>()[place(c)]) / scale);
        }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::normalizationEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.batch_norm", evalBatchNorm},
      {"nn.instance_norm", evalInstanceNorm},
      {"nn.layer_norm", evalLayerNorm},
      {"nn.lrn", evalLrn},
  };
  return rows;
}
