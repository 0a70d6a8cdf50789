//===- MachineWarnings.cpp - what slows predictions on a machine ----------===//
#include "quern/MachineRates.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;

static bool hasFeature(const HostCpu &cpu, const std::string &feature) {
  return std::find(cpu.features.begin(), cpu.features.end(), feature) != cpu.features.end();
}

static void warnOfCpus(const Machine &machine, std::vector<std::string> &warnings) {
  if (machine.quotaCpus && *machine.quotaCpus < machine.affinityCpus)
    warnings.push_back(fmt::format("cpu-quota: the cgroups grant {} of {} CPUs", *machine.quotaCpus,
                                   machine.affinityCpus));
  if (machine.usableCpus == 1)
    warnings.push_back("one-cpu: all work is done by one thread");
  if (machine.affinityCores < machine.usableCpus)
    warnings.push_back(fmt::format("shared-cores: {} CPUs are {} cores; --threads {} may be faster",
                                   machine.usableCpus, machine.affinityCores,
                                   machine.affinityCores));
}

static void warnOfMemory(const Machine &machine, std::vector<std::string> &warnings) {
  constexpr int64_t kLittle = int64_t{1} << 30;
  int64_t bytes = machine.memoryLimitBytes.value_or(machine.memoryBytes);
  if (bytes > 0 && bytes < kLittle)
    warnings.push_back(fmt::format("little-memory: {} MiB for models and their runs", bytes >> 20));
}

static void warnOfInstructions(const HostCpu &cpu, std::vector<std::string> &warnings) {
  bool isX86 = cpu.triple.starts_with("x86_64");
  if (!isX86 && !cpu.triple.starts_with("aarch64"))
    warnings.push_back(fmt::format("cpu: there is no code for {}", cpu.triple));
  else if (isX86 && (!hasFeature(cpu, "avx2") || !hasFeature(cpu, "fma")))
    warnings.push_back("no-avx2: this CPU has no AVX2 and FMA; vectors are short");
  if (hasFeature(cpu, "amx-tile") && !cpu.mayUseTiles)
    warnings.push_back("no-tiles: this CPU multiplies tiles of matrices (AMX), but Linux does not "
                       "let this process use them");
}

static void warnOfNoise(const Machine &machine, const MachineRates &rates,
                        std::vector<std::string> &warnings) {
  if (!machine.governor.empty() && machine.governor != "performance")
    warnings.push_back(fmt::format("governor: the CPU's frequency is chosen by '{}'; times vary "
                                   "less with 'performance'",
                                   machine.governor));
  if (machine.loadAverage > 0.5 * machine.usableCpus)
    warnings.push_back(fmt::format("busy: {:.1f} other processes wanted a CPU in the last minute",
                                   machine.loadAverage));
  if (rates.stolenPercent >= 2)
    warnings.push_back(fmt::format("stolen-time: other virtual machines took {:.0f} % of the time",
                                   rates.stolenPercent));
  if (rates.spreadPercent >= 10)
    warnings.push_back(
        fmt::format("noisy: the same work took {:.0f} % longer than at best", rates.spreadPercent));
}

std::vector<std::string> quern::findMachineWarnings(const Machine &machine, const HostCpu &cpu,
                                                    const MachineRates &rates) {
  std::vector<std::string> warnings;
  warnOfInstructions(cpu, warnings);
  warnOfCpus(machine, warnings);
  warnOfMemory(machine, warnings);
  warnOfNoise(machine, rates, warnings);
#ifndef __OPTIMIZE__
  warnings.push_back("slow-build: this Quern was built without optimisation");
#endif
  return warnings;
}
