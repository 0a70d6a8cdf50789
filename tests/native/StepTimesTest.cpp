//===- StepTimesTest.cpp - how long steps are expected to take ------------===//
#include "backends/native/cost/StepTimes.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/lowering/WayLog.h"
#include "backends/plan/StepTimeline.h"
#include "tests/native/GraphCheck.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

using namespace quern;
using namespace quern::native;

static Target targetOf(const std::string &cpu) {
  return resolveTarget(cpu, "x86_64-linux-gnu").take();
}

//===----------------------------------------------------------------------===//
// CPUs
//===----------------------------------------------------------------------===//

TEST(CpuRatesTest, EveryCpuHasRates) {
  for (const char *cpu : {"baseline", "haswell", "skylake-avx512", "znver2", "znver4", "znver5",
                          "sapphirerapids", "graniterapids", "alderlake", "nehalem"}) {
    Target target = targetOf(cpu);
    CpuRates rates = ratesOf(target);
    EXPECT_GT(rates.fromMemory, 0) << cpu;
    EXPECT_GT(rates.fromL3, rates.fromMemory) << cpu;
    EXPECT_GT(rates.l3Bytes, rates.l2Bytes) << cpu;
    EXPECT_GT(peakOf(Engine::Float32, target), 0) << cpu;
  }
  // Twice a vector of 16 at a little above 4 GHz: `quern doctor` says 256 to 276.
  EXPECT_NEAR(peakOf(Engine::Float32, targetOf("znver5")), 260, 10);
  EXPECT_NEAR(peakOf(Engine::Int8, targetOf("znver5")), 1040, 40);
  EXPECT_NEAR(peakOf(Engine::Float32, targetOf("graniterapids")), 243, 5);
}

// A vector of pairs takes as long as one of float32 on AMD's CPUs, four times as long on Intel's:
// 90 to 120 GFLOP/s were measured on Granite Rapids.
TEST(CpuRatesTest, PairsOfBFloat16) {
  for (const char *cpu : {"znver4", "znver5"}) {
    Target target = targetOf(cpu);
    EXPECT_TRUE(hasFastPairs(target)) << cpu;
    EXPECT_EQ(peakOf(Engine::BFloat16, target), 2 * peakOf(Engine::Float32, target)) << cpu;
  }
  for (const char *cpu : {"cooperlake", "sapphirerapids", "graniterapids"}) {
    Target target = targetOf(cpu);
    EXPECT_FALSE(hasFastPairs(target)) << cpu;
    EXPECT_EQ(peakOf(Engine::BFloat16, target), peakOf(Engine::Float32, target) / 2) << cpu;
  }
  EXPECT_FALSE(hasFastPairs(targetOf("haswell")));
}

TEST(CpuRatesTest, HalfUnits) {
  EXPECT_TRUE(hasHalfUnits(targetOf("znver4")));
  for (const char *cpu : {"nehalem", "haswell", "znver2", "znver5", "skylake-avx512"})
    EXPECT_FALSE(hasHalfUnits(targetOf(cpu))) << cpu;
}

// Choices must not depend on the machine at hand: a name alone decides.
TEST(CpuRatesTest, CodeForAnotherCpuIsTunedForIt) {
  Target other = targetOf("haswell");
  other.tuneCpu = "znver4";
  EXPECT_EQ(ratesOf(other).gigahertz, ratesOf(targetOf("znver4")).gigahertz);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {
struct Product {
  int64_t rows, depth, columns, batches = 1;
};
} // namespace

static double timeOf(const Product &p, const Target &target) {
  DotSpec spec;
  TileShape shape = chooseGemmTile(target, DType::Float32, p.columns);
  spec.tile.lanes = target.lanes(DType::Float32);
  spec.tile.vectors = shape.vectors;
  spec.tile.levels.resize(1);
  spec.heights = shape.heights;
  spec.flat = true;
  DotDims dims;
  dims.columnTiles = (p.columns + spec.tile.columns() - 1) / spec.tile.columns();
  dims.coverRows(spec, p.rows);
  dims.levels[0].trip = p.depth;
  return estimateDot(spec, dims, p.batches * dims.columnTiles, target).computeNs;
}

TEST(StepTimesTest, LargerProductsTakeLonger) {
  for (const char *cpu : {"baseline", "haswell", "znver4", "znver5", "sapphirerapids"}) {
    Target target = targetOf(cpu);
    double before = 0;
    for (int64_t size = 1; size <= 2048; size *= 2) {
      double now = timeOf({size, size, size}, target);
      EXPECT_GT(now, before) << cpu << " " << size;
      EXPECT_EQ(now, timeOf({size, size, size}, target)) << "the same every time";
      EXPECT_GT(timeOf({2 * size, size, size}, target), now) << cpu << " " << size;
      EXPECT_GT(timeOf({size, 2 * size, size}, target), now) << cpu << " " << size;
      EXPECT_GE(timeOf({size, size, 2 * size}, target), now) << cpu << " " << size;
      EXPECT_GT(timeOf({size, size, size, 2}, target), now) << cpu << " " << size;
      before = now;
    }
    // Nothing is faster than the units.
    double least = 2.0 * 1024 * 1024 * 1024 / peakOf(Engine::Float32, target);
    EXPECT_GT(timeOf({1024, 1024, 1024}, target), least) << cpu;
    EXPECT_LT(timeOf({1024, 1024, 1024}, target), 1.2 * least) << cpu;
  }
}

TEST(StepTimesTest, FewRowsWaitForTheirSums) {
  Target target = targetOf("znver5");
  EXPECT_GT(timeOf({1, 512, 512}, target), timeOf({6, 512, 512}, target) / 3);
  EXPECT_LT(timeOf({2, 512, 512}, target), 1.5 * timeOf({1, 512, 512}, target));
}

TEST(StepTimesTest, BytesFromFurtherAwayTakeLonger) {
  CpuRates rates = ratesOf(targetOf("znver5"));
  constexpr double kBytes = 1e6, kFar = 1e12;
  EXPECT_EQ(nanosecondsToMove(kBytes, 0, rates), 0);
  double near = nanosecondsToMove(kBytes, 4 * rates.l2Bytes, rates);
  EXPECT_GT(near, 0);
  EXPECT_GT(nanosecondsToMove(kBytes, kFar, rates), near);
  EXPECT_EQ(nanosecondsToMove(2 * kBytes, kFar, rates), 2 * nanosecondsToMove(kBytes, kFar, rates));
}

TEST(StepTimesTest, WhatIsShorterIsHiddenInPart) {
  plan::StepEstimate estimate{.computeNs = 100, .exposed = 0.5};
  EXPECT_EQ(estimate.nanoseconds(0), 100);
  EXPECT_EQ(estimate.nanoseconds(50), 125);
  EXPECT_EQ(estimate.nanoseconds(200), 250);
  EXPECT_EQ(plan::StepEstimate().nanoseconds(200), 0) << "nothing is known";
}

//===----------------------------------------------------------------------===//
// Steps of a plan
//===----------------------------------------------------------------------===//

namespace {
/// Bytes take as long as they are many, and more once they are far away.
class Distances : public plan::OpLowering {
public:
  bool hasLowering(mlir::Operation *) const override { return false; }
  LoweringResult lower(mlir::Operation *, const plan::ShapeEnvironment &) const override {
    return LoweredSteps();
  }
  LoweredStep copyBytes(const StepBuffer &, const StepBuffer &, int64_t) const override {
    return {};
  }
  double nanosecondsToMove(double bytes, double distance) const override {
    return distance <= 1000 ? 0 : bytes;
  }
};
} // namespace

// Of a run among many: what the run before has touched last is nearest.
TEST(StepTimesTest, DistancesAreThoseOfRunsInTurn) {
  using Access = plan::StepTimeline::Access;
  auto place = [](uint32_t index) { return BufferRef{BufferRef::Space::Weights, index, 0}; };
  plan::StepEstimate estimate{.computeNs = 10, .exposed = 1};
  plan::StepTimeline few, many;
  for (uint32_t i = 0; i < 4; ++i) {
    few.add(estimate, {Access{place(i), 200}});
    many.add(estimate, {Access{place(i), 2000}});
  }
  many.add(estimate, {Access{place(3), 500}});
  using testing::ElementsAre;
  EXPECT_THAT(few.expectedTimes(Distances()), ElementsAre(10, 10, 10, 10));
  EXPECT_THAT(many.expectedTimes(Distances()), ElementsAre(2010, 2010, 2010, 2010, 510));
}

TEST(StepTimesTest, KernelStepsOfAPlanHaveTimes) {
  Graph graph;
  GraphValue x = graph.input("2x40x64xf32");
  x = graph.op("nn.matmul", {x, graph.weight("64x48xf32")});
  graph.output(graph.op("nn.transpose", {x}, "perm = array<i64: 0, 2, 1>"));
  std::vector<ProfileRow> steps = expectExact(graph).steps;
  EXPECT_EQ(steps.size(), 2u);
  for (const ProfileRow &step : steps)
    EXPECT_GT(step.expectedNanoseconds, 0) << step.kernel;
}

//===----------------------------------------------------------------------===//
// Ways, in the order that was measured
//===----------------------------------------------------------------------===//

/// The ways of a 3 x 3 convolution of float32 with results of `side` pixels a side, fastest first.
static std::vector<std::string> orderOfWays(int64_t channels, int64_t outputs, int64_t side,
                                            int64_t stride = 1, const std::string &cpu = "znver5") {
  Graph graph;
  auto image = [&](int64_t all, int64_t pixels) {
    return fmt::format("1x{0}x{1}x{1}x16xf32, #nn.blocked<16>", all / 16, pixels);
  };
  GraphValue weights = graph.weight(fmt::format("{}x{}x3x3xf32", outputs, channels));
  graph.output(graph.op("nn.conv",
                        {graph.input(image(channels, side * stride)), weights, graph.none()},
                        fmt::format("strides = array<i64: {0}, {0}>, dilations = array<i64: 1, 1>, "
                                    "pads = array<i64: 1, 1, 1, 1>, group = 1",
                                    stride),
                        image(outputs, side)));
  mlir::MLIRContext mlir(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(mlir);
  Target target = targetOf(cpu);
  plan::ShapeEnvironment values;
  WayLog log;
  LoweringContext context{target, 1, values, nullptr, WinogradUse::Auto, &log};
  module->walk([&](nn::ConvOp op) { chooseWay(findLowering(op)->ways, op, context); });
  std::vector<WayRecord> records = log.take();
  std::vector<WayRecord::Candidate> ways = records.at(0).able;
  std::ranges::stable_sort(ways, {}, &WayRecord::Candidate::cost);
  EXPECT_EQ(records.at(0).used, ways.front().name);
  std::vector<std::string> names;
  for (const WayRecord::Candidate &way : ways) {
    EXPECT_GT(way.cost, 0);
    names.push_back(way.name);
  }
  return names;
}

TEST(StepTimesTest, WaysComeInTheMeasuredOrder) {
  using testing::ElementsAre;
  // ResNet's, at 56, 28 and 14 pixels; the first of SqueezeNet's; and one that is smaller than any.
  EXPECT_THAT(orderOfWays(64, 64, 56), ElementsAre("winograd4", "winograd2", "blocked"));
  EXPECT_THAT(orderOfWays(128, 128, 28), ElementsAre("winograd4", "winograd2", "blocked"));
  EXPECT_EQ(orderOfWays(256, 256, 14).back(), "blocked");
  EXPECT_THAT(orderOfWays(16, 64, 56), ElementsAre("winograd4", "winograd2", "blocked"));
  EXPECT_EQ(orderOfWays(256, 256, 2).front(), "blocked");
}

// Weights grow by 4 for the larger tiles, and late layers wait for them.
TEST(StepTimesTest, WaysOfStridedConvolutionsComeInTheMeasuredOrder) {
  auto order = [](int64_t channels, int64_t outputs, int64_t side) {
    return orderOfWays(channels, outputs, side, 2, "znver4");
  };
  using testing::ElementsAre;
  EXPECT_THAT(order(16, 32, 112), ElementsAre("winograd4", "winograd2", "blocked"));
  EXPECT_THAT(order(64, 64, 56), ElementsAre("winograd4", "winograd2", "blocked"));
  EXPECT_THAT(order(128, 128, 28), ElementsAre("winograd4", "winograd2", "blocked"));
  EXPECT_THAT(order(256, 256, 14), ElementsAre("winograd2", "winograd4", "blocked"));
  EXPECT_THAT(order(512, 1024, 10), ElementsAre("winograd2", "winograd4", "blocked"));
  EXPECT_EQ(order(16, 16, 4).front(), "blocked");
}
