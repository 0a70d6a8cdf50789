//===- EvalConv.cpp - reference kernel of convolution ---------------------===//
//
// A result element is the dot product of a filter with the window under it. The
// windows of a few neighbouring positions are gathered together.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/Conv.h"
#include "runtime/reference/Factors.h"
#include "runtime/reference/Indexing.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::reference;

namespace {

/// Positions whose windows are gathered together.
constexpr int64_t kWindowCount = 16;

/// What a range of positions is computed with.
template <typename T> struct ConvScratch {
  /// The windows, one after the other; the elements of a window are in the order
  /// of a filter's: channel, then kernel element.
  std::span<Wide<T>> windows;
  std::array<Wide<T>, kWindowCount> taps;
};

/// A group of one batch element.
struct GroupIndex {
  int64_t batch;
  int64_t group;
};

} // namespace

/// Collects the windows under a range of positions.
template <typename T>
static Status gatherWindows(const ConvSizes &sizes, const T *input, GroupIndex at,
                            PositionRange range, ConvScratch<T> &scratch, Budget &budget) {
  int64_t kernel = sizes.windows.kernelElements();
  int64_t depth = sizes.channels * kernel;
  for (int64_t c = 0; c < sizes.channels; ++c) {
    const T *channel = input + sizes.input.offset(at.batch, at.group * sizes.channels + c);
    for (int64_t k = 0; k < kernel; ++k) {
      QUERN_TRY(budget.spend(kTapsWork + 4 * range.size()));
      gatherTaps(channel, sizes.windows, k, range, static_cast<Wide<T>>(sizes.padValue),
                 scratch.taps.data());
      for (int64_t x = 0; x < range.size(); ++x)
        scratch.windows[x * depth + c * kernel + k] = scratch.taps[x];
    }
  }
  return Status::ok();
}

template <typename T>
static Status convolveRange(const ConvSizes &sizes, const ConvOperands<T> &operands, GroupIndex at,
                            PositionRange range, ConvScratch<T> &scratch, Budget &budget) {
  int64_t depth = sizes.channels * sizes.windows.kernelElements();
  QUERN_TRY(gatherWindows(sizes, operands.input, at, range, scratch, budget));
  for (int64_t j = 0; j < sizes.outputs; ++j) {
    int64_t output = at.group * sizes.outputs + j;
    const T *filter = operands.weights + output * depth;
    T *result = operands.result + sizes.result.offset(at.batch, output);
    for (int64_t x = 0; x < range.size(); ++x) {
      QUERN_TRY(budget.spend(depth + 1));
      const Wide<T> *window = scratch.windows.data() + x * depth;
      Wide<T> sum = operands.bias ? widen(operands.bias[output]) : Wide<T>(0);
      for (int64_t k = 0; k < depth; ++k)
        sum += widen(filter[k]) * window[k];
      result[(range.begin + x) * sizes.result.block] = narrow<T>(sum);
    }
  }
  return Status::ok();
}

template <typename T>
static Status convolve(const ConvSizes &sizes, const ConvOperands<T> &operands, Budget &budget) {
  int64_t positions = sizes.result.plane();
  CheckedSize depth = CheckedSize(sizes.channels) * CheckedSize(sizes.windows.kernelElements());
  QUERN_TRY(budget.require(CheckedSize::product(sizes.result.dims(sizes.result.block)) * depth));
  ConvScratch<T> scratch;
  QUERN_ASSIGN(scratch.windows, budget.scratch<Wide<T>>(depth * CheckedSize(kWindowCount)));
  for (int64_t n = 0; n < sizes.result.batch; ++n)
    for (int64_t g = 0; g < sizes.groups; ++g)
      for (int64_t p = 0; p < positions; p += kWindowCount)
        QUERN_TRY(convolveRange(sizes, operands, {n, g}, {p, std::min(p + kWindowCount, positions)},
                                scratch, budget));
  return Status::ok();
}

static Expected<ConvSizes> resolveSizes(const OpCall &call, DType sums) {
  const Tensor &weights = call.inputs[1];
  ConvSizes sizes;
  sizes.groups = call.attributes.getInt("group", 1);
  QUERN_ASSIGN(sizes.input, imageLayout(call.inputs[0], call.attributes.getInt("input_block")));
  QUERN_TRY(checkConvOperands(call, static_cast<int64_t>(sizes.input.spatial.size()), sums));
  int64_t outputs = weights.dim(0);
  if (outputs % sizes.groups != 0)
    return invalidInput(
        fmt::format("weights {} do not divide into {} groups", weights.describe(), sizes.groups));
  sizes.channels = weights.dim(1);
  sizes.outputs = outputs / sizes.groups;
  CheckedSize channels = CheckedSize(sizes.channels) * CheckedSize(sizes.groups);
  // In the blocked layout the last block may hold padding channels.
  if (!channels.valid() || ceilDiv(channels.value(), sizes.input.block) != sizes.input.blocks)
    return invalidInput(fmt::format("input {} does not fit weights {} in {} groups",
                                    call.inputs[0].describe(), weights.describe(), sizes.groups));
  QUERN_TRY(checkBias(call.inputs[2], outputs));
  QUERN_ASSIGN(sizes.windows, slideWindow(call.attributes, sizes.input,
                                          std::span<const int64_t>(weights.dims()).subspan(2),
                                          /*ceilMode=*/false));
  int64_t block = std::max<int64_t>(1, call.attributes.getInt("output_block"));
  sizes.result = {sizes.input.batch, ceilDiv(outputs, block), block, sizes.windows.positions};
  return sizes;
}

Expected<std::vector<Tensor>> reference::evalConv(const OpCall &call) {
  QUERN_ASSIGN(Factors factors, Factors::of(call));
  QUERN_ASSIGN(ConvSizes sizes, resolveSizes(call, factors.sums()));
  sizes.padValue = call.attributes.getInt("pad_value");
  const Tensor &bias = call.inputs[2];
  // The zeros of the allocation are the padding channels of the last block.
  QUERN_ASSIGN(Tensor result,
               call.allocateResult(0, factors.sums(),
                                   sizes.result.dims(call.attributes.getInt("output_block"))));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_TRY(visitNumber(factors.sums(), [&]<typename T>() {
    return convolve<T>(sizes,
                       {factors.a.data<T>(), factors.b.data<T>(),
                        bias.isPresent() ? bias.data<T>() : nullptr, result.mutableData<T>()},
                       call.budget);
  }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::convEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.conv", evalConv},
      {"nn.conv_transpose", evalConvTranspose},
  };
  return rows;
}
