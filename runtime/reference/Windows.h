//===- Windows.h - what convolution and pooling kernels share -------------===//
#pragma once

#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/WindowShape.h"
#include "runtime/values/CeilDiv.h"

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

namespace quern::reference {

/// Where the elements of [batch, blocks, spatial..., block] data lie. The plain
/// layout [batch, channels, spatial...] is the one with block 1.
struct ImageLayout {
  int64_t batch = 0;
  int64_t blocks = 0;
  int64_t block = 1;
  std::vector<int64_t> spatial;

  /// The channels stored, padding channels of the last block included.
  int64_t storedChannels() const { return blocks * block; }
  /// The elements of one channel.
  int64_t plane() const;
  /// The offset of the first element of a channel; its neighbours are `block` apart.
  int64_t offset(int64_t n, int64_t channel) const {
    return ((n * blocks + channel / block) * plane() * block) + channel % block;
  }
  /// The dimensions of a tensor with this layout; `blockAttribute` as in imageLayout.
  std::vector<int64_t> dims(int64_t blockAttribute) const;
};

/// The layout of a tensor for a block attribute, of which 0 means plain.
Expected<ImageLayout> imageLayout(const Tensor &tensor, int64_t blockAttribute);

/// A window that slides over all spatial axes of an image.
struct WindowSpace {
  std::vector<WindowAxis> axes;
  /// The number of window positions along each axis.
  std::vector<int64_t> positions;
  /// Distances in elements between neighbours along each input axis.
  std::vector<int64_t> inputStrides;

  int64_t rank() const { return static_cast<int64_t>(axes.size()); }
  int64_t kernelElements() const;
  int64_t positionCount() const;
  /// For each axis, the input coordinate under a kernel element at position 0.
  std::vector<int64_t> shiftsOf(int64_t kernelElement) const;
  /// The input offset of the row that `shifts` selects at a row of positions
  /// (all axes but the last, flattened); nullopt when it lies in the padding.
  std::optional<int64_t> inputRow(int64_t positionRow, std::span<const int64_t> shifts) const;
};

/// The axes of a window from the attributes strides, dilations and pads.
Expected<std::vector<WindowAxis>> windowAxes(const Attributes &attributes,
                                             std::span<const int64_t> input,
                                             std::span<const int64_t> kernel);
/// The positions of a window on `input` by the attributes of a convolution or pool. With
/// `ceilMode` the last one of an axis may reach beyond the padding.
Expected<WindowSpace> slideWindow(const Attributes &attributes, const ImageLayout &input,
                                  std::span<const int64_t> kernel, bool ceilMode);

/// Window positions, flattened over the spatial axes.
struct PositionRange {
  int64_t begin;
  int64_t end;
  int64_t size() const { return end - begin; }
};

/// How many positions kernels work on at a time: rows of that many wide values
/// stay in the first-level cache.
constexpr int64_t kPositionTile = 128;

/// The work of gatherTaps besides that of each position.
constexpr int64_t kTapsWork = 64;

/// Collects the elements of a channel that lie under one kernel element, for a
/// range of window positions; `outside` where that is padding.
template <typename T>
void gatherTaps(const T *channel, const WindowSpace &space, int64_t kernelElement,
                PositionRange range, Wide<T> outside, Wide<T> *taps) {
  std::vector<int64_t> shifts = space.shiftsOf(kernelElement);
  const WindowAxis &last = space.axes.back();
  int64_t width = space.positions.back();
  int64_t spacing = space.inputStrides.back();
  for (int64_t p = range.begin; p < range.end;) {
    int64_t count = std::min(width - p % width, range.end - p);
    int64_t start = p % width * last.stride + shifts.back();
    int64_t insideBegin = count, insideEnd = count;
    std::optional<int64_t> row = space.inputRow(p / width, shifts);
    if (row) {
      insideBegin = std::clamp<int64_t>(ceilDiv(-start, last.stride), 0, count);
      insideEnd = std::clamp(ceilDiv(last.input - start, last.stride), insideBegin, count);
    }
    std::fill_n(taps, insideBegin, outside);
    int64_t base = row.value_or(0) + start * spacing, step = last.stride * spacing;
    for (int64_t x = insideBegin; x < insideEnd; ++x)
      taps[x] = widen(channel[base + x * step]);
    std::fill(taps + insideEnd, taps + count, outside);
    taps += count;
    p += count;
  }
}

/// Adds values[p], for each position p of the window, to the element of `plane`
/// under a kernel element. Of Wide<T>.
template <typename W>
void scatterAdd(const WindowSpace &space, int64_t kernelElement, const W *values, W *plane);

} // namespace quern::reference
