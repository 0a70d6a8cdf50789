//===- ModelTest.cpp - load, compile, run ---------------------------------===//
#include "Models.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <unistd.h>

using namespace quern;
using namespace quern::test;

TEST(ModelTest, SaysWhatGoesInAndOut) {
  Model model = expectValue(Model::load(kDigits));
  ASSERT_EQ(model.inputs().size(), 1u);
  EXPECT_EQ(model.inputs()[0].name, "image");
  EXPECT_EQ(model.inputs()[0].describe(), "float32 Nx1x8x8");
  EXPECT_EQ(model.inputs()[0].shape[0].symbolName(), "N");
  ASSERT_EQ(model.outputs().size(), 1u);
  EXPECT_EQ(model.outputs()[0].name, "probabilities");
  EXPECT_EQ(model.outputs()[0].describe(), "float32 Nx10");
  auto compiled = expectValue(model.compile());
  EXPECT_EQ(compiled->inputs()[0].describe(), "float32 Nx1x8x8");
  EXPECT_EQ(expectValue(compiled->createRunner())->outputs()[0].describe(), "float32 Nx10");
}

TEST(ModelTest, SizesAreGivenByDimensionOrShape) {
  Model byDim = expectValue(Model::load(kDigits, {.dims = {{"N", 3}}}));
  EXPECT_EQ(byDim.inputs()[0].describe(), "float32 3x1x8x8");
  Model byShape = expectValue(Model::load(kDigits, {.shapes = {{"image", {5, 1, 8, 8}}}}));
  EXPECT_EQ(byShape.inputs()[0].describe(), "float32 5x1x8x8");
}

TEST(ModelTest, NativeCodeAndTheInterpreterAgree) {
  Model model = expectValue(Model::load(kDigits));
  auto native = makeRunner(model, Backend::Native);
  auto interpreter = makeRunner(model, Backend::Interpreter);
  for (int64_t count : {1, 7, 32}) {
    std::vector<Tensor> found = expectValue(native->run(images(count)));
    std::vector<Tensor> wanted = expectValue(interpreter->run(images(count)));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_TRUE(isClose(found[0], wanted[0])) << count;
    auto probabilities = found[0].elementsAs<float>();
    EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), double(count),
                1e-4);
  }
}

TEST(ModelTest, IsLoadedFromMemory) {
  std::string bytes = readFile(kDigits);
  Model copied = expectValue(Model::load(asModel(bytes)));
  // Weights lie in the copy: what they were copied from may go.
  std::fill(bytes.begin(), bytes.end(), '\0');
  auto owner = std::make_shared<const std::string>(readFile(kDigits));
  Model owned =
      expectValue(Model::load({.bytes = std::as_bytes(std::span(*owner)), .owner = owner}));
  std::weak_ptr<const std::string> kept = owner;
  owner.reset();
  EXPECT_FALSE(kept.expired());
  Tensor wanted = expectValue(
      makeRunner(expectValue(Model::load(kDigits)), Backend::Native)->run(images(2)))[0];
  for (const Model *model : {&copied, &owned})
    EXPECT_TRUE(
        sameBits(expectValue(makeRunner(*model, Backend::Native)->run(images(2)))[0], wanted));
}

TEST(ModelTest, WhatIsMadeFromAModelOutlivesIt) {
  std::vector<std::unique_ptr<Runner>> runners;
  {
    Model model = expectValue(Model::load(kDigits));
    for (Backend backend : {Backend::Native, Backend::Interpreter})
      runners.push_back(makeRunner(model, backend));
  }
  for (auto &runner : runners)
    for (int64_t count = 1; count <= 3; ++count)
      EXPECT_EQ(expectValue(runner->run(images(count)))[0].dims(), (Tensor::Dims{count, 10}));
}

TEST(ModelTest, RunsOnValuesToo) {
  Model model = expectValue(Model::load(kDigits));
  for (Backend backend : {Backend::Native, Backend::Interpreter}) {
    auto runner = makeRunner(model, backend);
    std::vector<AnyValue> inputs = {images(2)[0]};
    AnyValue found = expectValue(runner->run(inputs))[0];
    ASSERT_TRUE(found.asTensor());
    EXPECT_TRUE(sameBits(*found.asTensor(), expectValue(runner->run(images(2)))[0]));
    std::vector<float> storage(20);
    std::vector<AnyValue> outputs = {Tensor::borrow(DType::Float32, {2, 10}, storage.data())};
    ASSERT_TRUE(runner->run(inputs, outputs).isOk());
    EXPECT_EQ(outputs[0].asTensor()->rawData(), storage.data());
    inputs[0] = AnyValue::sequence(ValueType::tensor(DType::Float32), {}).take();
    EXPECT_EQ(runner->run(inputs).status().message(),
              "input 'image': wanted float32 Nx1x8x8, found sequence of 0 values");
  }
}

TEST(ModelTest, RunsIntoTensorsOfTheCaller) {
  Model model = expectValue(Model::load(kDigits));
  for (Backend backend : {Backend::Native, Backend::Interpreter}) {
    auto runner = makeRunner(model, backend);
    Tensor wanted = expectValue(runner->run(images(2)))[0];
    std::vector<float> storage(20);
    std::vector<Tensor> outputs = {Tensor::borrow(DType::Float32, {2, 10}, storage.data())};
    ASSERT_TRUE(runner->run(images(2), outputs).isOk());
    EXPECT_EQ(outputs[0].rawData(), storage.data());
    EXPECT_TRUE(sameBits(outputs[0], wanted));
    Status status = runner->run(images(1), outputs);
    EXPECT_EQ(status.code(), StatusCode::InvalidInput);
    EXPECT_EQ(status.message(), "output 'probabilities': wanted float32 1x10, found float32 2x10");
    status = runner->run(images(1), std::span<Tensor>());
    EXPECT_EQ(status.message(), "wanted 1 outputs, found 0");
  }
}

TEST(ModelTest, ARunIsCancelled) {
  Model model = expectValue(Model::load(kDigits));
  for (Backend backend : {Backend::Native, Backend::Interpreter}) {
    auto runner = makeRunner(model, backend);
    runner->cancel();
    EXPECT_EQ(runner->run(images(1)).status().code(), StatusCode::Cancelled);
    EXPECT_TRUE(runner->run(images(1)));
  }
}

TEST(ModelTest, ProfilesCountTheRunsOfEveryStep) {
  Model model = expectValue(Model::load(kDigits));
  for (Backend backend : {Backend::Native, Backend::Interpreter}) {
    auto runner = makeRunner(model, backend, {.threads = 1, .profile = true});
    for (int i = 0; i < 3; ++i)
      expectValue(runner->run(images(1)));
    std::vector<ProfileRow> rows = runner->profile();
    ASSERT_FALSE(rows.empty());
    for (const ProfileRow &row : rows) {
      EXPECT_EQ(row.runs, 3);
      EXPECT_EQ(row.reference, backend == Backend::Interpreter);
    }
    runner->clearProfile();
    expectValue(runner->run(images(1)));
    EXPECT_EQ(runner->profile()[0].runs, 1);
  }
  auto silent = makeRunner(model, Backend::Native);
  expectValue(silent->run(images(1)));
  EXPECT_TRUE(silent->profile().empty());
}

TEST(ModelTest, ListsTheStepsForGivenSizesOrWithout) {
  Model model = expectValue(Model::load(kDigits));
  auto steps = expectValue(model.explainPlan({}, std::vector<Tensor::Dims>{{4, 1, 8, 8}}));
  auto ops = expectValue(model.explainWithoutSizes({}));
  for (const Explanation *all : {&steps, &ops}) {
    EXPECT_FALSE(all->steps.empty());
    for (const ExplainedStep &step : all->steps) {
      EXPECT_TRUE(step.isNative() || step.needsSizes()) << step.name << ": " << step.reason->text;
      EXPECT_FALSE(step.name.empty());
    }
  }
  EXPECT_EQ(model.explainPlan({}, std::vector<Tensor::Dims>{{4, 1, 8, 9}}).status().message(),
            "input 'image': wanted shape Nx1x8x8, found 4x1x8x9");
}

TEST(ModelTest, GivesTheGraphAfterAPhase) {
  Model model = expectValue(Model::load(kDigits));
  EXPECT_NE(expectValue(model.textOfPhase({}, "imported")).find("nn.conv"), std::string::npos);
  EXPECT_NE(expectValue(model.textOfPhase({}, "fused")).find("nn.group"), std::string::npos);
  EXPECT_EQ(model.textOfPhase({}, "boiled").status().message(),
            "there is no phase 'boiled'; the phases are imported, simplified, laid-out, fused, "
            "kernels, llvm, object");
}

TEST(ModelTest, WritesArtefactsAndPhases) {
  namespace fs = std::filesystem;
  fs::path folder = fs::path(testing::TempDir()) / ("quern_api_" + std::to_string(getpid()));
  fs::create_directories(folder);
  Model model = expectValue(Model::load(kDigits, {.dims = {{"N", 1}}}));
  ArtifactOptions artifact = {.outputPath = folder / "my-digits.o",
                              .headerPath = folder / "my-digits.h"};
  EXPECT_EQ(symbolPrefix(artifact.outputPath), "my_digits");
  Status status = model.compileToArtifact({.dumpPhasesTo = folder / "a" / "phases"}, artifact);
  EXPECT_TRUE(status.isOk()) << status.message();
  EXPECT_TRUE(readFile(artifact.outputPath)
                  .starts_with("\x7f"
                               "ELF"));
  EXPECT_NE(readFile(artifact.headerPath).find("my_digits_run"), std::string::npos);
  EXPECT_FALSE(fs::is_empty(folder / "a" / "phases"));
  fs::remove_all(folder);
}
