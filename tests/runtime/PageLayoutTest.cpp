//===- PageLayoutTest.cpp - huge pages for large memory -------------------===//
#include "runtime/values/PageLayout.h"
#include "quern/Tensor.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace quern;

static constexpr int64_t kMiB = int64_t{1} << 20;

TEST(PageLayout, HugePagesAreMostlyUsed) {
  for (int64_t bytes : {int64_t{0}, kMiB, kMiB * 3 / 2 - 1})
    EXPECT_EQ(PageLayout::of(bytes).alignment, 64) << bytes;
  for (int64_t bytes : {kMiB * 3 / 2, 2 * kMiB, 3 * kMiB, int64_t{4'000'000}, 5 * kMiB})
    EXPECT_EQ(PageLayout::of(bytes).alignment, 2 * kMiB) << bytes;
  // The last page is whole where it is huge.
  EXPECT_EQ(PageLayout::of(4'000'000).size.value(), 4 * kMiB);
  EXPECT_EQ(PageLayout::of(5 * kMiB).size.value(), 5 * kMiB + 64);
}

TEST(PageLayout, ThereIsAByteMore) {
  for (int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{63}, int64_t{64}, kMiB, 2 * kMiB, 4 * kMiB})
    EXPECT_GT(PageLayout::of(bytes).size.value(), bytes);
}

TEST(PageLayout, RefusesWhatCannotBe) {
  for (CheckedSize bytes : {CheckedSize(-1), CheckedSize(INT64_MAX), CheckedSize(INT64_MAX) * 2})
    EXPECT_FALSE(PageLayout::of(bytes).size.valid());
}

TEST(PageLayout, TensorsAreAlignedAndZero) {
  for (int64_t bytes : {kMiB, kMiB * 3 / 2, 2 * kMiB, int64_t{4'000'000}, 5 * kMiB}) {
    auto tensor = Tensor::allocate(DType::UInt8, {bytes});
    ASSERT_TRUE(tensor);
    auto alignment = static_cast<uintptr_t>(PageLayout::of(bytes).alignment);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->rawData()) % alignment, 0u) << bytes;
    for (uint8_t byte : tensor->elementsAs<uint8_t>())
      ASSERT_EQ(byte, 0);
    std::memset(tensor->mutableRawData(), 1, static_cast<size_t>(bytes));
  }
}
