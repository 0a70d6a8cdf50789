//===- HostCpu.h - the machine as LLVM sees it ----------------------------===//
#pragma once

#include <string>
#include <vector>

namespace quern::cli {

struct HostCpu {
  std::string llvmVersion;
  std::string triple;
  std::string name;
  /// Those that the CPU has, sorted.
  std::vector<std::string> features;
};

HostCpu describeHostCpu();

} // namespace quern::cli
