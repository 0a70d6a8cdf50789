//===- PlantedCausesTest.cpp - models that are slow for one reason --------===//
#include "quern/ConvertTensor.h"
#include "quern/Reports.h"
#include "tests/time/Models.h"

using namespace quern;
using namespace quern::timing::test;

namespace {
constexpr int64_t kSide = 1024;

/// A chain of elementwise ops on a large matrix, where calls cost nothing.
ModelBuilder chain() {
  ModelBuilder model;
  model.input("x", {kSide, kSide}).node("Exp", {"x"}, {"e"}).node("Neg", {"e"}, {"n"});
  return model.node("Tanh", {"n"}, {"t"}).node("Mul", {"t", "x"}, {"y"}).output("y");
}

ModelBuilder product(const Tensor &weight, int64_t rows) {
  ModelBuilder model;
  model.initializer("w", weight);
  return model.input("x", {rows, weight.dims()[0]}).node("MatMul", {"x", "w"}, {"y"}).output("y");
}

/// With trials.
Settings trying() {
  Settings settings;
  settings.options.tries = true;
  return settings;
}
} // namespace

TEST(PlantedCausesTest, StepsWithoutNativeCode) {
  ModelBuilder model;
  model.input("x", {1 << 16}).node("Unique", {"x"}, {"y"}).output("y");
  TimeAnalysis analysis = analyze(model);
  EXPECT_EQ(firstCause(analysis), "reference");
  TimeCause cause = causeOf(analysis, CauseKind::Reference);
  EXPECT_EQ(cause.title, "1 step without native code");
  ASSERT_EQ(cause.evidence.size(), 1u);
  EXPECT_TRUE(cause.evidence[0].starts_with("y_node (nn.unique): ")) << cause.evidence[0];
}

TEST(PlantedCausesTest, Copies) {
  ModelBuilder model;
  model.input("x", {kSide, kSide}).node("Transpose", {"x"}, {"y"}).output("y");
  TimeAnalysis analysis = analyze(model);
  EXPECT_EQ(firstCause(analysis), "moves");
  TimeCause cause = causeOf(analysis, CauseKind::Moves);
  EXPECT_EQ(cause.title, "1 step only to move elements");
  EXPECT_NEAR(cause.savedMs, analysis.steps.at(0).fastestMs, 1e-9);
}

TEST(PlantedCausesTest, WeightsThatWaitForMemory) {
  TimeAnalysis analysis = analyze(product(randomFloats({2048, 4096}), 1), trying());
  EXPECT_EQ(firstCause(analysis), "memory");
  TimeCause cause = causeOf(analysis, CauseKind::Memory);
  EXPECT_TRUE(cause.isMeasured);
  EXPECT_TRUE(cause.advice.starts_with("--")) << cause.advice;
}

/// Products read weights of 16 bits as they are.
TEST(PlantedCausesTest, TitlesSayTheBitsThatWeightsHave) {
  Tensor weight = convertTensor(randomFloats({2048, 4096}), DType::Float16).take();
  ModelBuilder model;
  model.initializer("h", weight);
  model.input("x", {1, 2048}).node("Cast", {"h"}, {"w"}).attr("to", int64_t{1});
  model.node("MatMul", {"x", "w"}, {"y"}).output("y");
  TimeAnalysis analysis = analyze(model, trying());
  for (const TimeCause &cause : analysis.causes) {
    EXPECT_EQ(cause.title.find("32 bits"), std::string::npos) << cause.title;
    if (cause.kind == CauseKind::Memory) {
      EXPECT_NE(cause.title.find("s of 16 bits: "), std::string::npos) << cause.title;
    }
  }
}

TEST(PlantedCausesTest, ArithmeticInFloat32) {
  const EnginePeaks &peaks = machineRates().peaks;
  if (peaks.bfloat16 < 1.5 * peaks.float32)
    GTEST_SKIP() << "this CPU multiplies bfloat16 no faster";
  TimeAnalysis analysis = analyze(product(randomFloats({512, 512}), 512), trying());
  TimeCause cause = causeOf(analysis, CauseKind::Compute);
  EXPECT_EQ(cause.advice, "--precision bf16");
  EXPECT_GT(cause.savedMs, 0.1 * analysis.run.steady.p50);
  EXPECT_NE(cause.evidence.at(0).find("of their largest"), std::string::npos);
}

TEST(PlantedCausesTest, FewerOptimisations) {
  Settings settings = trying();
  settings.compile.optLevel = 0;
  // Each op alone waits for memory.
  ModelBuilder model;
  model.input("x", {4 * kSide, kSide}).node("Neg", {"x"}, {"a"}).node("Abs", {"a"}, {"b"});
  model.node("Relu", {"b"}, {"c"}).node("Add", {"c", "x"}, {"d"}).node("Neg", {"d"}, {"y"});
  TimeAnalysis analysis = analyze(model.output("y"), settings);
  EXPECT_EQ(firstCause(analysis), "level");
  TimeCause cause = causeOf(analysis, CauseKind::Level);
  EXPECT_EQ(cause.title, "compiled with -O0");
  EXPECT_EQ(cause.advice, "-O3");
}

TEST(PlantedCausesTest, CodeForAnotherCpu) {
  Settings settings = trying();
  settings.compile.targetCpu = "baseline";
  TimeAnalysis analysis = analyze(product(randomFloats({384, 384}), 384), settings);
  TimeCause cause = causeOf(analysis, CauseKind::TargetCpu);
  EXPECT_EQ(cause.title, "compiled for the CPU 'baseline', not for this one");
  EXPECT_EQ(firstCause(analysis), "target-cpu");
}

TEST(PlantedCausesTest, TooFewThreads) {
  if (describeMachine().usableCpus < 2)
    GTEST_SKIP() << "one CPU";
  TimeAnalysis analysis = analyze(chain(), trying());
  ASSERT_GE(analysis.threadCurve.size(), 2u);
  EXPECT_EQ(analysis.threadCurve[0].at, 1);
  EXPECT_EQ(analysis.threadCurve.back().at, analysis.machine.usableCpus);
  // Others may have this machine's CPUs.
  for (const TimeCause &cause : analysis.causes)
    if (cause.kind == CauseKind::Threads) {
      EXPECT_TRUE(cause.title.starts_with("1 thread, where ")) << cause.title;
      EXPECT_TRUE(cause.advice.starts_with("--threads ")) << cause.advice;
      EXPECT_TRUE(cause.isMeasured);
    }
}

TEST(PlantedCausesTest, SubnormalWeights) {
  Tensor weight = Tensor::of<float>({64, 64}, std::vector<float>(64 * 64, 1e-40f));
  TimeCause cause = causeOf(analyze(product(weight, 4)), CauseKind::Subnormals);
  EXPECT_EQ(cause.evidence.at(0), "y_node: 4096 of 4096 elements are below 1.2e-38");
}

TEST(PlantedCausesTest, FiltersOfZeros) {
  Tensor weight = randomFloats({64, 64, 3, 3});
  std::fill_n(weight.mutableData<float>(), weight.numElements() / 2, 0.0f);
  ModelBuilder model;
  model.initializer("w", weight);
  model.input("x", {1, 64, 56, 56}).node("Conv", {"x", "w"}, {"y"});
  TimeAnalysis analysis = analyze(model.attr("pads", {1, 1, 1, 1}).output("y"));
  TimeCause cause = causeOf(analysis, CauseKind::Zeros);
  EXPECT_TRUE(cause.evidence.at(0).starts_with("y_node: 32 of 64, ")) << cause.evidence[0];
  EXPECT_EQ(firstCause(analysis), "zeros") << timeReport(analysis);
}

TEST(PlantedCausesTest, WeightsThatAreThereTwice) {
  Tensor weight = randomFloats({64, 64});
  ModelBuilder model;
  model.initializer("v", weight);
  model.initializer("w", weight);
  model.input("x", {4, 64}).node("MatMul", {"x", "v"}, {"t"}).node("MatMul", {"t", "w"}, {"y"});
  TimeCause cause = causeOf(analyze(model.output("y")), CauseKind::Duplicates);
  EXPECT_TRUE(cause.isOnce);
  EXPECT_EQ(cause.evidence.at(0), "y_node has the elements of t_node: 0.0164 MB");
}

TEST(PlantedCausesTest, WeightsAmongTheInputs) {
  ModelBuilder model;
  model.input("x", {1, 64, 28, 28}).input("w", {64, 64, 3, 3});
  TimeCause cause =
      causeOf(analyze(model.node("Conv", {"x", "w"}, {"y"}).output("y")), CauseKind::InputWeights);
  EXPECT_TRUE(cause.evidence.at(0).starts_with("input 'w' is the second factor of y_node"));
}

TEST(PlantedCausesTest, FusionThatTheModelDoesNotAllow) {
  ModelBuilder model;
  model.input("x", {kSide, kSide}).node("Exp", {"x"}, {"e"}).node("Neg", {"e"}, {"y"});
  TimeAnalysis analysis = analyze(model.output("e").output("y"));
  TimeCause cause = causeOf(analysis, CauseKind::Refusals);
  EXPECT_EQ(firstCause(analysis), "refusals");
  EXPECT_TRUE(cause.evidence.at(0).starts_with("fusion of e_node and y_node: "))
      << cause.evidence[0];
}

TEST(PlantedCausesTest, CallsOfATinyModel) {
  ModelBuilder model;
  model.input("x", {4}).node("Neg", {"x"}, {"y"}).output("y");
  EXPECT_EQ(firstCause(analyze(model)), "overhead");
}

TEST(PlantedCausesTest, SizesThatAreNew) {
  ModelBuilder model;
  model.initializer("w", randomFloats({16, 16}));
  model.input("x", {-1, 16}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  TimeCause cause = causeOf(analyze(model), CauseKind::NewSizes);
  EXPECT_TRUE(cause.isOnce);
  EXPECT_GT(cause.savedMs, 0);
}

TEST(PlantedCausesTest, OneSampleAtATime) {
  ModelBuilder model;
  model.initializer("w", randomFloats({784, 512}));
  model.input("x", {-1, 784}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  TimeAnalysis analysis = analyze(model, trying());
  ASSERT_GE(analysis.batchCurve.size(), 4u);
  TimeCause cause = causeOf(analysis, CauseKind::Batch);
  EXPECT_EQ(cause.title, "1 sample in a run");
  EXPECT_NE(cause.advice.find("--dim N="), std::string::npos) << cause.advice;
}

/// One that this machine need not have.
TEST(PlantedCausesTest, TheCgroupsQuota) {
  Settings settings;
  settings.options.machine = describeMachine();
  if (settings.options.machine->usableCpus < 2)
    GTEST_SKIP() << "one CPU";
  settings.options.machine->affinityCpus = 2;
  settings.options.machine->quotaCpus = 1;
  settings.compile.threads = settings.session.threads = 2;
  // As fast as this machine can, so that nothing else is slow.
  settings.options.rates->peaks.float32 = settings.options.rates->readGBps = 0.01;
  TimeAnalysis analysis = analyze(chain(), settings);
  TimeCause cause = causeOf(analysis, CauseKind::Machine);
  EXPECT_EQ(firstCause(analysis), "machine");
  EXPECT_EQ(cause.evidence.at(0), "cpu-quota: the cgroups grant 1 of 2 CPUs");
  EXPECT_TRUE(cause.advice.starts_with("--threads 1")) << cause.advice;
  EXPECT_NEAR(cause.savedMs, 0.5 * analysis.run.steady.mean, 1e-9);
}
