//===- PrecisionChoiceTest.cpp - precision within a bound on the error ----===//
//
// On CPUs without instructions for bfloat16 nothing is lowered, which these tests allow.
//
//===----------------------------------------------------------------------===//
#include "Models.h"
#include "quern/Artifact.h"
#include "quern/Compare.h"
#include "quern/Reports.h"
#include "quern/SampleInputs.h"

#include <filesystem>

using namespace quern;
using namespace quern::test;

namespace {
CompileOptions autoWithin(double maxError) {
  return {.precision = Precision::Auto, .maxError = maxError, .threads = 1};
}

/// Something like digits: noise has no largest entry that would count.
std::vector<AnyValue> digitsInputs() {
  std::vector<AnyValue> values;
  for (Tensor &tensor : images(3))
    values.emplace_back(std::move(tensor));
  return values;
}

std::vector<AnyValue> runWith(const Model &model, const CompileOptions &options,
                              std::span<const AnyValue> inputs) {
  auto compiled = expectValue(model.compile(options));
  return expectValue(expectValue(compiled->createRunner({.threads = 1}))->run(inputs));
}

double shareOfLargest(const Model &model, const CompileOptions &options,
                      std::span<const AnyValue> inputs) {
  std::vector<AnyValue> wanted = runWith(model, {.threads = 1}, inputs);
  std::vector<AnyValue> found = runWith(model, options, inputs);
  return compareValues(wanted[0], found[0], Tolerance()).maxOfLargest;
}

void expectError(const Status &status, StatusCode code, const std::string &text) {
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_NE(status.message().find(text), std::string::npos) << status.message();
}
} // namespace

TEST(PrecisionChoiceTest, AWideBoundLowersAll) {
  Model model = expectValue(Model::load(kDigits));
  CompileOptions options = autoWithin(0.5);
  options.samples = digitsInputs();
  auto choice = expectValue(model.choosePrecision(options));
  EXPECT_EQ(choice->numLowered(), choice->layers.size());
  EXPECT_EQ(choice->refusal, "");
  EXPECT_FALSE(choice->isOnRandomInputs);
  EXPECT_EQ(choice->error, choice->errorOfAll);
  EXPECT_LT(choice->error, 0.5);
  // The same layers as those of bf16.
  CompileOptions lowered{.precision = Precision::BFloat16, .threads = 1};
  Explanation explained = expectValue(model.explainWithoutSizes(lowered));
  EXPECT_EQ(explained.products["bf16"], choice->layers.size());
  options.choice = choice;
  EXPECT_NEAR(shareOfLargest(model, options, options.samples), choice->error, 1e-12);
}

TEST(PrecisionChoiceTest, ANarrowBoundBinds) {
  Model model = expectValue(Model::load(kDigits));
  CompileOptions options = autoWithin(1e-4);
  options.samples = digitsInputs();
  auto choice = expectValue(model.choosePrecision(options));
  EXPECT_LE(choice->error, 1e-4);
  EXPECT_EQ(*choice, *expectValue(model.choosePrecision(options))) << "chosen anew";
  if (choice->layers.empty())
    GTEST_SKIP() << "no instructions for bfloat16 here";
  EXPECT_GT(choice->errorOfAll, 1e-4);
  EXPECT_LT(choice->numLowered(), choice->layers.size());
  EXPECT_NE(choice->refusal.find("of its largest magnitude"), std::string::npos) << choice->refusal;
  for (const PrecisionLayer &layer : choice->layers) {
    EXPECT_GT(layer.error, 0) << layer.node;
    EXPECT_LT(layer.error, 0.1) << layer.node;
    EXPECT_GT(layer.nanosecondsSaved, 0) << layer.node;
  }
  options.choice = choice;
  EXPECT_NEAR(shareOfLargest(model, options, options.samples), choice->error, 1e-12);
  Explanation explained = expectValue(model.explainWithoutSizes(options));
  EXPECT_EQ(explained.choice, *choice);
  EXPECT_EQ(explained.products["bf16"], choice->numLowered());
  size_t said = 0;
  for (const Refusal &refusal : explained.refusals)
    said += refusal.kind == Refusal::Kind::Precision &&
            refusal.reason.text.find("it alone would change an output by") == 0;
  EXPECT_EQ(said, choice->layers.size() - choice->numLowered());
}

// Between the two: some layers, by bisection, each prefix measured as a whole.
TEST(PrecisionChoiceTest, TakesWhatTheBoundAllows) {
  Model model = expectValue(Model::load(kDigits));
  CompileOptions options = autoWithin(0.5);
  options.samples = digitsInputs();
  double all = expectValue(model.choosePrecision(options))->errorOfAll;
  for (double share : {0.9, 0.5, 0.2}) {
    options.maxError = all > 0 ? share * all : share;
    auto choice = expectValue(model.choosePrecision(options));
    EXPECT_LE(choice->error, *options.maxError);
    options.choice = choice;
    EXPECT_LE(shareOfLargest(model, options, options.samples), *options.maxError);
    options.choice = nullptr;
  }
}

TEST(PrecisionChoiceTest, CompilingChoosesOnRandomInputs) {
  Model model = expectValue(Model::load(kDigits));
  auto compiled = expectValue(model.compile(autoWithin(0.05)));
  EXPECT_EQ(compiled->precision(), Precision::Auto);
  ASSERT_TRUE(compiled->precisionChoice());
  EXPECT_TRUE(compiled->precisionChoice()->isOnRandomInputs);
  EXPECT_EQ(compiled->precisionChoice()->maxError, 0.05);
  EXPECT_EQ(expectValue(model.compile({.threads = 1}))->precisionChoice(), nullptr);
}

TEST(PrecisionChoiceTest, ComparedByItsBound) {
  Model model = expectValue(Model::load(kDigits));
  Comparison found = expectValue(
      compare(model, digitsInputs(), autoWithin(0.002), {.threads = 1}, {.seconds = 0}));
  EXPECT_EQ(found.tolerance.ofLargest, 0.002);
  EXPECT_TRUE(found.passes()) << found.verdict().message();
}

TEST(PrecisionChoiceTest, ArtifactsKeepIt) {
  Model model = expectValue(Model::load(kDigits, {.dims = {{"N", 3}}}));
  std::string path = std::filesystem::temp_directory_path() / "quern-precision-choice.so";
  CompileOptions options = autoWithin(1e-3);
  options.samples = digitsInputs();
  options.choice = expectValue(model.choosePrecision(options));
  Status status = model.compileToArtifact(options, {.outputPath = path});
  ASSERT_TRUE(status.isOk()) << status.message();
  ArtifactFacts facts = expectValue(inspectArtifact(path));
  EXPECT_EQ(facts.precision, Precision::Auto);
  ASSERT_TRUE(facts.choice);
  EXPECT_EQ(choiceReport(*facts.choice), choiceReport(*options.choice));
  auto library = expectValue(loadArtifact(path));
  ASSERT_TRUE(library->precisionChoice());
  EXPECT_EQ(library->precisionChoice()->numLowered(), options.choice->numLowered());
  auto outputs =
      expectValue(expectValue(library->createRunner({.threads = 1}))->run(options.samples));
  std::vector<AnyValue> wanted = runWith(model, options, options.samples);
  EXPECT_EQ(compareValues(wanted[0], outputs[0], Tolerance{0, 0}).mismatches, 0) << "other bits";
  std::filesystem::remove(path);
}

TEST(PrecisionChoiceTest, WhatMakesNoSense) {
  Model model = expectValue(Model::load(kDigits));
  for (double bound : {0.0, -1.0, 2.0, std::nan("")})
    expectError(model.compile(autoWithin(bound)).status(), StatusCode::Usage,
                "wanted a share of an output's largest magnitude, above 0 and at most 1");
  CompileOptions options{.precision = Precision::BFloat16, .maxError = 0.1};
  expectError(model.compile(options).status(), StatusCode::Usage,
              "a bound on the error is for precision auto, which lowers what keeps it; found "
              "precision bf16");
  options.maxError.reset();
  expectError(model.choosePrecision(options).status(), StatusCode::Usage,
              "only precision auto chooses; found precision bf16");
  options = autoWithin(0.1);
  options.samples = {AnyValue(), AnyValue()};
  expectError(model.compile(options).status(), StatusCode::InvalidInput, "2");
  options = autoWithin(0.1);
  options.backend = Backend::Interpreter;
  expectError(model.compile(options).status(), StatusCode::Usage,
              "precision auto is for native code");
}
