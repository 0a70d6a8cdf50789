//===- MachineRates.h - how fast this machine is, measured ----------------===//
#pragma once

#include "quern/HostCpu.h"
#include "quern/Machine.h"

#include <string>
#include <vector>

namespace quern {

struct MachineRates {
  int threads = 0;
  /// Multiply-adds of one thread and of all of them at once.
  EnginePeaks threadPeaks, peaks;
  /// Bytes read from memory, in GB/s.
  double threadReadGBps = 0, readGBps = 0;
  /// How much slower than the best the median repetition was. Above some percent other work
  /// takes CPUs away.
  double spreadPercent = 0;
  /// CPU time that other virtual machines had instead of this one meanwhile.
  double stolenPercent = 0;
};

/// Measures for less than a second, with one thread and with `threads`; 0 is all usable CPUs.
/// Usage error for other numbers of threads than there are CPUs; ResourceLimit when threads or
/// memory are missing.
Expected<MachineRates> measureMachine(int threads = 0);

/// What makes predictions slow on this machine or measurements unreliable, each as
/// "name: what and why".
std::vector<std::string> findMachineWarnings(const Machine &machine, const HostCpu &cpu,
                                             const MachineRates &rates);

} // namespace quern
