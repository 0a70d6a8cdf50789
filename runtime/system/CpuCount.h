//===- CpuCount.h - how many CPUs this process may use --------------------===//
#pragma once

#include "quern/Status.h"

#include <optional>
#include <string>
#include <string_view>

namespace quern {

/// CPUs in the affinity mask of this process.
int affinityCpus();

/// CPUs granted by the cgroup CPU quotas (v1 and v2) that `procCgroup`, the text
/// of /proc/self/cgroup, places this process under; `root` is where cgroups are
/// mounted. Nullopt when nothing limits it. A fraction is rounded down: more
/// threads than that would be throttled in the middle of a step. At least 1.
std::optional<int> quotaCpus(const std::string &root, std::string_view procCgroup);

/// The default number of threads: affinity limited by the quota.
int availableCpus();

/// Usage error for less than 0 threads; 0 stands for availableCpus().
Status checkThreads(int threads);

} // namespace quern
