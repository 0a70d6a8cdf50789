//===- ImportModelsTest.cpp - real models and ONNX's node tests -----------===//
#include "tests/frontend/ModelBuilder.h"

#include "frontend/onnx/OnnxReader.h"
#include "frontend/onnx/TensorData.h"

#include <cstdlib>
#include <filesystem>
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

/// The ops this importer claims, as the project's goals list them.
static bool isClaimed(const std::string &op) {
  static const std::set<std::string> ops = {"Abs",
                                            "Acos",
                                            "Acosh",
                                            "Add",
                                            "And",
                                            "ArgMax",
                                            "ArgMin",
                                            "Asin",
                                            "Asinh",
                                            "Atan",
                                            "Atanh",
                                            "AveragePool",
                                            "BatchNormalization",
                                            "BitShift",
                                            "Cast",
                                            "CastLike",
                                            "Ceil",
                                            "Celu",
                                            "Clip",
                                            "Concat",
                                            "Constant",
                                            "ConstantOfShape",
                                            "Conv",
                                            "ConvTranspose",
                                            "Cos",
                                            "Cosh",
                                            "Div",
                                            "Dropout",
                                            "Elu",
                                            "Equal",
                                            "Erf",
                                            "Exp",
                                            "Expand",
                                            "Flatten",
                                            "Floor",
                                            "Gather",
                                            "Gemm",
                                            "GlobalAveragePool",
                                            "GlobalMaxPool",
                                            "Greater",
                                            "GreaterOrEqual",
                                            "HardSigmoid",
                                            "HardSwish",
                                            "Identity",
                                            "InstanceNormalization",
                                            "IsInf",
                                            "IsNaN",
                                            "LRN",
                                            "LeakyRelu",
                                            "Less",
                                            "LessOrEqual",
                                            "Log",
                                            "LogSoftmax",
                                            "MatMul",
                                            "Max",
                                            "MaxPool",
                                            "Mean",
                                            "Min",
                                            "Mod",
                                            "Mul",
                                            "Neg",
                                            "Not",
                                            "Or",
                                            "PRelu",
                                            "Pad",
                                            "Pow",
                                            "Range",
                                            "Reciprocal",
                                            "ReduceL1",
                                            "ReduceL2",
                                            "ReduceLogSum",
                                            "ReduceLogSumExp",
                                            "ReduceMax",
                                            "ReduceMean",
                                            "ReduceMin",
                                            "ReduceProd",
                                            "ReduceSum",
                                            "ReduceSumSquare",
                                            "Relu",
                                            "Reshape",
                                            "Resize",
                                            "Round",
                                            "Selu",
                                            "Shape",
                                            "Shrink",
                                            "Sigmoid",
                                            "Sign",
                                            "Sin",
                                            "Sinh",
                                            "Size",
                                            "Slice",
                                            "Softmax",
                                            "Softplus",
                                            "Softsign",
                                            "Split",
                                            "Sqrt",
                                            "Squeeze",
                                            "Sub",
                                            "Sum",
                                            "Tan",
                                            "Tanh",
                                            "ThresholdedRelu",
                                            "Tile",
                                            "Transpose",
                                            "Unsqueeze",
                                            "Upsample",
                                            "Where",
                                            "Xor"};
  return ops.count(op) != 0;
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
  int imported = 0;
  for (const auto &entry : fs::directory_iterator(kNodeTests)) {
    auto model = readModelFile(entry.path() / "model.onnx", Limits());
    ASSERT_TRUE(model) << entry.path() << model.status().message();
    bool claimed = true;
    for (const proto::NodeProto &node : (*model)->graph().node())
      claimed &= node.domain().empty() && isClaimed(node.op_type());
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
