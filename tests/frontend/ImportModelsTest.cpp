//===- ImportModelsTest.cpp - real models and ONNX's node tests -----------===//
#include "tests/frontend/ModelBuilder.h"

#include "frontend/onnx/OnnxReader.h"
#include "frontend/onnx/TensorData.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
namespace fs = std::filesystem;

/// QUERN_SHARED names another place for the folder beside the repository.
static fs::path lightModels() {
  const char *shared = std::getenv("QUERN_SHARED");
  fs::path folder = shared ? fs::path(shared) : fs::path(QUERN_SOURCE_DIR) / "../shared";
  return folder / "models" / "light";
}

static const fs::path kNodeTests = "/usr/share/libonnx-testdata/data/node";

TEST(ImportModels, NineLightModels) {
  if (!fs::exists(lightModels()))
    GTEST_SKIP() << lightModels() << " is not there";
  int models = 0;
  for (const auto &entry : fs::directory_iterator(lightModels())) {
    if (entry.path().extension() != ".onnx")
      continue;
    mlir::MLIRContext context;
    auto module = importOnnxFile(entry.path(), context);
    ASSERT_TRUE(module) << module.status().message();
    int unranked = 0;
    (*module)->walk([&](mlir::Operation *op) {
      for (mlir::Type type : op->getResultTypes())
        unranked += mlir::isa<mlir::UnrankedTensorType>(type);
    });
    EXPECT_EQ(unranked, 0) << entry.path();
    ++models;
  }
  EXPECT_EQ(models, 9);
}

/// The ops that Quern claims, and those that the importer knows besides.
static std::set<std::string> claimedOps() {
  std::set<std::string> ops = {"CastLike", "Upsample"};
  std::ifstream file(fs::path(QUERN_SOURCE_DIR) / "scripts/conformance_ops.txt");
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line.front() != '#')
      ops.insert(line.substr(0, line.find(' ')));
  return ops;
}

/// Why a node test of claimed ops is refused all the same; empty when it must import.
static std::string expectedRefusal(const proto::GraphProto &graph, const std::string &name) {
  for (const auto *values : {&graph.input(), &graph.output()})
    for (const proto::ValueInfoProto &value : *values)
      if (!value.type().has_tensor_type())
        return "sequence";
  if (name.starts_with("test_training_dropout"))
    return "training";
  if (name.starts_with("test_batchnorm") && name.ends_with("training_mode"))
    return "training mode";
  return {};
}

TEST(ImportModels, NodeTestsOfClaimedOps) {
  if (!fs::exists(kNodeTests))
    GTEST_SKIP() << kNodeTests << " is not there";
  std::set<std::string> claims = claimedOps();
  ASSERT_GT(claims.size(), 100u);
  int imported = 0;
  for (const auto &entry : fs::directory_iterator(kNodeTests)) {
    auto model = readModelFile(entry.path() / "model.onnx", Limits());
    ASSERT_TRUE(model) << entry.path() << model.status().message();
    bool claimed = true;
    for (const proto::NodeProto &node : (*model)->graph().node())
      claimed &= node.domain().empty() && claims.count(node.op_type()) != 0;
    std::string refusal = expectedRefusal((*model)->graph(), entry.path().filename());
    mlir::MLIRContext context;
    auto module = importOnnxFile(entry.path() / "model.onnx", context);
    imported += module.isOk();
    if (claimed && refusal.empty())
      EXPECT_TRUE(module) << module.status().message();
    if (!module)
      EXPECT_EQ(module.status().code(), StatusCode::Unsupported) << module.status().message();
  }
  EXPECT_GT(imported, 400);
}

TEST(ImportModels, NodeTestTensorsAreReadable) {
  if (!fs::exists(kNodeTests))
    GTEST_SKIP() << kNodeTests << " is not there";
  auto tensor = readTensorFile(kNodeTests / "test_add" / "test_data_set_0" / "input_0.pb");
  ASSERT_TRUE(tensor) << tensor.status().message();
  EXPECT_EQ(tensor->name, "x");
  EXPECT_EQ(tensor->tensor.describe(), "float32 3x4x5");
}
