//===- CpuCountTest.cpp ---------------------------------------------------===//
#include "runtime/system/CpuCount.h"

#include "tests/runtime/FakeCgroups.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <thread>

using namespace quern;

namespace {
class CpuCount : public FakeCgroups {
protected:
  std::optional<int> quota(std::string_view procCgroup) { return quotaCpus(root, procCgroup); }
};
} // namespace

TEST_F(CpuCount, NoQuotaIsNoLimit) {
  EXPECT_EQ(quota(""), std::nullopt);
  EXPECT_EQ(quota("0::/a/b\n"), std::nullopt);
  write("a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), std::nullopt);
  write("cpu/cpu.cfs_quota_us", "-1\n");
  write("cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota("1:cpu:/\n"), std::nullopt);
}

TEST_F(CpuCount, VersionTwoRoundsDownButNotToNothing) {
  write("a/cpu.max", "350000 100000\n");
  EXPECT_EQ(quota("0::/a\n"), 3);
  write("a/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota("0::/a\n"), 1);
}

TEST_F(CpuCount, TightestAncestorBinds) {
  write("a/cpu.max", "200000 100000\n");
  write("a/b/cpu.max", "900000 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 2);
}

TEST_F(CpuCount, VersionOneUnderEitherMount) {
  write("cpu/job/cpu.cfs_quota_us", "400000\n");
  write("cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota("4:memory:/x\n2:cpu:/job\n"), 4);
  write("cpu,cpuacct/cpu.cfs_quota_us", "300000\n");
  write("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  // The host's path, not visible here: the mount's own quota counts.
  EXPECT_EQ(quota("2:cpu,cpuacct:/docker/123\n"), 3);
  EXPECT_EQ(quota("4:memory:/x\n2:cpuset:/job\n"), std::nullopt);
}

TEST_F(CpuCount, GarbageIsNoLimit) {
  write("a/cpu.max", "lots of it\n");
  EXPECT_EQ(quota("0::/a\nnonsense\n1:cpu\n::\n"), std::nullopt);
}

TEST(AvailableCpus, FollowsTheAffinityMask) {
  EXPECT_GE(availableCpus(), 1);
  EXPECT_LE(availableCpus(), affinityCpus());
  std::thread([] {
    cpu_set_t all, one;
    ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &all)) {
        CPU_SET(cpu, &one);
        break;
      }
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(affinityCpus(), 1);
    EXPECT_EQ(availableCpus(), 1);
  }).join();
}
