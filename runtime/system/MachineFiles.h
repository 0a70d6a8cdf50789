//===- MachineFiles.h - what Linux tells of the machine -------------------===//
#pragma once

#include "quern/Machine.h"

#include <span>

namespace quern {

/// A machine whose files /proc and /sys lie beneath `root`, for a process with these CPUs (at
/// least one) in its mask.
Machine readMachine(const std::string &root, std::span<const int> affinity);

/// The CPUs in the affinity mask of this process, ascending; at least one.
std::vector<int> affinitySet();

/// What all CPUs together did since the machine was started, in ticks.
struct CpuTicks {
  int64_t all = 0;
  /// The time for which a virtual machine wanted a CPU that others had.
  int64_t stolen = 0;
};
CpuTicks readCpuTicks(const std::string &root);

/// "0-3,8" are five numbers; what is no number ends the list.
std::vector<int> parseCpuList(std::string_view text);

} // namespace quern
