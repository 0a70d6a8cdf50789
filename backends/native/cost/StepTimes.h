//===- StepTimes.h - how long native steps are expected to take -----------===//
//
// From the spec of a step's kernel and its dims: multiply-adds at the rate of the units, for tiles
// as they cover the rows; what tiles, lines and calls cost besides; cycles for each vector of what
// only goes through elements. Bytes that come from beyond the core's own caches are counted
// apart, for where they lie depends on the steps before.
//
// The numbers of cycles are fitted to steps of bench's lists on Zen 5, those of convolutions along
// lines and of products with a vector on Zen 4; bench/cost-model repeats that for any machine.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/TiledDotKernel.h"
#include "backends/native/kernels/WinogradKernel.h"
#include "backends/native/target/CpuRates.h"
#include "backends/plan/StepEstimate.h"
#include "quern/StepCost.h"

namespace quern::native {

using plan::StepEstimate;

/// What `step` is expected to take, which does `problem`.
StepEstimate estimateStep(const LoweredStep &step, const StepCost &problem, const Target &target);

/// How long a core waits for bytes that nothing has touched since it touched `distance` bytes
/// beside them; 0 when they are still in its own caches.
double nanosecondsToMove(double bytes, double distance, const CpuRates &rates);

/// The estimate of a step that multiplies.
StepEstimate estimateDot(const DotSpec &spec, const DotDims &dims, int64_t tasks,
                         const Target &target);
StepEstimate estimateTiledDot(const TiledDotSpec &spec, const TiledDotDims &dims, int64_t tasks,
                              const Target &target);
StepEstimate estimateWinograd(const WinogradSpec &spec, const WinogradDims &dims,
                              const Target &target);

/// A call of a kernel.
constexpr double kCallNanoseconds = 40;

} // namespace quern::native
