//===- MachinePeak.h - what this machine can do, measured -----------------===//
#pragma once

#include "backends/native/codegen/Target.h"

namespace quern::native {

/// The float32 multiply-add rate of one core in GFLOP/s: independent FMA chains
/// in registers, in code generated for `target` (which this machine must be able
/// to run). The best of a few short runs; about 20 ms.
Expected<double> measurePeakGflops(const Target &target);

} // namespace quern::native
