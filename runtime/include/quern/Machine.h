//===- Machine.h - what this process may use of the machine ---------------===//
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern {

/// A cache of the first CPU that this process may use.
struct CpuCache {
  int level = 0;
  /// Data, Instruction or Unified, as Linux calls them.
  std::string kind;
  int64_t bytes = 0;
  /// How many CPUs share it.
  int cpus = 0;
};

/// As far as Linux tells it; what is unknown is 0, empty or nullopt.
struct Machine {
  /// What the CPU calls itself.
  std::string cpuModel;
  int onlineCpus = 0;
  /// In the affinity mask of this process, and the cores they belong to.
  int affinityCpus = 0;
  int affinityCores = 0;
  /// Whole CPUs that the cgroups grant.
  std::optional<int> quotaCpus;
  /// The default number of threads: affinity limited by the quota.
  int usableCpus = 0;
  std::vector<CpuCache> caches;
  /// Of the machine, and what the cgroups grant.
  int64_t memoryBytes = 0;
  std::optional<int64_t> memoryLimitBytes;
  /// What chooses the frequency of the CPU: performance, powersave, ...
  std::string governor;
  bool virtualMachine = false;
  /// Processes that ran or waited for a CPU, on average over the last minute.
  double loadAverage = 0;
};

Machine describeMachine();

} // namespace quern
