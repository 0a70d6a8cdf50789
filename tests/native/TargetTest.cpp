//===- TargetTest.cpp - resolving targets, and graphs on each of them -----===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Target/TargetMachine.h"

using namespace quern;
using namespace quern::native;
using namespace quern::plan;

TEST(TargetTest, ResolvesNames) {
  auto baseline = resolveTarget("baseline");
  ASSERT_TRUE(baseline);
  EXPECT_EQ(baseline->cpu, "x86-64");
  EXPECT_EQ(baseline->vectorBytes, 16);
  EXPECT_EQ(baseline->isa, IsaSet());
  EXPECT_EQ(baseline->channelBlock(), 4);
  auto haswell = resolveTarget("haswell");
  ASSERT_TRUE(haswell);
  EXPECT_EQ(haswell->vectorBytes, 32);
  EXPECT_EQ(haswell->vectorRegisters, 16);
  EXPECT_EQ(haswell->isa, (IsaSet{Isa::Avx2, Isa::Fma, Isa::HalfConversion}));
  EXPECT_EQ(haswell->lanes(DType::Float64), 4);
  auto server = resolveTarget("skylake-avx512");
  ASSERT_TRUE(server);
  EXPECT_EQ(server->vectorBytes, 64);
  EXPECT_EQ(server->vectorRegisters, 32);
  EXPECT_EQ(server->isa, (IsaSet{Isa::Avx512, Isa::Avx2, Isa::Fma, Isa::HalfConversion}));
  EXPECT_NE(server->features.find("-prefer-256-bit"), std::string::npos);
  auto host = resolveTarget("host"), unnamed = resolveTarget("");
  ASSERT_TRUE(host && unnamed);
  EXPECT_EQ(host->cpu, unnamed->cpu);
  EXPECT_TRUE(createTargetMachine(*host));
}

// Hypervisors give the model of one CPU and the instruction sets of another.
TEST(TargetTest, FeaturesTellTheCpu) {
  llvm::StringMap<bool> features;
  EXPECT_EQ(nameByFeatures("rocketlake", features), "rocketlake");
  for (const char *name : {"amx-bf16", "avx512bf16", "avx512fp16"})
    features[name] = true;
  EXPECT_EQ(nameByFeatures("rocketlake", features), "sapphirerapids");
  EXPECT_EQ(nameByFeatures("sapphirerapids", features), "sapphirerapids");
  EXPECT_EQ(nameByFeatures("graniterapids", features), "graniterapids");
  features["prefetchi"] = false;
  EXPECT_EQ(nameByFeatures("icelake-server", features), "sapphirerapids");
  features["prefetchi"] = true;
  EXPECT_EQ(nameByFeatures("rocketlake", features), "graniterapids");
  EXPECT_EQ(nameByFeatures("graniterapids-d", features), "graniterapids-d");
  // What tests emulate, or a CPU without AVX-512 for float16 has, is not enough.
  features["avx512fp16"] = false;
  EXPECT_EQ(nameByFeatures("znver5", features), "znver5");
}

TEST(TargetTest, ResolvesOtherMachines) {
  auto arm = resolveTarget("host", "aarch64-linux-gnu");
  ASSERT_TRUE(arm) << arm.status().message();
  EXPECT_EQ(arm->arch, Target::Arch::Aarch64);
  EXPECT_EQ(arm->cpu, "generic");
  EXPECT_EQ(arm->vectorBytes, 16);
  EXPECT_EQ(arm->vectorRegisters, 32);
  EXPECT_EQ(arm->isa, (IsaSet{Isa::Neon, Isa::Fma, Isa::HalfConversion}));
  EXPECT_TRUE(createTargetMachine(*arm));
  EXPECT_FALSE(isThisMachine(*arm));
  // Tuned for one CPU, the code runs on all.
  auto tuned = resolveTarget("cortex-a76", "aarch64-linux-gnu");
  ASSERT_TRUE(tuned) << tuned.status().message();
  EXPECT_EQ(tuned->cpu, "generic");
  EXPECT_EQ(tuned->tuneCpu, "cortex-a76");
  EXPECT_EQ(*requiredCpuFeatures(*tuned), (std::vector<std::string>{"fp-armv8", "neon"}));
  auto x86 = resolveTarget("haswell", "x86_64-linux-gnu");
  ASSERT_TRUE(x86) << x86.status().message();
  EXPECT_EQ(x86->vectorBytes, 32);
}

TEST(TargetTest, OtherMachinesAreForArtefactsOnly) {
  Status here = checkRunsHere(*resolveTarget("baseline", "aarch64-linux-gnu"));
  EXPECT_EQ(here.code(), StatusCode::Incompatible);
  EXPECT_NE(here.message().find("can be compiled ahead of time only"), std::string::npos);
  for (const char *triple :
       {"riscv64-linux-gnu", "aarch64-apple-darwin", "x86_64-windows", "arm"}) {
    Status status = resolveTarget("baseline", triple).status();
    EXPECT_EQ(status.code(), StatusCode::Usage) << triple;
    EXPECT_NE(status.message().find(triple), std::string::npos);
  }
  EXPECT_EQ(resolveTarget("haswell", "aarch64-linux-gnu").status().code(), StatusCode::Usage);
}

TEST(TargetTest, UnknownNamesAreUsageErrors) {
  for (const char *name : {"pentium99", "cortex-a72", "Haswell"}) {
    auto target = resolveTarget(name);
    ASSERT_FALSE(target) << name;
    EXPECT_EQ(target.status().code(), StatusCode::Usage);
    EXPECT_NE(target.status().message().find(name), std::string::npos);
  }
  Graph graph;
  graph.output(graph.op("nn.relu", {graph.input("3xf32")}));
  CompileOptions options;
  options.targetCpu = "pentium99";
  auto executable = compileForTest(graph, options);
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.status().code(), StatusCode::Usage);
}

namespace {
class EachTarget : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    if (Status status = checkRunsHere(*resolveTarget(GetParam())); !status.isOk())
      GTEST_SKIP() << status.message();
    check.options.targetCpu = GetParam();
  }
  GraphCheck check;
};

std::string convAttributes(const char *strides, const char *pads, int group) {
  return std::string("strides = array<i64: ") + strides +
         ">, dilations = array<i64: 1, 1>, pads = array<i64: " + pads +
         ">, group = " + std::to_string(group) + "";
}
} // namespace

INSTANTIATE_TEST_SUITE_P(TargetTest, EachTarget, testing::Values("host", "haswell", "baseline"));

TEST_P(EachTarget, Convolutions) {
  // Tiles of 4 x 4 are not exact; WinogradTest has them.
  check.options.winograd = WinogradUse::Off;
  Graph graph;
  auto conv = [&](const char *input, const char *weights, const char *bias,
                  std::string attributes) {
    GraphValue value = graph.op(
        "nn.conv", {graph.input(input), graph.weight(weights), graph.weight(bias)}, attributes);
    graph.output(graph.op("nn.relu", {value}), std::string(input) + " " + weights);
  };
  conv("2x16x5x13xf32", "32x16x3x3xf32", "32xf32", convAttributes("1, 1", "1, 1, 1, 1", 1));
  conv("1x3x9x9xf32", "16x3x3x3xf32", "16xf32", convAttributes("2, 2", "1, 1, 0, 0", 1));
  conv("1x32x4x5xf32", "48x32x1x1xf32", "48xf32", convAttributes("1, 1", "0, 0, 0, 0", 1));
  conv("1x32x1x2xf32", "128x32x1x1xf32", "128xf32", convAttributes("1, 1", "0, 0, 0, 0", 1));
  conv("1x20x6x6xf32", "20x1x3x3xf32", "20xf32", convAttributes("1, 1", "1, 1, 1, 1", 20));
  conv("2x32x5x5xf32", "32x16x3x3xf32", "32xf32", convAttributes("1, 1", "1, 1, 1, 1", 2));
  conv("2x5x6x6xf32", "7x5x3x3xf32", "7xf32", convAttributes("1, 1", "1, 1, 1, 1", 1));
  conv("2x6x5x5xf64", "4x3x3x3xf64", "4xf64", convAttributes("2, 1", "1, 1, 1, 1", 2));
  expectExact(graph, check);
}

TEST_P(EachTarget, MatrixProducts) {
  Graph graph;
  for (const char *type : {"f32", "f64"})
    for (const char *a : {"1x9x", "6x9x", "19x9x"})
      for (const char *b : {"9x1x", "9x16x", "9x37x"})
        for (bool isConstant : {false, true}) {
          std::string typeB = std::string(b) + type;
          GraphValue right = isConstant ? graph.weight(typeB) : graph.input(typeB);
          GraphValue product = graph.op("nn.matmul", {graph.input(std::string(a) + type), right});
          graph.output(graph.op("nn.relu", {product}), a + typeB);
        }
  expectExact(graph, check);
}
