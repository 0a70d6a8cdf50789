//===- HostCpu.h - the machine as LLVM sees it ----------------------------===//
#pragma once

#include "quern/Status.h"
#include "quern/StepCost.h"

#include <string>
#include <vector>

namespace quern {

struct HostCpu {
  std::string llvmVersion;
  std::string triple;
  std::string name;
  /// Those that the CPU has, sorted.
  std::vector<std::string> features;
  /// Whether Linux lets this process use the CPU's tiles of matrices, if it has them (AMX).
  bool mayUseTiles = false;
};

HostCpu describeHostCpu();

/// The multiply-add rates of one core, measured now, with the instructions that code for
/// `targetCpu` uses.
Expected<EnginePeaks> measurePeaks(const std::string &targetCpu);

} // namespace quern
