//===- EvalStructure.cpp - reference kernels of layout changes ------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::reference;

namespace {
/// The sizes of the same data as [batch, channels, plane] and as
/// [batch, blocks, plane, block].
struct BlockedDims {
  int64_t batch;
  int64_t channels;
  int64_t blocks;
  int64_t plane;
  int64_t block;

  int64_t plainOffset(int64_t n, int64_t c, int64_t i) const {
    return (n * channels + c) * plane + i;
  }
  int64_t blockedOffset(int64_t n, int64_t c, int64_t i) const {
    return ((n * blocks + c / block) * plane + i) * block + c % block;
  }
};
} // namespace

/// Calls move(plain offset, blocked offset) for every element that is no padding.
template <typename Move> static Status forEachElement(BlockedDims dims, Budget &budget, Move move) {
  for (int64_t n = 0; n < dims.batch; ++n)
    for (int64_t c = 0; c < dims.channels; ++c)
      QUERN_TRY(budget.forParts(dims.plane, 4, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          move(dims.plainOffset(n, c, i), dims.blockedOffset(n, c, i));
      }));
  return Status::ok();
}

static Expected<std::vector<Tensor>> evalPack(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  int64_t block = call.attributes.getInt("output_block");
  if (input.rank() < 2)
    return invalidInput("input needs rank 2 or more, found " + input.describe());
  if (block < 1)
    return invalidInput(fmt::format("block must be positive, found {}", block));
  int64_t channels = input.dim(1);
  int64_t blocks = ceilDiv(channels, block);
  std::vector<int64_t> resultDims = input.dims();
  resultDims[1] = blocks;
  resultDims.push_back(block);
  // The zeros of the allocation are the padding.
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), resultDims));
  if (input.numElements() == 0)
    return std::vector<Tensor>{result};
  BlockedDims dims{input.dim(0), channels, blocks,
                   countOf(std::span<const int64_t>(input.dims()).subspan(2)), block};
  QUERN_TRY(visitStorage(input.dtype(), [&]<typename T>() {
    return forEachElement(dims, call.budget, [&](int64_t plain, int64_t blocked) {
      result.mutableData<T>()[blocked] = input.data<T>()[plain];
    });
  }));
  return std::vector<Tensor>{result};
}

static Expected<std::vector<Tensor>> evalUnpack(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  int64_t channels = call.attributes.getInt("channels");
  if (input.rank() < 3)
    return invalidInput("input needs rank 3 or more, found " + input.describe());
  int64_t blocks = input.dim(1), block = input.dims().back();
  CheckedSize stored = CheckedSize(blocks) * CheckedSize(block);
  if (!stored.valid() || channels < 0 || channels > stored.value())
    return invalidInput(fmt::format("cannot keep {} channels of {}", channels, input.describe()));
  std::vector<int64_t> resultDims = input.dims();
  resultDims[1] = channels;
  resultDims.pop_back();
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), resultDims));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  BlockedDims dims{input.dim(0), channels, blocks,
                   countOf(std::span<const int64_t>(resultDims).subspan(2)), block};
  QUERN_TRY(visitStorage(input.dtype(), [&]<typename T>() {
    return forEachElement(dims, call.budget, [&](int64_t plain, int64_t blocked) {
      result.mutableData<T>()[plain] = input.data<T>()[blocked];
    });
  }));
  return std::vector<Tensor>{result};
}

/// The sizes of a tensor in blocks, all of whose lanes are channels.
static BlockedDims dimsOfLanes(const std::vector<int64_t> &dims) {
  std::span<const int64_t> plane(dims.begin() + 2, dims.end() - 1);
  return {dims.front(), dims[1] * dims.back(), dims[1], countOf(plane), dims.back()};
}

static Expected<std::vector<Tensor>> evalGatherChannels(const OpCall &call) {
  std::vector<int64_t> lanes = call.attributes.getInts("lanes");
  int64_t block = call.attributes.getInt("output_block");
  if (block < 1)
    return invalidInput(fmt::format("block must be positive, found {}", block));
  for (const Tensor &input : call.inputs)
    if (input.rank() < 3 || input.dtype() != call.inputs[0].dtype())
      return invalidInput("inputs must be alike and in blocks, found " + input.describe());
  std::vector<int64_t> resultDims = call.inputs[0].dims();
  resultDims[1] = ceilDiv(static_cast<int64_t>(lanes.size()), block);
  resultDims.back() = block;
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, call.inputs[0].dtype(), resultDims));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  BlockedDims to = dimsOfLanes(resultDims);
  for (int64_t channel = 0; channel < static_cast<int64_t>(lanes.size()); ++channel) {
    int64_t lane = lanes[channel];
    if (lane < 0)
      continue; // The zeros of the allocation.
    size_t number = 0;
    auto lanesOf = [&](size_t i) { return dimsOfLanes(call.inputs[i].dims()).channels; };
    for (; number < call.inputs.size() && lane >= lanesOf(number); ++number)
      lane -= lanesOf(number);
    if (number == call.inputs.size())
      return invalidInput(fmt::format("there is no lane {}", lanes[channel]));
    const Tensor &input = call.inputs[number];
    BlockedDims from = dimsOfLanes(input.dims());
    if (from.batch != to.batch || from.plane != to.plane)
      return invalidInput("inputs must be of as many pixels, found " + input.describe());
    QUERN_TRY(visitStorage(result.dtype(), [&]<typename T>() -> Status {
      for (int64_t n = 0; n < to.batch; ++n)
        QUERN_TRY(call.budget.forParts(to.plane, 4, [&](int64_t begin, int64_t stop) {
          for (int64_t i = begin; i < stop; ++i)
            result.mutableData<T>()[to.blockedOffset(n, channel, i)] =
                input.data<T>()[from.blockedOffset(n, lane, i)];
        }));
      return Status::ok();
    }));
  }
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::structureEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.pack", evalPack},
      {"nn.unpack", evalUnpack},
      {"nn.gather_channels", evalGatherChannels},
  };
  return rows;
}
