//===- AotCasesTest.cpp - models of others and drawn ones, ahead of time --===//
#include "frontend/onnx/OnnxImporter.h"
#include "frontend/onnx/ValueData.h"
#include "ir/NNDialect.h"
#include "ir/Signature.h"
#include "ir/Types.h"
#include "passes/SpecializeInputs.h"
#include "tests/aot/BothWays.h"
#include "tests/random/ModelDraw.h"
#include "tests/random/ModelText.h"

#include <filesystem>

using namespace quern;
using namespace quern::native;

namespace {
class AotCasesTest : public AotTest {
protected:
  /// What differs between the library and the JIT for the inputs in the folder of a
  /// conformance case; its refusal where it cannot be compiled ahead of time.
  std::string checkCase(const std::string &name) {
    std::string from = "/usr/share/libonnx-testdata/data/node/" + name;
    auto module = quern::onnx::importOnnxFile(from + "/model.onnx", *context);
    if (!module)
      return module.status().message();
    std::vector<Tensor> inputs;
    for (mlir::Type type : nn::findMain(**module).getArgumentTypes()) {
      auto value = quern::onnx::readValueFile(from + "/test_data_set_0/input_" +
                                                  std::to_string(inputs.size()) + ".pb",
                                              nn::valueTypeOf(type));
      if (!value || !value->asTensor())
        return "no input";
      inputs.push_back(*value->asTensor());
    }
    auto both = BothWays::compile(**module, folder);
    return both ? both->difference(inputs) : both.status().message();
  }
};
} // namespace

TEST_F(AotCasesTest, BranchesAndLoopsOfTheConformanceSuite) {
  if (!std::filesystem::exists("/usr/share/libonnx-testdata/data/node"))
    GTEST_SKIP() << "ONNX's conformance cases are not installed";
  for (const char *name : {"test_if", "test_scan9_sum", "test_scan_sum"})
    EXPECT_EQ(checkCase(name), "") << name;
  // As many slices as an input says.
  EXPECT_NE(checkCase("test_loop11").find("that only a run can tell"), std::string::npos);
}

static bool hasControlFlow(mlir::ModuleOp module) {
  return module
      .walk([](mlir::Operation *op) {
        return mlir::isa<nn::IfOp, nn::LoopOp, nn::ScanOp>(op) ? mlir::WalkResult::interrupt()
                                                               : mlir::WalkResult::advance();
      })
      .wasInterrupted();
}

// Those that compile give the bits of the JIT.
TEST_F(AotCasesTest, DrawnModelsWithBodies) {
  int compiled = 0, refused = 0;
  for (uint64_t seed = 1; compiled < 12 && seed < 2000; ++seed) {
    random::RandomModel drawn = random::drawModel(seed);
    std::string bytes = drawn.model.SerializeAsString();
    auto module = quern::onnx::importOnnxBytes(std::as_bytes(std::span(bytes)), "drawn", *context);
    ASSERT_TRUE(module) << module.status().message();
    if (!hasControlFlow(**module))
      continue;
    mlir::func::FuncOp main = nn::findMain(**module);
    std::vector<Tensor> inputs;
    std::vector<std::optional<std::vector<int64_t>>> sizes;
    for (unsigned i = 0; i < main.getNumArguments(); ++i)
      for (size_t k = 0; k < drawn.inputNames.size(); ++k)
        if (drawn.inputNames[k] == nn::inputName(main, i)) {
          inputs.push_back(drawn.inputs[k]);
          sizes.push_back(drawn.inputs[k].dims());
        }
    Status status = passes::specializeInputs(main, sizes);
    ASSERT_TRUE(status.isOk()) << status.message();
    auto both = BothWays::compile(**module, folder);
    if (!both) {
      EXPECT_EQ(both.status().code(), StatusCode::Unsupported) << both.status().message();
      ++refused;
      continue;
    }
    ++compiled;
    EXPECT_EQ(both->difference(inputs), "") << "seed " << seed << "\n"
                                            << random::modelText(drawn.model);
  }
  RecordProperty("refused", refused);
  EXPECT_EQ(compiled, 12);
}
