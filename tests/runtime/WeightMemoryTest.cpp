//===- WeightMemoryTest.cpp - packed weights beside each other ------------===//
#include "runtime/values/WeightMemory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

using namespace quern;

namespace {
constexpr int64_t kMiB = int64_t{1} << 20;

Tensor filled(int64_t bytes, int number) {
  Expected<Tensor> tensor = allocateWeights(DType::UInt8, {bytes});
  EXPECT_TRUE(tensor) << tensor.status().message();
  std::memset(tensor->mutableRawData(), number, static_cast<size_t>(bytes));
  return tensor.take();
}

bool holds(const Tensor &tensor, int number) {
  for (uint8_t byte : tensor.elementsAs<uint8_t>())
    if (byte != number)
      return false;
  return true;
}
} // namespace

// More than a region, of all sizes, of which some go while others stay.
TEST(WeightMemory, HasAPlaceForEach) {
  std::vector<std::pair<Tensor, int>> kept;
  int number = 0;
  for (int64_t bytes : {kMiB / 2 - 1, kMiB / 2, kMiB + 7, 5 * kMiB, 16 * kMiB, 16 * kMiB + 1, 0l})
    for (int i = 0; i < 6; ++i) {
      Tensor tensor = filled(bytes, ++number);
      EXPECT_EQ(tensor.dims(), Tensor::Dims{bytes});
      EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.rawData()) % 64, 0u);
      if (i % 2 == 0)
        kept.emplace_back(std::move(tensor), number);
    }
  for (const auto &[tensor, filledBy] : kept)
    EXPECT_TRUE(holds(tensor, filledBy)) << tensor.numBytes();
}

TEST(WeightMemory, NeighboursShareHugePages) {
  Tensor first = filled(kMiB + 1, 1), second = filled(kMiB, 2), third = filled(kMiB, 3);
  auto distance = [](const Tensor &a, const Tensor &b) {
    return static_cast<const char *>(b.rawData()) - static_cast<const char *>(a.rawData());
  };
  // One of them may begin a new region.
  EXPECT_TRUE(distance(first, second) == kMiB + 64 || distance(second, third) == kMiB);
}

TEST(WeightMemory, ThreadsTakeAtOnce) {
  std::vector<std::thread> threads;
  std::vector<int> right(4);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&right, t] {
      std::vector<Tensor> tensors;
      for (int i = 0; i < 20; ++i)
        tensors.push_back(filled(kMiB / 2 + i, t * 20 + i));
      for (int i = 0; i < 20; ++i)
        right[t] += holds(tensors[i], t * 20 + i);
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(right, std::vector<int>(4, 20));
}

TEST(WeightMemory, RefusesWhatOverflows) {
  EXPECT_FALSE(allocateWeights(DType::Float32, {INT64_MAX, 4}));
  EXPECT_FALSE(allocateWeights(DType::Float32, {-1}));
}
