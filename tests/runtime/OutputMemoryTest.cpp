//===- OutputMemoryTest.cpp -----------------------------------------------===//
#include "runtime/values/OutputMemory.h"

#include <cstring>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

using namespace quern;

namespace {
constexpr int64_t kLarge = (1 << 20) + 1;

Tensor allocate(OutputMemory &memory, int64_t elements) {
  Expected<Tensor> made = memory.allocate(DType::Float32, {elements}, {});
  EXPECT_TRUE(made);
  std::memset(made->mutableRawData(), 1, static_cast<size_t>(made->numBytes()));
  return made.take();
}
} // namespace

TEST(OutputMemory, WhatWasLetGoIsUsedAgain) {
  OutputMemory memory;
  memory.beginRun();
  Tensor first = allocate(memory, kLarge);
  const void *place = first.rawData();
  memory.beginRun();
  Tensor held = allocate(memory, kLarge);
  EXPECT_NE(held.rawData(), place) << "it is held yet";
  Tensor copy = first;
  first = Tensor();
  memory.beginRun();
  EXPECT_NE(allocate(memory, kLarge).rawData(), place) << "a copy is held yet";
  copy = Tensor();
  memory.beginRun();
  Tensor larger = allocate(memory, kLarge + 100);
  EXPECT_EQ(larger.rawData(), place) << "and has room for some more";
  EXPECT_EQ(larger.dims(), Tensor::Dims{kLarge + 100});
}

TEST(OutputMemory, NoMoreIsKeptThanOneRunTakes) {
  OutputMemory memory;
  memory.beginRun();
  std::vector<Tensor> many;
  for (int i = 0; i < 4; ++i)
    many.push_back(allocate(memory, kLarge));
  memory.beginRun();
  Tensor one = allocate(memory, kLarge);
  memory.beginRun();
  const void *last = many.back().rawData();
  many.clear(); // one of them is kept, the last
  Tensor again = allocate(memory, kLarge);
  EXPECT_EQ(again.rawData(), last);
}

TEST(OutputMemory, ResultsOutliveIt) {
  Tensor result;
  {
    OutputMemory memory;
    memory.beginRun();
    result = allocate(memory, kLarge);
  }
  EXPECT_EQ(result.data<uint8_t>()[kLarge], 1);
  std::thread([held = std::move(result)]() mutable { held = Tensor(); }).join();
}

TEST(OutputMemory, ErrorsAreThoseOfTensors) {
  OutputMemory memory;
  Limits limits{.maxTensorBytes = 100};
  EXPECT_EQ(memory.allocate(DType::Float32, {kLarge}, limits).status().message(),
            Tensor::allocateUninitialized(DType::Float32, {kLarge}, limits).status().message());
  EXPECT_EQ(memory.allocate(DType::Float32, {INT64_MAX, 8}, {}).status().code(),
            StatusCode::ResourceLimit);
  EXPECT_EQ(memory.allocate(DType::Float32, {3}, {})->numBytes(), 12);
  EXPECT_EQ(memory.allocate(DType::String, {3}, {})->numElements(), 3);
}
