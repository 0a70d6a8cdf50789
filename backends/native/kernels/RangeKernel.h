//===- RangeKernel.h - numbers at equal distances -------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/plan/LoweredStep.h"

namespace quern::native {

/// Appends the step that computes start + i * delta for `count` elements; `start` and
/// `delta` are one each. float32 is computed in float64; there are no half types.
void appendRange(int64_t count, DType dtype, StepBuffer start, StepBuffer delta, StepBuffer to,
                 std::vector<LoweredStep> &steps);

} // namespace quern::native
