//===- CompareTest.cpp - comparing and measuring as calls -----------------===//
#include "quern/Compare.h"
#include "Models.h"
#include "quern/Benchmark.h"
#include "quern/SampleInputs.h"

#include <algorithm>

using namespace quern;
using namespace quern::test;

TEST(CompareTest, InterpretedAgainstCompiled) {
  Model model = expectValue(Model::load(kDigits));
  std::vector<AnyValue> inputs = expectValue(sampleInputs(model.inputs(), 7));
  Comparison found =
      expectValue(compare(model, inputs, {.threads = 1}, {.threads = 1}, {.seconds = 0}));
  ASSERT_EQ(found.outputs.size(), model.outputs().size());
  EXPECT_EQ(found.outputs[0].name, model.outputs()[0].name);
  EXPECT_TRUE(found.passes()) << found.verdict().message();
  EXPECT_GT(found.reference.p50, 0);
  EXPECT_GT(found.compiled.p50, 0);
  EXPECT_GT(found.compileMs, 0);
  EXPECT_DOUBLE_EQ(found.speedup(), found.reference.p50 / found.compiled.p50);
  EXPECT_EQ(found.threads, 1);
}

TEST(CompareTest, ToleranceOfThePrecision) {
  Model model = expectValue(Model::load(kDigits));
  std::vector<AnyValue> inputs = expectValue(sampleInputs(model.inputs(), 7));
  CompileOptions lowered{.precision = Precision::BFloat16, .threads = 1};
  Comparison found = expectValue(compare(model, inputs, lowered, {.threads = 1}, {.seconds = 0}));
  // Noise is no digit, and bfloat16 may well be less sure of what it looks like.
  EXPECT_LT(found.outputs[0].difference.maxOfLargest, 0.05);
  EXPECT_EQ(found.tolerance.ofLargest, 0.04);
  found = expectValue(compare(model, inputs, lowered, {.threads = 1},
                              {.tolerance = Tolerance{.relative = 1}, .seconds = 0}));
  EXPECT_EQ(found.tolerance.ofLargest, 0);
  EXPECT_EQ(found.tolerance.relative, 1);
}

TEST(CompareTest, OneOptimisationAfterTheOther) {
  Model model = expectValue(Model::load(kDigits));
  std::vector<AnyValue> inputs = expectValue(sampleInputs(model.inputs(), 7));
  CompileOptions compile{
      .optLevel = 2, .precision = Precision::BFloat16, .weights = WeightType::Int8, .threads = 1};
  StagedComparison found =
      expectValue(compareStages(model, inputs, compile, {.threads = 1}, {.seconds = 0}));
  std::vector<std::string> names;
  for (const Stage &stage : found.stages)
    names.push_back(stage.name.substr(0, stage.name.find(':')));
  EXPECT_EQ(names, (std::vector<std::string>{"interpreter", "-O0", "-O1", "-O2", "precision bf16",
                                             "weights int8"}));
  EXPECT_TRUE(found.isComplete);
  EXPECT_TRUE(found.stages[0].outputs.empty());
  EXPECT_EQ(found.tolerance.ofLargest, 0.04);
  for (size_t i = 1; i < found.stages.size(); ++i) {
    const Stage &stage = found.stages[i];
    EXPECT_GT(stage.times.p50, 0);
    EXPECT_GT(stage.timesAsFast, 0);
    ASSERT_EQ(stage.outputs.size(), 1u);
    EXPECT_LT(stage.outputs[0].difference.maxOfLargest, i < 4 ? 1e-5 : 0.2) << stage.name;
  }
  // No stage is allowed what is wrong.
  found.stages[2].outputs[0].difference.mismatches = 3;
  Status verdict = found.verdict();
  EXPECT_EQ(verdict.code(), StatusCode::AccuracyMismatch);
  EXPECT_TRUE(verdict.message().starts_with("-O1: folding")) << verdict.message();
}

TEST(CompareTest, TunedAndChosenAreSettledOnce) {
  Model model = expectValue(Model::load(kDigits));
  std::vector<AnyValue> inputs = expectValue(sampleInputs(model.inputs(), 7));
  CompileOptions compile{
      .optLevel = 0, .precision = Precision::Auto, .tuneSeconds = 0, .threads = 1};
  // The interpreter refuses both.
  Comparison compared =
      expectValue(compare(model, inputs, compile, {.threads = 1}, {.seconds = 0}));
  EXPECT_EQ(compared.tolerance.ofLargest, PrecisionChoice::kMaxError);
  StagedComparison staged =
      expectValue(compareStages(model, inputs, compile, {.threads = 1}, {.seconds = 0}));
  std::vector<std::string> names;
  for (const Stage &stage : staged.stages)
    names.push_back(stage.name.substr(0, stage.name.find(':')));
  EXPECT_EQ(names,
            (std::vector<std::string>{"interpreter", "-O0", "precision auto", "tuned ways"}));
}

TEST(CompareTest, NamesWhatDiffers) {
  Model model = expectValue(Model::load(kDigits));
  std::string bytes = digitsWith("Softmax", "Hardmax");
  Model other = expectValue(Model::load(asModel(bytes)));
  auto a = makeRunner(model, Backend::Interpreter), b = makeRunner(other, Backend::Native);
  std::vector<AnyValue> inputs = expectValue(sampleInputs(model.inputs(), 7));
  Comparison found = expectValue(compare(*a, *b, inputs, {.seconds = 0}));
  EXPECT_FALSE(found.passes());
  EXPECT_GT(found.outputs[0].difference.mismatches, 0);
  EXPECT_EQ(found.verdict().code(), StatusCode::AccuracyMismatch);
  EXPECT_NE(found.verdict().message().find("output '" + model.outputs()[0].name + "'"),
            std::string::npos);
}

TEST(CompareTest, WrongInputsAreErrors) {
  Model model = expectValue(Model::load(kDigits));
  EXPECT_EQ(compare(model, {}, {.threads = 1}).status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(benchmark(model, {}, {.threads = 1}).status().code(), StatusCode::InvalidInput);
}

TEST(BenchmarkTest, CountsRunsAndKnowsItsSteps) {
  Model model = expectValue(Model::load(kDigits));
  std::vector<AnyValue> inputs = expectValue(sampleInputs(model.inputs(), 7));
  Benchmark found = expectValue(benchmark(
      model, inputs, {.threads = 1}, {.threads = 1, .profile = true}, {.runs = 5, .warmup = 1}));
  EXPECT_EQ(found.runs, 5);
  EXPECT_EQ(found.threads, 1);
  EXPECT_GT(found.firstRunMs, 0);
  EXPECT_GT(found.compileMs, 0);
  EXPECT_GT(found.peakRssMb, 1);
  EXPECT_EQ(found.peaks.float32, 0);
  EXPECT_LE(found.steady.min, found.steady.p50);
  ASSERT_FALSE(found.profile.empty());
  // Neither the first run nor the one to warm up.
  EXPECT_EQ(found.profile[0].runs, 5);
  auto warnings = found.warnings();
  ASSERT_FALSE(warnings.empty());
  EXPECT_TRUE(warnings[0].starts_with("few-runs: only 5 runs"));
}

TEST(SampleInputsTest, AreTheSameForTheSameSeed) {
  Model model = expectValue(Model::load(kDigits));
  auto a = expectValue(sampleInputs(model.inputs(), 1)),
       b = expectValue(sampleInputs(model.inputs(), 1));
  auto c = expectValue(sampleInputs(model.inputs(), 2));
  ASSERT_EQ(a.size(), 1u);
  EXPECT_EQ(a[0].asTensor()->dims(), (Tensor::Dims{1, 1, 8, 8}));
  EXPECT_TRUE(sameBits(*a[0].asTensor(), *b[0].asTensor()));
  EXPECT_FALSE(sameBits(*a[0].asTensor(), *c[0].asTensor()));
}

TEST(DeadlineTest, HoldsFromRunToRun) {
  Model model = expectValue(Model::load(kDigits));
  for (Backend backend : {Backend::Native, Backend::Interpreter}) {
    auto runner = makeRunner(model, backend);
    EXPECT_TRUE(runner->run(images(1)));
    runner->setDeadline(Deadline::after(std::chrono::nanoseconds(1)));
    auto late = runner->run(images(1));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.status().code(), StatusCode::ResourceLimit);
    runner->setDeadline(Deadline::after(std::chrono::hours(1)));
    EXPECT_TRUE(runner->run(images(1)));
    runner->setDeadline({});
    EXPECT_TRUE(runner->run(images(1)));
  }
}
