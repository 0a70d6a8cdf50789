//===- EvalPool.cpp - reference kernels of pooling ------------------------===//
//
// Windowed pools gather, for a tile of positions, the elements under one kernel
// element after the other and combine them position by position.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/Indexing.h"
#include "runtime/reference/Windows.h"

#include <fmt/format.h>

#include <cmath>

using namespace quern;
using namespace quern::reference;

namespace {

struct PoolSizes {
  ImageLayout input;
  ImageLayout result;
  WindowSpace windows;
};

/// What all values of T exceed or equal: the maximum of no elements.
template <typename T> Wide<T> lowest() {
  if constexpr (isFloatType<T>)
    return -INFINITY;
  else
    return std::numeric_limits<T>::lowest();
}

/// Whether `value` replaces the maximum so far: greater, or the first NaN.
template <typename W> bool exceeds(W value, W best) {
  return value > best || (value != value && best == best);
}

} // namespace

static Expected<PoolSizes> resolveSizes(const OpCall &call) {
  PoolSizes sizes;
  QUERN_ASSIGN(sizes.input, imageLayout(call.inputs[0], call.attributes.getInt("input_block")));
  QUERN_ASSIGN(sizes.windows,
               slideWindow(call.attributes, sizes.input, call.attributes.getInts("kernel"),
                           call.attributes.getInt("ceil_mode") != 0));
  sizes.result = sizes.input;
  sizes.result.spatial = sizes.windows.positions;
  return sizes;
}

static Expected<Tensor> allocateResult(const OpCall &call, const PoolSizes &sizes, DType dtype,
                                       size_t number = 0) {
  return call.allocateResult(number, dtype,
                             sizes.result.dims(call.attributes.getInt("input_block")));
}

/// Calls visit(input offset, result offset, positions) for each channel and each
/// tile of positions of a result that is not empty.
template <typename Visit>
static Status forEachTile(const PoolSizes &sizes, Budget &budget, Visit visit) {
  int64_t positions = sizes.result.plane();
  QUERN_TRY(budget.require(CheckedSize::product(sizes.result.dims(sizes.result.block)) *
                           CheckedSize(sizes.windows.kernelElements())));
  for (int64_t n = 0; n < sizes.result.batch; ++n)
    for (int64_t c = 0; c < sizes.result.storedChannels(); ++c)
      for (int64_t p = 0; p < positions; p += kPositionTile)
        QUERN_TRY(visit(sizes.input.offset(n, c), sizes.result.offset(n, c),
                        PositionRange{p, std::min(p + kPositionTile, positions)}));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Maximum
//===----------------------------------------------------------------------===//

template <typename T>
static Status maxPool(const PoolSizes &sizes, const T *input, T *result, Budget &budget) {
  using W = Wide<T>;
  std::array<W, kPositionTile> best, taps;
  auto visit = [&](int64_t inputOffset, int64_t resultOffset, PositionRange tile) {
    int64_t tapsWork = kTapsWork + 4 * tile.size();
    std::fill(best.begin(), best.end(), lowest<T>());
    for (int64_t k = 0; k < sizes.windows.kernelElements(); ++k) {
      QUERN_TRY(budget.spend(tapsWork));
      gatherTaps(input + inputOffset, sizes.windows, k, tile, lowest<T>(), taps.data());
      for (int64_t x = 0; x < tile.size(); ++x)
        if (exceeds(taps[x], best[x]))
          best[x] = taps[x];
    }
    for (int64_t x = 0; x < tile.size(); ++x)
      result[resultOffset + (tile.begin + x) * sizes.result.block] = narrow<T>(best[x]);
    return Status::ok();
  };
  return forEachTile(sizes, budget, visit);
}

static Expected<std::vector<Tensor>> evalMaxPool(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(PoolSizes sizes, resolveSizes(call));
  QUERN_ASSIGN(Tensor result, allocateResult(call, sizes, input.dtype()));
  if (result.numElements() > 0)
    QUERN_TRY(visitNumber(input.dtype(), [&]<typename T>() {
      return maxPool(sizes, input.data<T>(), result.mutableData<T>(), call.budget);
    }));
  return std::vector<Tensor>{result};
}

/// The position of each element of a channel in the order that the attribute
/// storage_order asks for: row-major, or column-major when `columnMajor`.
static Expected<Tensor> numberPlane(const ImageLayout &image, bool columnMajor, Budget &budget) {
  std::vector<int64_t> strides = rowMajorStrides(image.spatial);
  if (columnMajor) {
    int64_t stride = 1;
    for (size_t d = 0; d < strides.size(); ++d) {
      strides[d] = stride;
      stride *= image.spatial[d];
    }
  }
  QUERN_ASSIGN(Tensor numbers, budget.allocate(DType::Int64, image.spatial));
  int64_t *out = numbers.mutableData<int64_t>();
  QUERN_TRY(budget.spend(numbers.numElements() * 4));
  for (IndexWalk walk(image.spatial, strides); !walk.done(); walk.next())
    *out++ = walk.offset();
  return numbers;
}

/// As maxPool; gathers the numbers of the elements beside their values, -1 in
/// the padding. The first of equal maxima counts.
template <typename T>
static Status maxPoolWithIndices(const PoolSizes &sizes, const T *input, const int64_t *numbers,
                                 T *result, int64_t *indices, Budget &budget) {
  using W = Wide<T>;
  std::array<W, kPositionTile> best, taps;
  std::array<int64_t, kPositionTile> bestNumber, tapNumbers;
  auto visit = [&](int64_t inputOffset, int64_t resultOffset, PositionRange tile) {
    int64_t tapsWork = kTapsWork + 4 * tile.size();
    std::fill(best.begin(), best.end(), lowest<T>());
    std::fill(bestNumber.begin(), bestNumber.end(), -1);
    for (int64_t k = 0; k < sizes.windows.kernelElements(); ++k) {
      QUERN_TRY(budget.spend(tapsWork));
      gatherTaps(input + inputOffset, sizes.windows, k, tile, lowest<T>(), taps.data());
      QUERN_TRY(budget.spend(tapsWork));
      gatherTaps<int64_t>(numbers, sizes.windows, k, tile, -1, tapNumbers.data());
      for (int64_t x = 0; x < tile.size(); ++x) {
        if (tapNumbers[x] < 0 || (bestNumber[x] >= 0 && !exceeds(taps[x], best[x])))
          continue;
        best[x] = taps[x];
        bestNumber[x] = tapNumbers[x];
      }
    }
    for (int64_t x = 0; x < tile.size(); ++x) {
      result[resultOffset + tile.begin + x] = narrow<T>(best[x]);
      // Numbers count within the channel, results within the whole tensor.
      indices[resultOffset + tile.begin + x] = bestNumber[x] < 0 ? -1 : inputOffset + bestNumber[x];
    }
    return Status::ok();
  };
  return forEachTile(sizes, budget, visit);
}

static Expected<std::vector<Tensor>> evalMaxPoolWithIndices(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  int64_t storageOrder = call.attributes.getInt("storage_order");
  if (storageOrder != 0 && storageOrder != 1)
    return invalidInput(fmt::format("storage_order must be 0 or 1, found {}", storageOrder));
  QUERN_ASSIGN(PoolSizes sizes, resolveSizes(call));
  QUERN_ASSIGN(Tensor result, allocateResult(call, sizes, input.dtype()));
  QUERN_ASSIGN(Tensor indices, allocateResult(call, sizes, DType::Int64, 1));
  QUERN_ASSIGN(Tensor numbers, numberPlane(sizes.input, storageOrder == 1, call.budget));
  if (result.numElements() > 0)
    QUERN_TRY(visitNumber(input.dtype(), [&]<typename T>() {
      return maxPoolWithIndices(sizes, input.data<T>(), numbers.data<int64_t>(),
                                result.mutableData<T>(), indices.mutableData<int64_t>(),
                                call.budget);
    }));
  return std::vector<Tensor>{result, indices};
}

//===----------------------------------------------------------------------===//
// Average
//===----------------------------------------------------------------------===//

/// How many elements of an axis a window position covers. The overhang of
/// ceil_mode beyond the end padding never counts.
static int64_t coveredElements(const WindowAxis &axis, int64_t position, bool includePad) {
  int64_t begin = includePad ? -axis.padBegin : 0;
  int64_t end = axis.input + (includePad ? axis.padEnd : 0);
  int64_t first = position * axis.stride - axis.padBegin;
  // The kernel elements before a coordinate.
  auto before = [&](int64_t coordinate) {
    return std::clamp<int64_t>(ceilDiv(coordinate - first, axis.dilation), 0, axis.kernel);
  };
  return std::max<int64_t>(0, before(end) - before(begin));
}

/// The divisor of one window position.
static int64_t windowElements(const WindowSpace &space, int64_t position, bool includePad) {
  int64_t count = 1;
  for (int64_t d = space.rank() - 1; d >= 0; --d) {
    count *= coveredElements(space.axes[d], position % space.positions[d], includePad);
    position /= space.positions[d];
  }
  return count;
}

/// A window that covers no element gives 0.
template <typename T>
static Status averagePool(const PoolSizes &sizes, bool includePad, const T *input, T *result,
                          Budget &budget) {
  std::array<double, kPositionTile> sums, taps;
  auto visit = [&](int64_t inputOffset, int64_t resultOffset, PositionRange tile) {
    int64_t tapsWork = kTapsWork + 4 * tile.size();
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t k = 0; k < sizes.windows.kernelElements(); ++k) {
      QUERN_TRY(budget.spend(tapsWork));
      gatherTaps(input + inputOffset, sizes.windows, k, tile, 0.0, taps.data());
      for (int64_t x = 0; x < tile.size(); ++x)
        sums[x] += taps[x];
    }
    for (int64_t x = 0; x < tile.size(); ++x) {
      int64_t count = windowElements(sizes.windows, tile.begin + x, includePad);
      result[resultOffset + (tile.begin + x) * sizes.result.block] =
          narrow<T>(count == 0 ? 0.0 : sums[x] / static_cast<double>(count));
    }
    return Status::ok();
  };
  return forEachTile(sizes, budget, visit);
}

static Expected<std::vector<Tensor>> evalAveragePool(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  bool includePad = call.attributes.getInt("count_include_pad") != 0;
  QUERN_ASSIGN(PoolSizes sizes, resolveSizes(call));
  QUERN_ASSIGN(Tensor result, allocateResult(call, sizes, input.dtype()));
  if (result.numElements() > 0)
    QUERN_TRY(visitFloat(input.dtype(), [&]<typename T>() {
      return averagePool(sizes, includePad, input.data<T>(), result.mutableData<T>(), call.budget);
    }));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Global pools
//===----------------------------------------------------------------------===//

static Expected<PoolSizes> resolveGlobalSizes(const OpCall &call) {
  PoolSizes sizes;
  QUERN_ASSIGN(sizes.input, imageLayout(call.inputs[0], call.attributes.getInt("input_block")));
  sizes.result = sizes.input;
  std::fill(sizes.result.spatial.begin(), sizes.result.spatial.end(), 1);
  return sizes;
}

/// Computes each channel's result with reduce(first element, count, distance).
template <typename T, typename Reduce>
static Status poolChannels(const PoolSizes &sizes, const Tensor &input, Tensor &result,
                           Budget &budget, Reduce reduce) {
  for (int64_t n = 0; n < sizes.result.batch; ++n)
    for (int64_t c = 0; c < sizes.result.storedChannels(); ++c) {
      QUERN_TRY(budget.spend(8 + 2 * sizes.input.plane()));
      result.mutableData<T>()[sizes.result.offset(n, c)] = narrow<T>(reduce(
          input.data<T>() + sizes.input.offset(n, c), sizes.input.plane(), sizes.input.block));
    }
  return Status::ok();
}

/// The average of an empty channel is 0 / 0.
static Status averageChannels(const PoolSizes &sizes, const Tensor &input, Tensor &result,
                              Budget &budget) {
  return visitFloat(input.dtype(), [&]<typename T>() {
    return poolChannels<T>(sizes, input, result, budget,
                           [](const T *channel, int64_t count, int64_t distance) {
                             double sum = 0;
                             for (int64_t i = 0; i < count; ++i)
                               sum += widen(channel[i * distance]);
                             return sum / static_cast<double>(count);
                           });
  });
}

static Status maximumOfChannels(const PoolSizes &sizes, const Tensor &input, Tensor &result,
                                Budget &budget) {
  return visitNumber(input.dtype(), [&]<typename T>() {
    return poolChannels<T>(
        sizes, input, result, budget, [](const T *channel, int64_t count, int64_t distance) {
          Wide<T> best = lowest<T>();
          for (int64_t i = 0; i < count; ++i)
            if (Wide<T> value = widen(channel[i * distance]); exceeds(value, best))
              best = value;
          return best;
        });
  });
}

static Expected<std::vector<Tensor>> evalGlobalPool(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  bool isMean = call.attributes.getEnum("kind", ReduceKind::Mean) == ReduceKind::Mean;
  QUERN_ASSIGN(PoolSizes sizes, resolveGlobalSizes(call));
  QUERN_ASSIGN(Tensor result, allocateResult(call, sizes, input.dtype()));
  QUERN_TRY(isMean ? averageChannels(sizes, input, result, call.budget)
                   : maximumOfChannels(sizes, input, result, call.budget));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::poolEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.max_pool", evalMaxPool},
      {"nn.max_pool_with_indices", evalMaxPoolWithIndices},
      {"nn.average_pool", evalAveragePool},
      {"nn.global_pool", evalGlobalPool},
  };
  return rows;
}
