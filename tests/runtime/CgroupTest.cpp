//===- CgroupTest.cpp -----------------------------------------------------===//
#include "runtime/system/Cgroup.h"

#include "quern/Limits.h"
#include "tests/runtime/FakeCgroups.h"

#include <gtest/gtest.h>
#include <unistd.h>

using namespace quern;

namespace {
class CgroupMemory : public FakeCgroups {
protected:
  std::optional<int64_t> bytes(std::string_view procCgroup) {
    return cgroupMemoryBytes(root, procCgroup);
  }
};
} // namespace

TEST_F(CgroupMemory, NothingIsNoLimit) {
  EXPECT_EQ(bytes(""), std::nullopt);
  EXPECT_EQ(bytes("0::/a/b\n"), std::nullopt);
  write("a/b/memory.max", "max\n");
  EXPECT_EQ(bytes("0::/a/b\n"), std::nullopt);
}

TEST_F(CgroupMemory, VersionTwoTightestAncestorBinds) {
  write("a/memory.max", "1073741824\n");
  write("a/b/memory.max", "max\n");
  EXPECT_EQ(bytes("0::/a/b\n"), 1073741824);
  write("a/b/memory.max", "536870912\n");
  EXPECT_EQ(bytes("0::/a/b\n"), 536870912);
  write("a/memory.max", "1000\n");
  EXPECT_EQ(bytes("0::/a/b\n"), 1000);
  // Under the mount of systems that use both versions.
  write("unified/c/memory.max", "77\n");
  EXPECT_EQ(bytes("0::/c\n"), 77);
}

TEST_F(CgroupMemory, VersionOneUnderEitherMount) {
  write("memory/job/memory.limit_in_bytes", "4000\n");
  EXPECT_EQ(bytes("4:cpu:/x\n2:memory:/job\n"), 4000);
  EXPECT_EQ(bytes("4:cpu:/job\n"), std::nullopt);
  write("memory,hugetlb/memory.limit_in_bytes", "3000\n");
  // The host's path, not visible here: the mount's own limit counts.
  EXPECT_EQ(bytes("2:memory,hugetlb:/docker/123\n"), 3000);
}

TEST_F(CgroupMemory, GarbageIsNoLimit) {
  write("a/memory.max", "lots of it\n");
  write("b/memory.max", "-5\n");
  EXPECT_EQ(bytes("0::/a\n0::/b\nnonsense\n1:memory\n::\n"), std::nullopt);
}

TEST(AvailableMemory, IsAtMostTheMachines) {
  int64_t machine = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  EXPECT_GT(availableMemoryBytes(), 0);
  EXPECT_LE(availableMemoryBytes(), machine);
  std::optional<int64_t> granted = cgroupMemoryBytes(kCgroupRoot, ownCgroups());
  EXPECT_LE(availableMemoryBytes(), granted.value_or(machine));
  EXPECT_EQ(Limits().maxActivationBytes, availableMemoryBytes() / 4 * 3);
}
