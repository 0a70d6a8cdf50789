//===- Machine.cpp - what this process may use of the machine -------------===//
#include "runtime/system/MachineFiles.h"

#include "runtime/system/Cgroup.h"
#include "runtime/system/CpuCount.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sched.h>
#include <set>
#include <sstream>

using namespace quern;

static std::string withoutSpaceAtItsEnd(std::string text) {
  text.erase(std::find_if(text.rbegin(), text.rend(), [](char c) { return c > ' '; }).base(),
             text.end());
  return text;
}

/// The text of a file; empty when it cannot be read.
static std::string readText(const std::string &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return withoutSpaceAtItsEnd(text.str());
}

/// The value of the first line "key ... : value", as in /proc/cpuinfo and /proc/meminfo.
static std::string valueOf(const std::string &text, std::string_view key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    size_t colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos ||
        line.find_first_not_of(" \t", key.size()) != colon)
      continue;
    size_t value = line.find_first_not_of(" \t", colon + 1);
    return value == std::string::npos ? "" : withoutSpaceAtItsEnd(line.substr(value));
  }
  return "";
}

/// The number that a text begins with, 0 without one, and what follows it.
static int64_t leadingNumber(std::string_view text, std::string_view *rest = nullptr) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (rest)
    *rest = text.substr(static_cast<size_t>(end - text.data()));
  return error == std::errc() && value >= 0 ? value : 0;
}

/// "48K", "32M"; no cache is larger than a terabyte.
static int64_t parseBytes(std::string_view text) {
  std::string_view unit;
  int64_t count = std::min(leadingNumber(text, &unit), int64_t{1} << 40);
  int shift = unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : 0;
  return count > (int64_t{1} << (40 - shift)) ? 0 : count << shift;
}

std::vector<int> quern::parseCpuList(std::string_view text) {
  // More than any kernel has, so that no text makes a long list.
  constexpr int64_t kMostCpus = 1 << 16;
  std::vector<int> cpus;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    int64_t first = leadingNumber(text, &text), last = first;
    if (text.starts_with('-'))
      last = leadingNumber(text.substr(1), &text);
    for (int64_t cpu = first; cpu <= std::min(last, kMostCpus); ++cpu)
      cpus.push_back(static_cast<int>(cpu));
    text.remove_prefix(text.starts_with(',') ? 1 : text.size());
  }
  return cpus;
}

std::vector<int> quern::affinitySet() {
  std::vector<int> cpus;
  // As affinityCpus: the kernel refuses a set smaller than its own.
  for (int size = CPU_SETSIZE; size <= (1 << 20) && cpus.empty(); size *= 2) {
    size_t bytes = CPU_ALLOC_SIZE(size);
    std::vector<unsigned long> words((bytes + sizeof(long) - 1) / sizeof(long));
    auto *set = reinterpret_cast<cpu_set_t *>(words.data());
    if (sched_getaffinity(0, bytes, set) != 0)
      continue;
    for (int cpu = 0; cpu < size; ++cpu)
      if (CPU_ISSET_S(static_cast<size_t>(cpu), bytes, set))
        cpus.push_back(cpu);
  }
  return cpus.empty() ? std::vector{0} : cpus;
}

static std::string cpuFolder(const std::string &root, int cpu) {
  return root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
}

static std::vector<CpuCache> readCaches(const std::string &folder) {
  // "index0", "index1", ... without gaps.
  constexpr int kMostCaches = 16;
  std::vector<CpuCache> caches;
  for (int i = 0; i < kMostCaches; ++i) {
    std::string path = folder + "/cache/index" + std::to_string(i);
    std::string kind = readText(path + "/type");
    if (kind.empty())
      break;
    caches.push_back({static_cast<int>(leadingNumber(readText(path + "/level"))), kind,
                      parseBytes(readText(path + "/size")),
                      static_cast<int>(parseCpuList(readText(path + "/shared_cpu_list")).size())});
  }
  return caches;
}

/// How many cores the CPUs belong to; each to its own where Linux does not say.
static int countCores(const std::string &root, std::span<const int> cpus) {
  std::set<std::string> cores;
  for (int cpu : cpus) {
    std::string siblings = readText(cpuFolder(root, cpu) + "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

Machine quern::readMachine(const std::string &root, std::span<const int> affinity) {
  Machine machine;
  std::string info = readText(root + "/proc/cpuinfo");
  std::string cgroups = readText(root + "/proc/self/cgroup");
  machine.cpuModel = valueOf(info, "model name");
  machine.virtualMachine =
      (" " + valueOf(info, "flags") + " ").find(" hypervisor ") != std::string::npos;
  machine.onlineCpus =
      static_cast<int>(parseCpuList(readText(root + "/sys/devices/system/cpu/online")).size());
  machine.affinityCpus = static_cast<int>(affinity.size());
  machine.affinityCores = countCores(root, affinity);
  machine.quotaCpus = quotaCpus(root + kCgroupRoot, cgroups);
  machine.usableCpus =
      std::min(machine.affinityCpus, machine.quotaCpus.value_or(machine.affinityCpus));
  machine.caches = readCaches(cpuFolder(root, affinity[0]));
  // "16384 kB".
  int64_t kilobytes = leadingNumber(valueOf(readText(root + "/proc/meminfo"), "MemTotal"));
  machine.memoryBytes = std::min(kilobytes, int64_t{1} << 50) * 1024;
  machine.memoryLimitBytes = cgroupMemoryBytes(root + kCgroupRoot, cgroups);
  // "No limit" is a large number in version 1.
  if (machine.memoryLimitBytes && *machine.memoryLimitBytes >= machine.memoryBytes)
    machine.memoryLimitBytes = std::nullopt;
  machine.governor = readText(cpuFolder(root, affinity[0]) + "/cpufreq/scaling_governor");
  std::istringstream(readText(root + "/proc/loadavg")) >> machine.loadAverage;
  return machine;
}

CpuTicks quern::readCpuTicks(const std::string &root) {
  // "cpu user nice system idle iowait irq softirq steal guest guest_nice"; user time has the
  // guests' in it.
  constexpr int kSteal = 7;
  std::istringstream line(readText(root + "/proc/stat"));
  CpuTicks ticks;
  std::string name;
  line >> name;
  int64_t count = 0;
  for (int field = 0; name == "cpu" && field <= kSteal && line >> count; ++field) {
    ticks.all += count;
    ticks.stolen = field == kSteal ? count : 0;
  }
  return ticks;
}

Machine quern::describeMachine() { return readMachine("", affinitySet()); }
