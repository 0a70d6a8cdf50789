//===- MutatedModelTest.cpp - damaged models, as `quern` meets them -------===//
//
// ONNX's node models with some bytes changed: whatever such a file says, it must
// load, compile and run, or be refused with a reason. Meant for sanitizers;
// --gtest_random_seed=N makes other damage.
//
//===----------------------------------------------------------------------===//
#include "quern/Model.h"
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
namespace fs = std::filesystem;

namespace {
constexpr const char *kNodeTests = "/usr/share/libonnx-testdata/data/node";
constexpr size_t kModels = 30, kMutations = 40;
constexpr uintmax_t kSmallFile = 2048;

using Bytes = std::vector<char>;

Bytes readAll(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
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

/// One to three bytes changed, a piece cut out or repeated, or the end cut off.
Bytes mutate(Bytes bytes, std::mt19937 &random) {
  const unsigned char telling[] = {0, 1, 2, 8, 0x7f, 0x80, 0xff};
  size_t at = random() % bytes.size(), length = std::min<size_t>(random() % 8, bytes.size() - at);
  auto begin = bytes.begin() + static_cast<ptrdiff_t>(at);
  auto end = begin + static_cast<ptrdiff_t>(length);
  switch (random() % 8) {
  case 0:
    bytes.erase(begin, end);
    return bytes;
  case 1: {
    Bytes piece(begin, end);
    bytes.insert(begin, piece.begin(), piece.end());
    return bytes;
  }
  case 2:
    bytes.resize(at);
    return bytes;
  default:
    for (size_t i = random() % 3 + 1; i > 0; --i)
      bytes[random() % bytes.size()] =
          static_cast<char>(random() % 2 ? telling[random() % std::size(telling)] : random() % 256);
    return bytes;
  }
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
  void expectHandled(const Bytes &bytes) {
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
  for (const fs::path &model : models) {
    Bytes original = readAll(model);
    ASSERT_FALSE(original.empty()) << model;
    std::mt19937 random(seed);
    for (size_t i = 0; i < kMutations; ++i) {
      SCOPED_TRACE(model.string() + ", mutation " + std::to_string(i));
      expectHandled(mutate(original, random));
    }
  }
}
