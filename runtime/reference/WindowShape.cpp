//===- WindowShape.cpp - sizes of convolution and pooling windows ---------===//
#include "runtime/reference/WindowShape.h"

#include "quern/CheckedSize.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;

static CheckedSize checkedExtent(const WindowAxis &axis) {
  return CheckedSize(axis.kernel - 1) * CheckedSize(axis.dilation) + CheckedSize(1);
}

Status quern::checkWindow(const WindowAxis &axis) {
  auto wrong = [](const char *what, const char *rule, int64_t found) {
    return invalidModel(fmt::format("{} must {}, found {}", what, rule, found));
  };
  if (axis.kernel < 1)
    return wrong("kernel sizes", "be positive", axis.kernel);
  if (axis.stride < 1)
    return wrong("strides", "be positive", axis.stride);
  if (axis.dilation < 1)
    return wrong("dilations", "be positive", axis.dilation);
  if (std::min(axis.padBegin, axis.padEnd) < 0)
    return wrong("pads", "not be negative", std::min(axis.padBegin, axis.padEnd));
  // Room for the sums below: a padded input plus one extent and one stride.
  CheckedSize total = CheckedSize(axis.input) + CheckedSize(axis.padBegin) +
                      CheckedSize(axis.padEnd) + checkedExtent(axis) + CheckedSize(axis.stride);
  if (!total.valid())
    return invalidModel("the sizes of the window overflow");
  return Status::ok();
}

int64_t quern::windowExtent(const WindowAxis &axis) { return checkedExtent(axis).value(); }

/// Splits `total` padding; the odd element goes to the end when `upper`.
static void distributePadding(WindowAxis &axis, int64_t total, bool upper) {
  int64_t smaller = total / 2;
  axis.padBegin = upper ? smaller : total - smaller;
  axis.padEnd = total - axis.padBegin;
}

Expected<int64_t> quern::windowOutputSize(WindowAxis &axis, AutoPad autoPad, bool ceilMode) {
  if (autoPad != AutoPad::NotSet)
    axis.padBegin = axis.padEnd = 0;
  QUERN_TRY(checkWindow(axis));
  int64_t extent = windowExtent(axis);
  if (autoPad == AutoPad::SameUpper || autoPad == AutoPad::SameLower) {
    if (axis.input == 0)
      return int64_t{0};
    int64_t positions = ceilDiv(axis.input, axis.stride);
    int64_t total = std::max<int64_t>(0, (positions - 1) * axis.stride + extent - axis.input);
    distributePadding(axis, total, autoPad == AutoPad::SameUpper);
    return positions;
  }
  int64_t room = axis.input + axis.padBegin + axis.padEnd - extent;
  if (room < 0)
    return invalidModel(
        fmt::format("a window of {} elements does not fit into a padded input of {}", extent,
                    axis.input + axis.padBegin + axis.padEnd));
  if (!ceilMode)
    return room / axis.stride + 1;
  int64_t last = ceilDiv(room, axis.stride);
  if (last > 0 && last * axis.stride >= axis.input + axis.padBegin)
    --last;
  return last + 1;
}

Expected<int64_t> quern::transposedOutputSize(WindowAxis &axis, AutoPad autoPad,
                                              int64_t outputPadding,
                                              std::optional<int64_t> outputSize) {
  bool same = autoPad == AutoPad::SameUpper || autoPad == AutoPad::SameLower;
  if (autoPad != AutoPad::NotSet || outputSize)
    axis.padBegin = axis.padEnd = 0;
  QUERN_TRY(checkWindow(axis));
  if (outputPadding < 0)
    return invalidModel(
        fmt::format("output padding must not be negative, found {}", outputPadding));
  if (outputSize && *outputSize < 0)
    return invalidModel(fmt::format("output sizes must not be negative, found {}", *outputSize));
  if (axis.input == 0 && !outputSize)
    return int64_t{0};
  CheckedSize steps = axis.input == 0 ? CheckedSize(0) : CheckedSize(axis.input - 1);
  CheckedSize full =
      steps * CheckedSize(axis.stride) + CheckedSize(outputPadding) + checkedExtent(axis);
  CheckedSize scaled = CheckedSize(axis.input) * CheckedSize(axis.stride);
  if (!full.valid() || !scaled.valid())
    return invalidModel("the output size overflows");
  if (same || outputSize) {
    int64_t wanted = outputSize ? *outputSize : scaled.value();
    distributePadding(axis, std::max<int64_t>(0, full.value() - wanted),
                      autoPad == AutoPad::SameUpper);
    return wanted;
  }
  CheckedSize size = full - (CheckedSize(axis.padBegin) + CheckedSize(axis.padEnd));
  if (!size.valid())
    return invalidModel(fmt::format("pads of {} and {} remove more than the output of {}",
                                    axis.padBegin, axis.padEnd, full.value()));
  return size.value();
}
