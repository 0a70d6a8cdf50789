//===- Limits.cpp - bounds on untrusted work ------------------------------===//
#include "quern/Limits.h"

#include <algorithm>
#include <unistd.h>

int64_t quern::physicalMemoryBytes() {
  constexpr int64_t kLeast = int64_t{1} << 30;
  return std::max<int64_t>(kLeast, sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
}
