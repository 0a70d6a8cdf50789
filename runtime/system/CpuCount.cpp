//===- CpuCount.cpp - how many CPUs this process may use ------------------===//
#include "runtime/system/CpuCount.h"

#include "runtime/system/Cgroup.h"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <fstream>
#include <sched.h>
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
  forEachCgroup(root, procCgroup, "cpu", [&](const std::string &directory, int version) {
    lower(limit, version == 2 ? quotaV2(directory) : quotaV1(directory));
  });
  return limit;
}

int quern::availableCpus() {
  int cpus = affinityCpus();
  return std::min(cpus, quotaCpus(kCgroupRoot, ownCgroups()).value_or(cpus));
}

Status quern::checkThreads(int threads) {
  if (threads >= 0)
    return Status::ok();
  return usageError(
      fmt::format("the number of threads is {}; wanted 1 or more, or 0 for all CPUs", threads));
}
