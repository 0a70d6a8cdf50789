//===- ArenaTest.cpp ------------------------------------------------------===//
#include "runtime/running/Arena.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace quern;

static bool isAligned(const void *p, uintptr_t alignment) {
  return reinterpret_cast<uintptr_t>(p) % alignment == 0;
}

TEST(Arena, IsAlignedAndWritable) {
  for (int64_t bytes : {0, 1, 63, 64, 65, 4096, 5'000'000}) {
    auto arena = Arena::allocate(CheckedSize(bytes));
    ASSERT_TRUE(arena) << bytes;
    EXPECT_EQ(arena->size(), bytes);
    EXPECT_NE(arena->data(), nullptr);
    EXPECT_TRUE(isAligned(arena->data(), 64));
    std::memset(arena->data(), 1, static_cast<size_t>(bytes));
  }
}

TEST(Arena, LargeOnesStartOnAHugePage) {
  auto arena = Arena::allocate(CheckedSize(int64_t{16} << 20));
  ASSERT_TRUE(arena);
  EXPECT_TRUE(isAligned(arena->data(), uintptr_t{2} << 20));
}

TEST(Arena, RefusesWhatCannotBe) {
  for (CheckedSize bytes : {CheckedSize(-1), CheckedSize(INT64_MAX), CheckedSize(INT64_MAX) * 2}) {
    auto arena = Arena::allocate(bytes);
    ASSERT_FALSE(arena);
    EXPECT_EQ(arena.status().code(), StatusCode::ResourceLimit);
  }
  auto arena = Arena::allocate(CheckedSize(1001), 1000);
  ASSERT_FALSE(arena);
  EXPECT_NE(arena.status().message().find("needs 1001 bytes, the limit is 1000"),
            std::string::npos);
}
