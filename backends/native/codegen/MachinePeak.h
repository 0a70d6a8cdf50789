//===- MachinePeak.h - what this machine can do, measured -----------------===//
#pragma once

#include "backends/native/codegen/Jit.h"
#include "backends/native/target/Target.h"

#include <memory>

namespace quern::native {

/// Independent chains of float32 multiply-adds in registers, in code generated for a target
/// (which this machine must be able to run). Any number of threads may run one at once.
class FmaChains {
public:
  static Expected<FmaChains> create(const Target &target);
  /// A short run, of about 2 ms, in the calling thread; how many operations it did.
  Expected<double> run() const;

private:
  std::shared_ptr<Jit> jit;
  KernelFunction kernel = nullptr;
  int64_t sums = 0;
};

/// The float32 multiply-add rate of one core in GFLOP/s, the best of a few short runs; about
/// 20 ms.
Expected<double> measurePeakGflops(const Target &target);

} // namespace quern::native
