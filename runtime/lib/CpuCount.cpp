//===- CpuCount.cpp - how many CPUs this process may use ------------------===//
#include "runtime/lib/CpuCount.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <thread>
#include <vector>

using namespace quern;

int quern::affinityCpus() {
  // The kernel refuses a set smaller than its own, so grow until it fits.
  for (int cpus = CPU_SETSIZE; cpus <= (1 << 20); cpus *= 2) {
    size_t bytes = CPU_ALLOC_SIZE(cpus);
    std::vector<unsigned long> words((bytes + sizeof(long) - 1) / sizeof(long));
    auto *set = reinterpret_cast<cpu_set_t *>(words.data());
    if (sched_getaffinity(0, bytes, set) == 0)
      return std::max(1, CPU_COUNT_S(bytes, set));
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

/// Whole CPUs of `quota` per `period` microseconds; a negative quota is no limit.
static std::optional<int> wholeCpus(int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0)
    return std::nullopt;
  return static_cast<int>(std::clamp<int64_t>(quota / period, 1, 1 << 20));
}

static std::optional<int64_t> readInt(const std::string &path) {
  std::ifstream file(path);
  int64_t value;
  return file >> value ? std::optional(value) : std::nullopt;
}

/// The limit of one v2 group: "max 100000" or "150000 100000".
static std::optional<int> quotaV2(const std::string &directory) {
  std::ifstream file(directory + "/cpu.max");
  std::string quota;
  int64_t period;
  if (!(file >> quota >> period) || quota == "max")
    return std::nullopt;
  return wholeCpus(std::atoll(quota.c_str()), period);
}

static std::optional<int> quotaV1(const std::string &directory) {
  auto quota = readInt(directory + "/cpu.cfs_quota_us");
  auto period = readInt(directory + "/cpu.cfs_period_us");
  return quota && period ? wholeCpus(*quota, *period) : std::nullopt;
}

static void lower(std::optional<int> &limit, std::optional<int> other) {
  if (other)
    limit = limit ? std::min(*limit, *other) : *other;
}

std::optional<int> quern::quotaCpus(const std::string &root, std::string_view procCgroup) {
  std::optional<int> limit;
  std::istringstream lines{std::string(procCgroup)};
  for (std::string line; std::getline(lines, line);) {
    // "hierarchy:controllers:path"; v2 has no controllers.
    size_t first = line.find(':');
    size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos)
      continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos)
      continue;
    std::vector<std::string> mounts = v2 ? std::vector{root, root + "/unified"}
                                         : std::vector{root + "/cpu", root + "/" + controllers};
    // A quota of any ancestor binds. In a container the path may be the host's
    // and not exist; the walk then ends at the mount, which is the container's.
    while (true) {
      for (const std::string &mount : mounts)
        lower(limit, v2 ? quotaV2(mount + path) : quotaV1(mount + path));
      size_t slash = path.rfind('/');
      if (slash == std::string::npos)
        break;
      path.resize(slash);
    }
  }
  return limit;
}

int quern::availableCpus() {
  std::ifstream file("/proc/self/cgroup");
  std::stringstream text;
  text << file.rdbuf();
  int cpus = affinityCpus();
  return std::min(cpus, quotaCpus("/sys/fs/cgroup", text.str()).value_or(cpus));
}
