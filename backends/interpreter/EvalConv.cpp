//===- EvalConv.cpp - reference kernel of convolution ---------------------===//
//
// A result element is a dot product of depth channels/group x kernel. The kernel
// gathers the elements under each kernel element for a tile of positions, then
// adds weighted rows: the innermost loop runs over neighbouring positions.
//
//===----------------------------------------------------------------------===//
#include "backends/interpreter/Conv.h"
#include "backends/interpreter/Indexing.h"

using namespace quern;
using namespace quern::interpreter;

namespace {

/// Edges of the tiles in depth and in output channels: gathered rows and sums
/// stay in the second-level cache.
constexpr int64_t kDepthTile = 64;
constexpr int64_t kOutputTile = 256;

struct ConvSizes {
  ImageLayout input;
  ImageLayout result;
  WindowSpace windows;
  int64_t groups = 1;
  /// Input and output channels of one group.
  int64_t channels = 0;
  int64_t outputs = 0;
};

template <typename T> struct ConvOperands {
  const T *input;
  /// [outputs of all groups, channels, kernel...]
  const T *weights;
  /// Null when there is none.
  const T *bias;
  T *result;
};

/// A group of one batch element.
struct GroupIndex {
  int64_t batch;
  int64_t group;
};

} // namespace

/// sums[x] += the sum of weights[k] * taps[k][x] over k, in order of k.
template <typename T>
static void addWeightedRows(const T *weights, int64_t depth, const Wide<T> *taps, int64_t width,
                            Wide<T> *sums) {
  constexpr int64_t row = kPositionTile;
  int64_t k = 0;
  // Four rows at a time, for fewer loads and stores of the sums.
  for (; k + 4 <= depth; k += 4, taps += 4 * row) {
    Wide<T> w0 = widen(weights[k]), w1 = widen(weights[k + 1]);
    Wide<T> w2 = widen(weights[k + 2]), w3 = widen(weights[k + 3]);
    for (int64_t x = 0; x < width; ++x)
      sums[x] = sums[x] + w0 * taps[x] + w1 * taps[row + x] + w2 * taps[2 * row + x] +
                w3 * taps[3 * row + x];
  }
  for (; k < depth; ++k, taps += row) {
    Wide<T> w = widen(weights[k]);
    for (int64_t x = 0; x < width; ++x)
      sums[x] += w * taps[x];
  }
}

/// Computes the outputs [firstOutput, firstOutput + outputs) of a group at a tile
/// of positions.
template <typename T>
static void convolveTile(const ConvSizes &sizes, const ConvOperands<T> &operands, GroupIndex at,
                         PositionRange tile, int64_t firstOutput, int64_t outputs) {
  using W = Wide<T>;
  int64_t kernel = sizes.windows.kernelElements();
  int64_t depth = sizes.channels * kernel;
  int64_t firstRow = at.group * sizes.outputs + firstOutput;
  std::vector<W> taps(std::min(depth, kDepthTile) * kPositionTile);
  std::vector<W> sums(outputs * kPositionTile);
  for (int64_t j = 0; j < outputs; ++j)
    std::fill_n(&sums[j * kPositionTile], tile.size(),
                operands.bias ? widen(operands.bias[firstRow + j]) : W(0));
  for (int64_t k0 = 0; k0 < depth; k0 += kDepthTile) {
    int64_t count = std::min(kDepthTile, depth - k0);
    for (int64_t k = 0; k < count; ++k) {
      int64_t channel = at.group * sizes.channels + (k0 + k) / kernel;
      gatherTaps(operands.input + sizes.input.offset(at.batch, channel), sizes.windows,
                 (k0 + k) % kernel, tile, W(0), &taps[k * kPositionTile]);
    }
    for (int64_t j = 0; j < outputs; ++j)
      addWeightedRows(operands.weights + (firstRow + j) * depth + k0, count, taps.data(),
                      tile.size(), &sums[j * kPositionTile]);
  }
  for (int64_t j = 0; j < outputs; ++j) {
    T *result = operands.result + sizes.result.offset(at.batch, firstRow + j);
    for (int64_t x = 0; x < tile.size(); ++x)
      result[(tile.begin + x) * sizes.result.block] = narrow<T>(sums[j * kPositionTile + x]);
  }
}

template <typename T>
static void convolve(const ConvSizes &sizes, const ConvOperands<T> &operands) {
  int64_t positions = sizes.result.plane();
  for (int64_t n = 0; n < sizes.result.batch; ++n)
    for (int64_t g = 0; g < sizes.groups; ++g)
      for (int64_t p = 0; p < positions; p += kPositionTile)
        for (int64_t j = 0; j < sizes.outputs; j += kOutputTile)
          convolveTile(sizes, operands, {n, g}, {p, std::min(p + kPositionTile, positions)}, j,
                       std::min(kOutputTile, sizes.outputs - j));
}

static Expected<ConvSizes> resolveSizes(const OpCall &call) {
  const Tensor &weights = call.inputs[1];
  ConvSizes sizes;
  sizes.groups = call.attributes.getInt("group", 1);
  QUERN_ASSIGN(sizes.input, imageLayout(call.inputs[0], call.attributes.getInt("input_block")));
  QUERN_TRY(checkConvOperands(call, static_cast<int64_t>(sizes.input.spatial.size())));
  int64_t outputs = weights.dim(0);
  if (outputs % sizes.groups != 0)
    return invalidInput("weights " + weights.describe() + " do not divide into " +
                        std::to_string(sizes.groups) + " groups");
  sizes.channels = weights.dim(1);
  sizes.outputs = outputs / sizes.groups;
  CheckedSize channels = CheckedSize(sizes.channels) * CheckedSize(sizes.groups);
  // In the blocked layout the last block may hold padding channels.
  if (!channels.valid() || blocksOf(channels.value(), sizes.input.block) != sizes.input.blocks)
    return invalidInput("input " + call.inputs[0].describe() + " does not fit weights " +
                        weights.describe() + " in " + std::to_string(sizes.groups) + " groups");
  QUERN_TRY(checkBias(call.inputs[2], outputs));
  QUERN_ASSIGN(sizes.windows, slideWindow(call.attributes, sizes.input,
                                          std::span<const int64_t>(weights.dims()).subspan(2)));
  int64_t block = std::max<int64_t>(1, call.attributes.getInt("output_block"));
  sizes.result = {sizes.input.batch, blocksOf(outputs, block), block, sizes.windows.positions};
  return sizes;
}

static Expected<std::vector<Tensor>> evalConv(const OpCall &call) {
  QUERN_ASSIGN(ConvSizes sizes, resolveSizes(call));
  const Tensor &input = call.inputs[0], &bias = call.inputs[2];
  // The zeros of the allocation are the padding channels of the last block.
  QUERN_ASSIGN(Tensor result,
               Tensor::allocate(input.dtype(),
                                sizes.result.dims(call.attributes.getInt("output_block")),
                                call.limits));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_TRY(visitNumber(input.dtype(), [&]<typename T>() {
    convolve<T>(sizes, {input.data<T>(), call.inputs[1].data<T>(),
                        bias.isPresent() ? bias.data<T>() : nullptr, result.mutableData<T>()});
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> interpreter::convEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.conv", evalConv},
      {"nn.conv_transpose", evalConvTranspose},
  };
  return rows;
}
