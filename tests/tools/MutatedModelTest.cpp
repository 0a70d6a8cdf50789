//===- MutatedModelTest.cpp - damaged models, as `quern` meets them -------===//
//
// ONNX's node models with some bytes or fields changed: whatever such a file says, it
// must load, compile and run, or be refused with a reason. Meant for sanitizers;
// --gtest_random_seed=N makes other damage, and mutated-models much of it.
//
//===----------------------------------------------------------------------===//
#include "quern/Model.h"
#include "tests/tools/ModelMutation.h"
#include "tools/quern/InputTensors.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

using namespace quern;
using namespace quern::cli;
using namespace quern::test;
namespace fs = std::filesystem;

namespace {
constexpr const char *kNodeTests = "/usr/share/libonnx-testdata/data/node";
constexpr size_t kModels = 30, kMutations = 40;
constexpr uintmax_t kSmallFile = 2048;

std::string readAll(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// A spread of the small models.
std::vector<fs::path> chooseModels(size_t first) {
  std::vector<fs::path> all, chosen;
  for (const auto &entry : fs::directory_iterator(kNodeTests)) {
    fs::path model = entry.path() / "model.onnx";
    if (fs::exists(model) && fs::file_size(model) <= kSmallFile)
      all.push_back(model);
  }
  std::sort(all.begin(), all.end());
  for (size_t i = 0; i < kModels && !all.empty(); ++i)
    chosen.push_back(all[(first + i * all.size() / kModels) % all.size()]);
  return chosen;
}

/// Every refusal has a reason, and none is Quern's own fault.
void expectReason(const Status &status) {
  if (status.isOk())
    return;
  EXPECT_NE(status.code(), StatusCode::Internal) << status.message();
  EXPECT_FALSE(status.message().empty());
}

Status loadAndRun(const fs::path &path) {
  QUERN_ASSIGN(Model model, Model::load(path, {}));
  Limits limits;
  limits.maxTensorBytes = 1 << 20;
  const OutputStyle quiet = {.verbosity = -1, .color = "never", .jsonPath = {}};
  QUERN_ASSIGN(std::vector<AnyValue> inputs,
               makeInputs(model.inputs(), {}, MissingInputs::Random, quiet, limits));
  for (const PortSignature &output : model.outputs())
    if (output.shape.numElements().value_or(0) > limits.maxTensorBytes)
      return resourceLimit("too large for a test");
  for (Backend backend : {Backend::Interpreter, Backend::Native}) {
    auto compiled = model.compile({.backend = backend, .threads = 1});
    expectReason(compiled.status());
    if (!compiled)
      continue;
    QUERN_ASSIGN(std::unique_ptr<Runner> runner, (*compiled)->createRunner({.threads = 1}));
    expectReason(runner->run(inputs).status());
  }
  return Status::ok();
}

class MutatedModelTest : public testing::Test {
protected:
  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }

  /// Loads and runs a file of these bytes.
  void expectHandled(const std::string &bytes) {
    fs::path path = folder / "model.onnx";
    std::ofstream(path, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    expectReason(loadAndRun(path));
  }

  fs::path folder = fs::path(testing::TempDir()) / ("quern_mutated_" + std::to_string(getpid()));
};
} // namespace

TEST_F(MutatedModelTest, RunOrAreRefused) {
  auto seed = static_cast<unsigned>(testing::UnitTest::GetInstance()->random_seed());
  std::vector<fs::path> models = chooseModels(seed);
  ASSERT_EQ(models.size(), kModels);
  ModelMutation mutation;
  for (const fs::path &model : models)
    mutation.add(readAll(model));
  for (const fs::path &model : models) {
    std::string original = readAll(model);
    ASSERT_FALSE(original.empty()) << model;
    std::mt19937 random(seed);
    for (size_t i = 0; i < kMutations; ++i) {
      SCOPED_TRACE(model.string() + ", mutation " + std::to_string(i));
      expectHandled(i % 2 == 0 ? mutateBytes(original, random) : mutation.mutate(original, random));
    }
  }
}
