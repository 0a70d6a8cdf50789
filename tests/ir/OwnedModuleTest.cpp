//===- OwnedModuleTest.cpp ------------------------------------------------===//
#include "ir/OwnedModule.h"
#include "ir/Constants.h"

#include "ir/NNDialect.h"
#include "ir/Types.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::nn;

namespace {
constexpr const char *kGraph = R"(
  func.func @main(%x: tensor<?x3xf32, #nn.dims<"N", "">> {nn.name = "x"})
      -> (tensor<?x3xf32, #nn.dims<"N", "">>, tensor<2x!nn.string>) {
    %w = nn.weight "blob", 4 : tensor<3xf32> loc("weight")
    %c = nn.constant dense<[1.5, -0.0, 0x7FC00000]> : tensor<3xf32> loc("constant")
    %s = nn.constant dense<["a", "b"]> : tensor<2x!nn.string> loc("strings")
    %a = nn.add %x, %w : (tensor<?x3xf32, #nn.dims<"N", "">>, tensor<3xf32>)
        -> tensor<?x3xf32, #nn.dims<"N", "">> loc("add1")
    %l = nn.leaky_relu %a {alpha = 0.1 : f64} : (tensor<?x3xf32, #nn.dims<"N", "">>)
        -> tensor<?x3xf32, #nn.dims<"N", "">> loc("leaky1")
    %m = nn.mul %l, %c : (tensor<?x3xf32, #nn.dims<"N", "">>, tensor<3xf32>)
        -> tensor<?x3xf32, #nn.dims<"N", "">> loc("mul1")
    return %m, %s : tensor<?x3xf32, #nn.dims<"N", "">>, tensor<2x!nn.string>
  })";

OwnedModule parse() {
  OwnedModule result = OwnedModule::create();
  Tensor blob = Tensor::of<float>({4}, {9, 1, 2, 3});
  result.context->getLoadedDialect<NNDialect>()->getWeights().addBlob(
      "blob", blob.rawData(), blob.numBytes(), std::make_shared<Tensor>(blob));
  result.module = mlir::parseSourceString<mlir::ModuleOp>(kGraph, result.context.get());
  return result;
}

std::string textOf(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, mlir::OpPrintingFlags().enableDebugInfo(true));
  return text;
}
} // namespace

TEST(OwnedModule, CopiesAreEqualAndApart) {
  OwnedModule source = parse();
  ASSERT_TRUE(source.module);
  auto copy = copyModule(*source.module);
  ASSERT_TRUE(copy) << copy.status().message();
  EXPECT_NE(copy->context.get(), source.context.get());
  EXPECT_EQ(copy->module->getContext(), copy->context.get());
  EXPECT_TRUE(mlir::succeeded(copy->module->verify()));
  std::string text = textOf(*source.module);
  EXPECT_NE(text.find("leaky1"), std::string::npos);
  EXPECT_EQ(textOf(*copy->module), text);

  source = OwnedModule::create(); // the copy needs nothing of it
  EXPECT_EQ(textOf(*copy->module), text);
  int weights = 0;
  copy->module->walk([&](WeightOp op) {
    std::optional<Tensor> tensor = constantTensor(op.getResult());
    ASSERT_TRUE(tensor);
    EXPECT_EQ(tensor->data<float>()[2], 3.0f);
    ++weights;
  });
  EXPECT_EQ(weights, 1);
}

TEST(OwnedModule, NewBlobsOfACopyHaveNamesOfTheirOwn) {
  OwnedModule source = parse();
  WeightStore &store = source.context->getLoadedDialect<NNDialect>()->getWeights();
  std::string first = store.addTensor(Tensor::ofInts({1}));
  auto copy = copyModule(*source.module);
  ASSERT_TRUE(copy) << copy.status().message();
  WeightStore &copied = copy->context->getLoadedDialect<NNDialect>()->getWeights();
  EXPECT_TRUE(copied.contains(first));
  EXPECT_NE(copied.addTensor(Tensor::ofInts({2})), first);
}

TEST(OwnedModule, AssignmentEndsTheModuleBeforeItsContext) {
  OwnedModule module = parse();
  module = parse();
  EXPECT_TRUE(module.module);
  EXPECT_EQ(module.module->getContext(), module.context.get());
}
