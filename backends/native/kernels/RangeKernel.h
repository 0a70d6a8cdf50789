//===- RangeKernel.h - numbers at equal distances -------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"

namespace quern::native {

/// What shapes the code.
struct RangeSpec {
  DType dtype = DType::Float32;

  static constexpr std::string_view kFamily = "range";
  QUERN_FIELDS(dtype)
  std::string name() const { return "range_" + std::string(dtypeName(dtype)); }
  void emit(KernelBuilder &kb) const;
};

/// Appends the step that computes start + i * delta for `count` elements; `start` and
/// `delta` are one each. float32 is computed in float64; there are no half types.
void appendRange(int64_t count, DType dtype, StepBuffer start, StepBuffer delta, StepBuffer to,
                 std::vector<LoweredStep> &steps);

} // namespace quern::native
