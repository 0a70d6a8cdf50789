//===- ImportModelsTest.cpp - real models and ONNX's node tests -----------===//
#include "tests/frontend/ModelBuilder.h"

#include "frontend/onnx/OnnxReader.h"
#include "frontend/onnx/TensorData.h"

#include <cstdlib>
#include <filesystem>

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

TEST(ImportModels, EveryNodeTestImports) {
  if (!fs::exists(kNodeTests))
    GTEST_SKIP() << kNodeTests << " is not there";
  int models = 0;
  for (const auto &entry : fs::directory_iterator(kNodeTests)) {
    mlir::MLIRContext context;
    auto module = importOnnxFile(entry.path() / "model.onnx", context);
    EXPECT_TRUE(module) << entry.path() << ": " << module.status().message();
    ++models;
  }
  EXPECT_GT(models, 900);
}

TEST(ImportModels, NodeTestTensorsAreReadable) {
  if (!fs::exists(kNodeTests))
    GTEST_SKIP() << kNodeTests << " is not there";
  auto tensor = readTensorFile(kNodeTests / "test_add" / "test_data_set_0" / "input_0.pb");
  ASSERT_TRUE(tensor) << tensor.status().message();
  EXPECT_EQ(tensor->name, "x");
  EXPECT_EQ(tensor->tensor.describe(), "float32 3x4x5");
}
