//===- PortOverlapTest.cpp ------------------------------------------------===//
#include "runtime/values/PortOverlap.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

using namespace quern;

namespace {
std::byte memory[1 << 20];

/// Bytes [begin, end) of `memory`.
struct Bytes {
  int64_t begin, end;
  bool dynamic = false;
  /// Of an output: see PlanPort.
  std::optional<uint32_t> updates = {};
};

/// What PortOverlap says about inputs x0, x1... and outputs y0, y1... there.
std::string overlapOf(const std::vector<Bytes> &inputs, const std::vector<Bytes> &outputs) {
  Plan plan;
  std::vector<Tensor> in, out;
  auto add = [](const Bytes &bytes, std::string name, std::vector<PlanPort> &ports,
                std::vector<Tensor> &tensors) {
    Tensor::Dims dims{bytes.end - bytes.begin};
    tensors.push_back(Tensor::borrow(DType::UInt8, dims, memory + bytes.begin));
    ports.push_back({.name = std::move(name),
                     .dtype = DType::UInt8,
                     .dims = dims,
                     .dynamic = bytes.dynamic,
                     .updates = bytes.updates});
  };
  for (size_t i = 0; i < inputs.size(); ++i)
    add(inputs[i], "x" + std::to_string(i), plan.inputs, in);
  for (size_t i = 0; i < outputs.size(); ++i)
    add(outputs[i], "y" + std::to_string(i), plan.outputs, out);
  PortOverlap overlap(plan);
  (void)overlap.check(in, out);
  Status status = overlap.check(in, out);
  EXPECT_EQ(status.code(), status.isOk() ? StatusCode::Ok : StatusCode::InvalidInput);
  return status.message();
}
} // namespace

TEST(PortOverlap, ApartIsWell) {
  EXPECT_EQ(overlapOf({}, {}), "");
  EXPECT_EQ(overlapOf({{0, 8}}, {{8, 16}}), "");
  EXPECT_EQ(overlapOf({{8, 16}}, {{0, 8}, {16, 24}}), "");
}

// Ports that were found apart are not looked at again until one moves.
TEST(PortOverlap, PortsThatMoveAreLookedAtAgain) {
  Plan plan;
  plan.inputs = {{.name = "x", .dtype = DType::UInt8, .dims = {8}}};
  plan.outputs = {{.name = "y", .dtype = DType::UInt8, .dims = {8}}};
  PortOverlap overlap(plan);
  auto at = [](int64_t byte, int64_t size = 8) {
    return std::vector{Tensor::borrow(DType::UInt8, {size}, memory + byte)};
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(overlap.check(at(0), at(8)).isOk());
    EXPECT_TRUE(overlap.check(at(0), at(8)).isOk());
    for (int64_t byte : {7, 7, 0})
      EXPECT_EQ(overlap.check(at(0), at(byte)).code(), StatusCode::InvalidInput);
    EXPECT_TRUE(overlap.check(at(0), at(8)).isOk());
    EXPECT_EQ(overlap.check(at(0, 9), at(8)).code(), StatusCode::InvalidInput);
    EXPECT_TRUE(overlap.check(at(0, 0), at(0)).isOk());
    EXPECT_EQ(overlap.check(at(0), at(0)).code(), StatusCode::InvalidInput);
  }
}

TEST(PortOverlap, InputsMayShareMemory) {
  EXPECT_EQ(overlapOf({{0, 8}, {0, 8}, {4, 12}}, {{12, 16}}), "");
}

TEST(PortOverlap, EmptyTensorsOverlapNothing) {
  EXPECT_EQ(overlapOf({{0, 8}, {4, 4}}, {{4, 4}, {4, 4}}), "");
}

TEST(PortOverlap, OutputsThatAreReplacedOverlapNothing) {
  EXPECT_EQ(overlapOf({{0, 8}}, {{0, 8, /*dynamic=*/true}}), "");
}

TEST(PortOverlap, NamesBothPortsAndTheBytes) {
  EXPECT_EQ(overlapOf({{0, 8}}, {{4, 16}}),
            "output 'y0' overlaps input 'x0': they share 4 bytes, from byte 0 of the first and "
            "byte 4 of the second on");
  EXPECT_EQ(overlapOf({{4, 16}}, {{0, 8}}),
            "output 'y0' overlaps input 'x0': they share 4 bytes, from byte 4 of the first and "
            "byte 0 of the second on");
  EXPECT_EQ(overlapOf({{32, 40}, {0, 8}}, {{16, 24}, {0, 8}}),
            "output 'y1' overlaps input 'x1': they share 8 bytes, from byte 0 of the first and "
            "byte 0 of the second on");
  EXPECT_EQ(overlapOf({{100, 101}}, {{0, 16}, {8, 12}}),
            "output 'y0' overlaps output 'y1': they share 4 bytes, from byte 8 of the first and "
            "byte 0 of the second on");
}

TEST(PortOverlap, AnOutputMayBeTheInputThatItUpdates) {
  auto updates = [](int64_t begin, int64_t end) {
    return Bytes{begin, end, /*dynamic=*/false, /*updates=*/0};
  };
  EXPECT_EQ(overlapOf({{0, 8}, {16, 24}}, {updates(0, 8)}), "");
  EXPECT_EQ(overlapOf({{0, 8}, {16, 24}}, {updates(32, 40)}), "");
  // All of it, and no other's memory.
  EXPECT_EQ(overlapOf({{0, 8}}, {updates(4, 12)}),
            "output 'y0' overlaps input 'x0': they share 4 bytes, from byte 0 of the first and "
            "byte 4 of the second on");
  EXPECT_EQ(overlapOf({{0, 8}, {4, 12}}, {updates(0, 8)}),
            "output 'y0' overlaps input 'x1': they share 4 bytes, from byte 4 of the first and "
            "byte 0 of the second on");
  EXPECT_EQ(overlapOf({{0, 8}}, {updates(0, 8), updates(0, 8)}),
            "output 'y0' overlaps output 'y1': they share 8 bytes, from byte 0 of the first and "
            "byte 0 of the second on");
}

TEST(PortOverlap, AgreesWithComparingAllPairs) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Bytes> sides[2];
    for (auto &side : sides)
      for (size_t i = 0; i < 4; ++i) {
        auto begin = static_cast<int64_t>(random() % 100);
        side.push_back({begin, begin + static_cast<int64_t>(random() % 12)});
      }
    auto meet = [](const Bytes &a, const Bytes &b) {
      return std::max(a.begin, b.begin) < std::min(a.end, b.end);
    };
    bool wanted = false;
    for (size_t i = 0; i < 4; ++i)
      for (size_t j = 0; j < 4; ++j)
        wanted |= meet(sides[1][i], sides[0][j]) || (i != j && meet(sides[1][i], sides[1][j]));
    ASSERT_EQ(!overlapOf(sides[0], sides[1]).empty(), wanted) << "round " << round;
  }
}

TEST(PortOverlap, ThousandsOfPorts) {
  std::vector<Bytes> inputs, outputs;
  for (int64_t i = 0; i < 1000; ++i) {
    inputs.push_back({16 * (1999 - i), 16 * (2000 - i)});
    outputs.push_back({16 * i, 16 * i + 16});
  }
  EXPECT_EQ(overlapOf(inputs, outputs), "");
  outputs[500].end += 1;
  EXPECT_EQ(overlapOf(inputs, outputs),
            "output 'y500' overlaps output 'y501': they share 1 bytes, from byte 16 of the first "
            "and byte 0 of the second on");
}
