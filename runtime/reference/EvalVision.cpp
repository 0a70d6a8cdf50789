//===- EvalVision.cpp - the vision family's table, and windows summed up --===//
#include "runtime/reference/DataMovement.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/Vision.h"
#include "runtime/reference/Windows.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// col2im
//===----------------------------------------------------------------------===//

/// The attributes with a list of every entry, where they leave it out.
static Attributes completeWindow(const Attributes &given, size_t axes) {
  Attributes window;
  auto complete = [&](const char *name, size_t count, int64_t otherwise) {
    std::vector<int64_t> list = given.getInts(name);
    window.set(name, list.empty() ? std::vector<int64_t>(count, otherwise) : list);
  };
  complete("strides", axes, 1);
  complete("dilations", axes, 1);
  complete("pads", 2 * axes, 0);
  return window;
}

/// The window that slides over the result, for an input that has as many positions.
static Expected<WindowSpace> slideOverResult(const OpCall &call, std::span<const int64_t> image,
                                             std::span<const int64_t> block) {
  const Tensor &input = call.inputs[0];
  Attributes window = completeWindow(call.attributes, image.size());
  WindowSpace space;
  QUERN_ASSIGN(space.axes, windowAxes(window, image, block));
  CheckedSize positions(int64_t{1});
  for (WindowAxis &axis : space.axes) {
    QUERN_ASSIGN(int64_t along, windowOutputSize(axis, AutoPad::NotSet, /*ceilMode=*/false));
    space.positions.push_back(along);
    positions *= CheckedSize(along);
  }
  if (!positions.valid() || input.rank() != 3 || input.dim(2) != positions.value() ||
      input.dim(1) % space.kernelElements() != 0)
    return invalidInput(fmt::format("the input {} does not fit an image of {} in windows of {}",
                                    input.describe(), formatDims(image), formatDims(block)));
  space.inputStrides = rowMajorStrides(image);
  return space;
}

template <typename T>
static Status foldWindows(const WindowSpace &space, int64_t images, int64_t plane, const T *input,
                          T *result, Budget &budget) {
  using W = Wide<T>;
  int64_t positions = countOf(space.positions), kernel = space.kernelElements();
  QUERN_ASSIGN(std::span<W> sums, budget.scratch<W>(plane));
  QUERN_ASSIGN(std::span<W> values, budget.scratch<W>(positions));
  for (int64_t i = 0; i < images; ++i, result += plane) {
    QUERN_TRY(budget.spend(2 * plane));
    std::fill(sums.begin(), sums.end(), W(0));
    for (int64_t k = 0; k < kernel; ++k, input += positions) {
      QUERN_TRY(budget.spend(kTapsWork + 4 * positions));
      std::transform(input, input + positions, values.begin(),
                     [](T value) { return widen(value); });
      scatterAdd(space, k, values.data(), sums.data());
    }
    std::transform(sums.begin(), sums.end(), result, [](W value) { return narrow<T>(value); });
  }
  return Status::ok();
}

static Expected<std::vector<Tensor>> evalCol2Im(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(std::vector<int64_t> image, readInts(call.inputs[1], "image_shape"));
  QUERN_ASSIGN(std::vector<int64_t> block, readInts(call.inputs[2], "block_shape"));
  for (int64_t size : image)
    if (size < 0)
      return invalidInput("image_shape must not be negative, found " + formatDims(image));
  if (image.empty())
    return invalidInput("image_shape must not be empty");
  QUERN_ASSIGN(WindowSpace space, slideOverResult(call, image, block));
  Tensor::Dims dims = {input.dim(0), input.dim(1) / space.kernelElements()};
  dims.insert(dims.end(), image.begin(), image.end());
  QUERN_TRY(checkRank(dims.size(), call.budget));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), dims));
  if (result.numElements() > 0)
    QUERN_TRY(visitNumber(input.dtype(), [&]<typename T>() {
      return foldWindows<T>(space, dims[0] * dims[1], countOf(image), input.data<T>(),
                            result.mutableData<T>(), call.budget);
    }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::visionEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.col2im", evalCol2Im},
      {"nn.grid_sample", evalGridSample},
      {"nn.roi_pool", evalRoiPool},
  };
  return rows;
}
