//===- Limits.cpp - bounds on untrusted work ------------------------------===//
#include "quern/Limits.h"

#include "runtime/system/Cgroup.h"

#include <algorithm>
#include <unistd.h>

using namespace quern;

/// The memory of this machine.
static int64_t physicalMemoryBytes() {
  // Should it not be known, something must be usable.
  constexpr int64_t kLeast = int64_t{1} << 30;
  return std::max<int64_t>(kLeast, sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
}

int64_t quern::availableMemoryBytes() {
  static const int64_t bytes = [] {
    int64_t physical = physicalMemoryBytes();
    return std::min(physical, cgroupMemoryBytes(kCgroupRoot, ownCgroups()).value_or(physical));
  }();
  return bytes;
}
