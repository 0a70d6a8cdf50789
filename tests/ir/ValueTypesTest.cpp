//===- ValueTypesTest.cpp - types of values in the IR and at run time -----===//
#include "ir/NNDialect.h"
#include "ir/Signature.h"
#include "ir/Types.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::nn;

namespace {
class ValueTypes : public testing::Test {
protected:
  ValueTypes() { context.loadDialect<NNDialect, mlir::func::FuncDialect>(); }

  mlir::func::FuncOp parse(llvm::StringRef text) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module);
    return findMain(*module);
  }
  mlir::Type type(llvm::StringRef text) { return mlir::parseType(text, &context); }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};
} // namespace

TEST_F(ValueTypes, AreTheSameInTheIrAndAtRunTime) {
  const std::pair<const char *, const char *> types[] = {
      {"tensor<2x3xf32>", "float32 2x3"},
      {"tensor<?x?xi64, #nn.dims<\"N\", \"\">>", "int64 Nx?"},
      {"tensor<*x!nn.string>", "string of any shape"},
      {"!nn.sequence<tensor<*xf32>>", "sequence of float32 of any shape"},
      {"!nn.optional<!nn.sequence<tensor<?xf16, #nn.dims<\"N\">>>>",
       "optional sequence of float16 N"},
      {"!nn.map<!nn.string, tensor<i1>>", "map from string to bool scalar"},
      {"!nn.sequence<!nn.map<i64, tensor<f32>>>", "sequence of map from int64 to float32 scalar"},
  };
  for (auto [text, described] : types) {
    mlir::Type wanted = type(text);
    ASSERT_TRUE(wanted) << text;
    EXPECT_EQ(valueTypeOf(wanted).describe(), described);
    EXPECT_EQ(mlirTypeOf(&context, valueTypeOf(wanted)), wanted) << text;
  }
}

TEST_F(ValueTypes, AgreeUnlessTheyDifferForSure) {
  auto agree = [&](const char *a, const char *b) { return areCompatible(type(a), type(b)); };
  EXPECT_TRUE(agree("tensor<2x?xf32>", "tensor<?x3xf32>"));
  EXPECT_TRUE(agree("tensor<*xf32>", "tensor<?x3xf32>"));
  EXPECT_FALSE(agree("tensor<2xf32>", "tensor<3xf32>"));
  EXPECT_FALSE(agree("tensor<2xf32>", "tensor<2xf64>"));
  EXPECT_FALSE(agree("tensor<1x2x3x4xf32>", "tensor<1x2x3x4xf32, #nn.blocked<4>>"));
  EXPECT_TRUE(agree("!nn.sequence<tensor<2xf32>>", "!nn.sequence<tensor<*xf32>>"));
  EXPECT_FALSE(agree("!nn.sequence<tensor<2xf32>>", "!nn.sequence<tensor<3xf32>>"));
  EXPECT_FALSE(agree("!nn.sequence<tensor<2xf32>>", "!nn.optional<tensor<2xf32>>"));
  EXPECT_FALSE(agree("!nn.sequence<tensor<2xf32>>", "tensor<2xf32>"));
  EXPECT_TRUE(agree("!nn.map<i64, tensor<*xf32>>", "!nn.map<i64, tensor<f32>>"));
  EXPECT_FALSE(agree("!nn.map<i64, tensor<f32>>", "!nn.map<!nn.string, tensor<f32>>"));
}

TEST_F(ValueTypes, ElementsOfWhatIsNoTensorAreNone) {
  mlir::Type sequence = type("!nn.sequence<tensor<2xf32>>");
  EXPECT_EQ(elementTypeOf(sequence), sequence);
  EXPECT_EQ(dtypeOf(elementTypeOf(sequence)), DType::Undefined);
  EXPECT_FALSE(shapeOf(sequence));
}

TEST_F(ValueTypes, PortsThatAreNoTensorsAreNamed) {
  auto message = [&](const char *text) { return requireTensorPorts(parse(text)).message(); };
  EXPECT_EQ(message("func.func @main(%x: tensor<f32>) -> tensor<f32> {\n"
                    "return %x : tensor<f32> }"),
            "");
  EXPECT_EQ(message("func.func @main(%s: !nn.sequence<tensor<f32>> {nn.name = \"s\"}) { return }"),
            "input 's' is no tensor: sequence of float32 scalar");
  EXPECT_EQ(message("func.func @main() -> (!nn.sequence<tensor<f32>> {nn.name = \"y\"}) {\n"
                    "%0 = nn.sequence : () -> !nn.sequence<tensor<f32>>\n"
                    "return %0 : !nn.sequence<tensor<f32>> }"),
            "output 'y' is no tensor: sequence of float32 scalar");
}
