//===- NodeConformanceTest.cpp - ONNX's node tests, interpreted -----------===//
//
// Import and interpreter against the outputs that ONNX publishes, in one
// process. Models that the importer refuses, and those on other values than tensors, are not
// counted.
//
//===----------------------------------------------------------------------===//
#include "tests/frontend/ModelBuilder.h"

#include "backends/interpreter/Interpreter.h"
#include "frontend/onnx/TensorData.h"
#include "ir/RandomOps.h"
#include "ir/Signature.h"
#include "tests/FloatElement.h"

#include <cmath>
#include <cstring>
#include <filesystem>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
namespace fs = std::filesystem;

static const fs::path kNodeTests = "/usr/share/libonnx-testdata/data/node";

/// The tensors input_0.pb, input_1.pb, ... of a test data set.
static std::vector<NamedTensor> readTensors(const fs::path &dataSet, const std::string &stem) {
  std::vector<NamedTensor> tensors;
  for (int i = 0;; ++i) {
    fs::path path = dataSet / (stem + std::to_string(i) + ".pb");
    if (!fs::exists(path))
      return tensors;
    auto tensor = readTensorFile(path);
    EXPECT_TRUE(tensor) << tensor.status().message();
    if (!tensor)
      return tensors;
    tensors.push_back(tensor.take());
  }
}

static bool closeTo(double found, double wanted, DType dtype) {
  if (std::isnan(wanted) || std::isinf(wanted))
    return std::isnan(wanted) ? std::isnan(found) : found == wanted;
  // The published bfloat16 values are cut off where we round to nearest.
  double tolerance = dtype == DType::BFloat16 ? 1.0 / 128 : 1e-3;
  return std::abs(found - wanted) <= 1e-6 + tolerance * std::abs(wanted);
}

/// What differs; empty when nothing does.
static std::string difference(const Tensor &found, const Tensor &wanted) {
  if (found.dtype() != wanted.dtype() || found.dims() != wanted.dims())
    return "found " + found.describe() + ", wanted " + wanted.describe();
  for (int64_t i = 0; i < found.numElements(); ++i) {
    bool same;
    if (isFloat(found.dtype()))
      same = closeTo(floatAt(found, i), floatAt(wanted, i), found.dtype());
    else if (found.dtype() == DType::String)
      same = found.data<std::string>()[i] == wanted.data<std::string>()[i];
    else
      same = std::memcmp(found.data<char>() + i * dtypeBytes(found.dtype()),
                         wanted.data<char>() + i * dtypeBytes(found.dtype()),
                         static_cast<size_t>(dtypeBytes(found.dtype()))) == 0;
    if (!same)
      return "element " + std::to_string(i) +
             (isFloat(found.dtype()) ? " is " + std::to_string(floatAt(found, i)) + ", wanted " +
                                           std::to_string(floatAt(wanted, i))
                                     : " differs");
  }
  return {};
}

/// The published bfloat16 tensors are declared uint16, NumPy having no such type.
static Tensor declaredAs(DType dtype, const Tensor &tensor) {
  if (dtype != DType::BFloat16 || tensor.dtype() != DType::UInt16)
    return tensor;
  return Tensor::borrow(dtype, tensor.dims(), tensor.rawData(), std::make_shared<Tensor>(tensor));
}

/// The data set's inputs in the order of main's arguments, found by name.
static std::vector<Tensor> orderInputs(mlir::func::FuncOp main,
                                       const std::vector<NamedTensor> &tensors) {
  std::vector<Tensor> inputs;
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto name = main.getArgAttrOfType<mlir::StringAttr>(i, "nn.name").getValue();
    DType dtype = nn::dtypeOf(nn::elementTypeOf(main.getArgumentTypes()[i]));
    for (const NamedTensor &tensor : tensors)
      if (tensor.name == name)
        inputs.push_back(declaredAs(dtype, tensor.tensor));
  }
  return inputs;
}

/// Published tensors of one element for an input that the model declares as 3x4; results
/// for another epsilon than the model has.
static bool hasBrokenData(const std::string &name) {
  return name == "test_adam_multiple" ||
         (name.starts_with("test_castlike_") && name.find("BFLOAT16") != std::string::npos);
}

/// Whether results are random: what is published is one draw of NumPy's generator.
static bool drawsAtRandom(mlir::func::FuncOp main) {
  return main.walk([](nn::RandomOp) { return mlir::WalkResult::interrupt(); }).wasInterrupted();
}

static void runDataSet(mlir::func::FuncOp main, const fs::path &dataSet) {
  auto outputs = interpreter::interpret(main, orderInputs(main, readTensors(dataSet, "input_")));
  ASSERT_TRUE(outputs) << dataSet << ": " << outputs.status().message();
  std::vector<NamedTensor> wanted = readTensors(dataSet, "output_");
  ASSERT_EQ(outputs->size(), wanted.size()) << dataSet;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const Tensor &found = (*outputs)[i];
    if (drawsAtRandom(main)) {
      EXPECT_EQ(found.describe(), declaredAs(found.dtype(), wanted[i].tensor).describe());
      continue;
    }
    EXPECT_EQ(difference(found, declaredAs(found.dtype(), wanted[i].tensor)), "")
        << dataSet << " output " << i;
  }
}

TEST(NodeConformance, Interpreted) {
  if (!fs::exists(kNodeTests))
    GTEST_SKIP() << kNodeTests << " is not there";
  int run = 0;
  for (const auto &entry : fs::directory_iterator(kNodeTests)) {
    if (hasBrokenData(entry.path().filename()))
      continue;
    mlir::MLIRContext context;
    auto module = importOnnxFile(entry.path() / "model.onnx", context);
    if (!module)
      continue;
    mlir::func::FuncOp main = nn::findMain(**module);
    if (!nn::requireTensorPorts(main).isOk())
      continue;
    ++run;
    for (const auto &dataSet : fs::directory_iterator(entry.path()))
      if (dataSet.is_directory())
        runDataSet(main, dataSet.path());
  }
  EXPECT_GT(run, 400);
}
