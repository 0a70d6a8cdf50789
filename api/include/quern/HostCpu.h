//===- HostCpu.h - the machine as LLVM sees it ----------------------------===//
#pragma once

#include "quern/Status.h"

#include <string>
#include <vector>

namespace quern {

struct HostCpu {
  std::string llvmVersion;
  std::string triple;
  std::string name;
  /// Those that the CPU has, sorted.
  std::vector<std::string> features;
};

HostCpu describeHostCpu();

/// The float32 multiply-add rate of one core in GFLOP/s, measured now, with the
/// vectors that code for `targetCpu` uses.
Expected<double> measurePeakGflops(const std::string &targetCpu);

} // namespace quern
