//===- Windows.cpp - what convolution and pooling kernels share -----------===//
#include "runtime/reference/Windows.h"

#include "runtime/reference/Indexing.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

int64_t ImageLayout::plane() const { return countOf(spatial); }

std::vector<int64_t> ImageLayout::dims(int64_t blockAttribute) const {
  std::vector<int64_t> sizes = {batch, blocks};
  sizes.insert(sizes.end(), spatial.begin(), spatial.end());
  if (blockAttribute > 0)
    sizes.push_back(block);
  return sizes;
}

Expected<ImageLayout> reference::imageLayout(const Tensor &tensor, int64_t blockAttribute) {
  int64_t inner = blockAttribute > 0 ? 1 : 0;
  int64_t spatialRank = tensor.rank() - 2 - inner;
  if (spatialRank < 1)
    return invalidInput("input needs batch, channels and spatial dimensions, found " +
                        tensor.describe());
  if (inner && tensor.dims().back() != blockAttribute)
    return invalidInput(fmt::format("input needs blocks of {} channels, found {}", blockAttribute,
                                    tensor.describe()));
  auto spatial = tensor.dims().begin() + 2;
  return ImageLayout{tensor.dim(0), tensor.dim(1), inner ? blockAttribute : 1,
                     std::vector<int64_t>(spatial, spatial + spatialRank)};
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

int64_t WindowSpace::kernelElements() const {
  int64_t count = 1;
  for (const WindowAxis &axis : axes)
    count *= axis.kernel;
  return count;
}

int64_t WindowSpace::positionCount() const { return countOf(positions); }

std::vector<int64_t> WindowSpace::shiftsOf(int64_t kernelElement) const {
  std::vector<int64_t> shifts(axes.size());
  for (size_t d = axes.size(); d-- > 0;) {
    shifts[d] = kernelElement % axes[d].kernel * axes[d].dilation - axes[d].padBegin;
    kernelElement /= axes[d].kernel;
  }
  return shifts;
}

std::optional<int64_t> WindowSpace::inputRow(int64_t positionRow,
                                             std::span<const int64_t> shifts) const {
  int64_t offset = 0;
  for (int64_t d = rank() - 2; d >= 0; --d) {
    int64_t coordinate = positionRow % positions[d] * axes[d].stride + shifts[d];
    positionRow /= positions[d];
    if (coordinate < 0 || coordinate >= axes[d].input)
      return std::nullopt;
    offset += coordinate * inputStrides[d];
  }
  return offset;
}

Expected<std::vector<WindowAxis>> reference::windowAxes(const Attributes &attributes,
                                                        std::span<const int64_t> input,
                                                        std::span<const int64_t> kernel) {
  std::vector<int64_t> strides = attributes.getInts("strides");
  std::vector<int64_t> dilations = attributes.getInts("dilations");
  std::vector<int64_t> pads = attributes.getInts("pads");
  size_t rank = input.size();
  if (kernel.size() != rank || strides.size() != rank || dilations.size() != rank ||
      pads.size() != 2 * rank)
    return invalidInput(fmt::format("kernel, strides, dilations and pads have {}, {}, {} and {} "
                                    "entries for {} spatial dimensions",
                                    kernel.size(), strides.size(), dilations.size(), pads.size(),
                                    rank));
  // An empty kernel has no elements to count; checkWindow refuses it by name.
  CheckedSize elements(int64_t{1});
  std::vector<WindowAxis> axes(rank);
  for (size_t d = 0; d < rank; ++d) {
    axes[d] = {input[d], kernel[d], strides[d], dilations[d], pads[d], pads[rank + d]};
    elements *= CheckedSize(kernel[d]);
  }
  if (!elements.valid())
    return invalidInput("the kernel " + formatDims(kernel) + " has too many elements");
  return axes;
}

Expected<WindowSpace> reference::slideWindow(const Attributes &attributes, const ImageLayout &input,
                                             std::span<const int64_t> kernel, bool ceilMode) {
  AutoPad autoPad = attributes.getEnum("auto_pad", AutoPad::NotSet);
  WindowSpace space;
  QUERN_ASSIGN(space.axes, windowAxes(attributes, input.spatial, kernel));
  for (WindowAxis &axis : space.axes) {
    QUERN_ASSIGN(int64_t positions, windowOutputSize(axis, autoPad, ceilMode));
    space.positions.push_back(positions);
  }
  space.inputStrides = rowMajorStrides(input.spatial);
  for (int64_t &stride : space.inputStrides)
    stride *= input.block;
  return space;
}

//===----------------------------------------------------------------------===//
// Sums over windows
//===----------------------------------------------------------------------===//

template <typename W>
void reference::scatterAdd(const WindowSpace &space, int64_t kernelElement, const W *values,
                           W *plane) {
  std::vector<int64_t> shifts = space.shiftsOf(kernelElement);
  const WindowAxis &last = space.axes.back();
  int64_t width = space.positions.back();
  int64_t rows = width == 0 ? 0 : space.positionCount() / width;
  for (int64_t row = 0; row < rows; ++row, values += width) {
    std::optional<int64_t> base = space.inputRow(row, shifts);
    if (!base)
      continue;
    for (int64_t x = 0; x < width; ++x) {
      int64_t coordinate = x * last.stride + shifts.back();
      if (coordinate >= 0 && coordinate < last.input)
        plane[*base + coordinate] += values[x];
    }
  }
}

template void reference::scatterAdd(const WindowSpace &, int64_t, const double *, double *);
template void reference::scatterAdd(const WindowSpace &, int64_t, const int64_t *, int64_t *);
template void reference::scatterAdd(const WindowSpace &, int64_t, const uint64_t *, uint64_t *);
