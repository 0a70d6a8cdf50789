//===- MachineTest.cpp ----------------------------------------------------===//
#include "runtime/system/MachineFiles.h"

#include "runtime/running/TimedRounds.h"
#include "runtime/system/CpuCount.h"
#include "tests/runtime/FakeCgroups.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

using namespace quern;

namespace {
class MachineTest : public FakeCgroups {
protected:
  void writeCache(const std::string &index, const std::string &level, const std::string &kind,
                  const std::string &size, const std::string &cpus) {
    std::string folder = "sys/devices/system/cpu/cpu2/cache/index" + index + "/";
    write(folder + "level", level + "\n");
    write(folder + "type", kind + "\n");
    write(folder + "size", size + "\n");
    write(folder + "shared_cpu_list", cpus + "\n");
  }
};
} // namespace

TEST_F(MachineTest, TellsWhatLinuxTells) {
  write("proc/cpuinfo", "processor\t: 0\nmodel\t\t: 17\nmodel name\t: Abacus 9000 \n"
                        "flags\t\t: fpu sse2 hypervisor\n");
  write("proc/meminfo", "MemTotal:        2048 kB\nMemFree: 7 kB\n");
  write("proc/self/cgroup", "0::/job\n");
  write("proc/loadavg", "1.50 0.20 0.10 1/100 4711\n");
  write("sys/fs/cgroup/job/cpu.max", "200000 100000\n");
  write("sys/fs/cgroup/job/memory.max", "1048576\n");
  write("sys/devices/system/cpu/online", "0-7\n");
  for (std::string cpu : {"2", "3"})
    write("sys/devices/system/cpu/cpu" + cpu + "/topology/thread_siblings_list", "2-3\n");
  write("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n");
  writeCache("0", "1", "Data", "48K", "2-3");
  writeCache("1", "3", "Unified", "32M", "0-7");

  Machine machine = readMachine(root, std::vector{2, 3, 4});
  EXPECT_EQ(machine.cpuModel, "Abacus 9000");
  EXPECT_TRUE(machine.virtualMachine);
  EXPECT_EQ(machine.onlineCpus, 8);
  EXPECT_EQ(machine.affinityCpus, 3);
  EXPECT_EQ(machine.affinityCores, 2);
  EXPECT_EQ(machine.quotaCpus, 2);
  EXPECT_EQ(machine.usableCpus, 2);
  EXPECT_EQ(machine.memoryBytes, 2048 * 1024);
  EXPECT_EQ(machine.memoryLimitBytes, 1048576);
  EXPECT_EQ(machine.governor, "powersave");
  EXPECT_EQ(machine.loadAverage, 1.5);
  ASSERT_EQ(machine.caches.size(), 2u);
  EXPECT_EQ(machine.caches[0].kind, "Data");
  EXPECT_EQ(machine.caches[0].bytes, 48 << 10);
  EXPECT_EQ(machine.caches[0].cpus, 2);
  EXPECT_EQ(machine.caches[1].level, 3);
  EXPECT_EQ(machine.caches[1].bytes, 32 << 20);
}

TEST_F(MachineTest, WhatIsUnknownIsEmpty) {
  Machine machine = readMachine(root / "nowhere", std::vector{0});
  EXPECT_EQ(machine.cpuModel, "");
  EXPECT_FALSE(machine.virtualMachine);
  EXPECT_EQ(machine.affinityCores, 1);
  EXPECT_EQ(machine.quotaCpus, std::nullopt);
  EXPECT_EQ(machine.usableCpus, 1);
  EXPECT_TRUE(machine.caches.empty());
  EXPECT_EQ(machine.memoryBytes, 0);
  EXPECT_EQ(machine.memoryLimitBytes, std::nullopt);
  EXPECT_EQ(machine.governor, "");
}

TEST_F(MachineTest, NoLimitOfVersionOneIsNone) {
  write("proc/meminfo", "MemTotal: 2048 kB\n");
  write("proc/self/cgroup", "4:memory:/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(readMachine(root, std::vector{0}).memoryLimitBytes, std::nullopt);
}

TEST_F(MachineTest, GarbageIsUnknown) {
  write("proc/meminfo", "MemTotal: a lot\n");
  writeCache("0", "one", "Data", "99999999999999999999999G", "-");
  writeCache("1", "2", "Unified", "9999999999G", "0-99999999999999999999");
  Machine machine = readMachine(root, std::vector{2});
  EXPECT_EQ(machine.memoryBytes, 0);
  ASSERT_EQ(machine.caches.size(), 2u);
  EXPECT_EQ(machine.caches[0].bytes, 0);
  EXPECT_EQ(machine.caches[1].bytes, 0);
}

TEST_F(MachineTest, CountsStolenTicks) {
  write("proc/stat", "cpu  10 20 30 40 0 0 0 5 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
  CpuTicks ticks = readCpuTicks(root);
  EXPECT_EQ(ticks.all, 105);
  EXPECT_EQ(ticks.stolen, 5);
  write("proc/stat", "nothing\n");
  EXPECT_EQ(readCpuTicks(root).all, 0);
  EXPECT_EQ(readCpuTicks(root / "nowhere").all, 0);
}

TEST(TimedRounds, RunInAllThreadsAtOnce) {
  std::atomic<int> inside = 0, calls = 0;
  auto rounds = timeRounds(3, 4, [&](int thread) {
    calls += 1 << (8 * thread);
    // Returns only when all three are there.
    ++inside;
    while (inside % 3 != 0)
      std::this_thread::yield();
  });
  ASSERT_TRUE(rounds.isOk());
  EXPECT_EQ(rounds->size(), 4u);
  EXPECT_EQ(calls, 0x040404);
}

TEST(CpuList, IsRangesAndNumbers) {
  EXPECT_EQ(parseCpuList("0-2,5,7-8"), (std::vector{0, 1, 2, 5, 7, 8}));
  EXPECT_EQ(parseCpuList("3"), std::vector{3});
  EXPECT_TRUE(parseCpuList("").empty());
  EXPECT_TRUE(parseCpuList("all").empty());
  EXPECT_LE(parseCpuList("0-4000000000").size(), 1u << 17);
  EXPECT_EQ(parseCpuList("1,x,2"), std::vector{1});
}

TEST(ThisMachine, AgreesWithTheAffinityMask) {
  EXPECT_EQ(static_cast<int>(affinitySet().size()), affinityCpus());
  EXPECT_EQ(describeMachine().usableCpus, availableCpus());
}
