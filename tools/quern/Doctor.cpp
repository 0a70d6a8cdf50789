//===- Doctor.cpp - quern doctor ------------------------------------------===//
#include "quern/CacheFolder.h"
#include "quern/MachineRates.h"
#include "quern/Version.h"
#include "tools/quern/Options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct DoctorOptions {
  int threads = 0;
  OutputStyle style;
};

struct Diagnosis {
  HostCpu cpu;
  Machine machine;
  MachineRates rates;
  std::vector<std::string> warnings;
};
} // namespace

static void addOptions(CLI::App &verb, DoctorOptions &options) {
  verb.add_option("--threads", options.threads,
                  "Threads to measure with (default: all usable CPUs)")
      ->check(CLI::Range(1, 4096));
}

static Expected<Diagnosis> diagnose(const DoctorOptions &options) {
  // The load before this program adds to it.
  Diagnosis found = {describeHostCpu(), describeMachine(), {}, {}};
  Progress progress(options.style);
  progress.show("measuring");
  QUERN_ASSIGN(found.rates, measureMachine(options.threads));
  found.warnings = findMachineWarnings(found.machine, found.cpu, found.rates);
  return found;
}

static std::string describeCpus(const Machine &machine) {
  std::string quota = machine.quotaCpus ? std::to_string(*machine.quotaCpus) : "none";
  return fmt::format("{} usable of {} online (affinity {} on {} cores, quota {})",
                     machine.usableCpus, machine.onlineCpus, machine.affinityCpus,
                     machine.affinityCores, quota);
}

static std::string describeCaches(const Machine &machine) {
  std::vector<std::string> caches;
  for (const CpuCache &cache : machine.caches)
    if (cache.kind != "Instruction")
      caches.push_back(fmt::format("L{} {}{}", cache.level, formatBytes(cache.bytes),
                                   cache.cpus > 1 ? fmt::format(" for {} CPUs", cache.cpus) : ""));
  return caches.empty() ? "unknown" : fmt::format("{}", fmt::join(caches, ", "));
}

static std::string describeMemory(const Machine &machine) {
  return formatBytes(machine.memoryBytes) +
         (machine.memoryLimitBytes
              ? fmt::format(", {} granted by cgroups", formatBytes(*machine.memoryLimitBytes))
              : "");
}

static std::string describeCache() {
  std::string folder = cacheFolder();
  if (folder.empty())
    return "no folder: QUERN_CACHE_DIR and HOME are not set";
  CacheUse use = cacheUse(folder);
  return fmt::format("{}, {} kernels, {}, {} artefacts, {}", folder, use.kernels,
                     formatBytes(use.kernelBytes), use.artefacts, formatBytes(use.artefactBytes));
}

static std::string describe(const Diagnosis &found) {
  const MachineRates &rates = found.rates;
  std::string libraries;
  for (const auto &[name, version] : libraryVersions())
    libraries += fmt::format("{}{} {}", libraries.empty() ? "" : ", ", name, version);
  auto pair = [&](double thread, double all, const char *unit) {
    return fmt::format("{:.1f} {} with 1 thread, {:.1f} with {}", thread, unit, all, rates.threads);
  };
  const Machine &machine = found.machine;
  std::pair<const char *, std::string> rows[] = {
      {"quern", versionString()},
      {"libraries", libraries},
      {"CPU", fmt::format("{} ({}){}", machine.cpuModel, found.cpu.name,
                          machine.virtualMachine ? ", virtual machine" : "")},
      {"features", fmt::format("{}", fmt::join(found.cpu.features, " "))},
      {"CPUs", describeCpus(machine)},
      {"caches", describeCaches(machine)},
      {"memory", describeMemory(machine)},
      {"governor", machine.governor.empty() ? "unknown" : machine.governor},
      {"cache", describeCache()},
      {"FMA peak", pair(rates.threadPeaks.float32, rates.peaks.float32, "GFLOP/s")},
      {"bf16 peak", pair(rates.threadPeaks.bfloat16, rates.peaks.bfloat16, "GFLOP/s")},
      {"int8 peak", pair(rates.threadPeaks.int8, rates.peaks.int8, "Gop/s")},
      {"memory read", pair(rates.threadReadGBps, rates.readGBps, "GB/s")}};
  std::string text;
  for (const auto &[name, value] : rows)
    text += fmt::format("{:<12} {}\n", name, value);
  return text;
}

template <typename T> static Json orNull(const std::optional<T> &value) {
  return value ? Json(*value) : Json(nullptr);
}

static Json describeJson(const Diagnosis &found) {
  const Machine &machine = found.machine;
  const MachineRates &rates = found.rates;
  Json libraries = Json::object(), caches = Json::array();
  CacheUse use = cacheUse(cacheFolder());
  for (const auto &[name, version] : libraryVersions())
    libraries[name] = version;
  for (const CpuCache &cache : machine.caches)
    caches.push_back({{"level", cache.level},
                      {"kind", cache.kind},
                      {"bytes", cache.bytes},
                      {"cpus", cache.cpus}});
  return {{"schema", "quern.doctor/1"},
          {"version", versionString()},
          {"libraries", libraries},
          {"cpu",
           {{"name", found.cpu.name},
            {"model", machine.cpuModel},
            {"triple", found.cpu.triple},
            {"features", found.cpu.features},
            {"virtual_machine", machine.virtualMachine},
            {"caches", caches}}},
          {"cpus",
           {{"online", machine.onlineCpus},
            {"affinity", machine.affinityCpus},
            {"cores", machine.affinityCores},
            {"quota", orNull(machine.quotaCpus)},
            {"usable", machine.usableCpus},
            {"load_average", machine.loadAverage}}},
          {"memory_bytes", machine.memoryBytes},
          {"memory_limit_bytes", orNull(machine.memoryLimitBytes)},
          {"governor", machine.governor.empty() ? Json(nullptr) : Json(machine.governor)},
          {"cache",
           {{"folder", cacheFolder()},
            {"artefacts", use.artefacts},
            {"bytes", use.artefactBytes},
            {"kernels", use.kernels},
            {"kernel_bytes", use.kernelBytes}}},
          {"threads", rates.threads},
          {"thread_peak_gflops", rates.threadPeaks.float32},
          {"peak_gflops", rates.peaks.float32},
          {"thread_peak_gflops_bfloat16", rates.threadPeaks.bfloat16},
          {"peak_gflops_bfloat16", rates.peaks.bfloat16},
          {"thread_peak_gops_int8", rates.threadPeaks.int8},
          {"peak_gops_int8", rates.peaks.int8},
          {"thread_read_gbps", rates.threadReadGBps},
          {"read_gbps", rates.readGBps},
          {"spread_percent", rates.spreadPercent},
          {"stolen_percent", rates.stolenPercent},
          {"warnings", found.warnings}};
}

static Status execute(const DoctorOptions &options) {
  FileGuard guard;
  QUERN_TRY(checkJsonWritable(options.style, guard));
  QUERN_ASSIGN(Diagnosis found, diagnose(options));
  for (const std::string &warning : found.warnings)
    warn(options.style, warning);
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(found)));
  return writeJson(describeJson(found), options.style);
}

void cli::addDoctorVerb(CLI::App &app, Command &command) {
  addVerb<DoctorOptions>(app, command, "doctor",
                         "Shows the machine: CPUs, caches, memory, peak rates, and what slows it",
                         addOptions, execute);
}
