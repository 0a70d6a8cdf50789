//===- PlanBuilderTest.cpp - whole graphs compiled and run ----------------===//
#include "backends/interpreter/Interpreter.h"
#include "backends/native/Compiler.h"
#include "passes/SpecializeInputs.h"
#include "quern/Session.h"

#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace quern;

/// Runs @main of `text` on a counting input, interpreted and compiled at each level.
static void expectSameAsInterpreted(const std::string &text, Tensor::Dims dims) {
  Tensor input = Tensor::allocate(DType::Float32, std::move(dims)).take();
  for (int64_t i = 0; i < input.numElements(); ++i)
    input.mutableData<float>()[i] = static_cast<float>(i);
  for (int level = 0; level <= 3; ++level) {
    SCOPED_TRACE("-O" + std::to_string(level));
    auto context = std::make_shared<mlir::MLIRContext>();
    native::loadDialects(*context);
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, context.get());
    ASSERT_TRUE(module);
    auto expected = interpreter::interpret(passes::findMain(*module), {&input, 1});
    ASSERT_TRUE(expected) << expected.status().message();
    native::CompileOptions options;
    options.optLevel = level;
    auto executable = native::compileForJit(std::move(module), context, options);
    ASSERT_TRUE(executable) << executable.status().message();
    Expected<Session> session = Session::create(*executable);
    ASSERT_TRUE(session) << session.status().message();
    auto results = session->run({&input, 1});
    ASSERT_TRUE(results) << results.status().message();
    ASSERT_EQ(results->size(), expected->size());
    for (size_t r = 0; r < results->size(); ++r) {
      ASSERT_EQ((*results)[r].dims(), (*expected)[r].dims());
      for (int64_t i = 0; i < (*results)[r].numElements(); ++i)
        ASSERT_EQ((*results)[r].data<float>()[i], (*expected)[r].data<float>()[i]) << i;
    }
  }
}

// Concatenations whose operands are written in place have no step of their own;
// both are alive at the end and must not overlap.
TEST(PlanBuilder, ConcatenationsInPlaceHaveStorage) {
  expectSameAsInterpreted(R"(
    func.func @main(%x: tensor<1x4x8xf32>) -> tensor<1x8x8xf32> {
      %c = nn.constant dense<[[[1.0], [2.0], [3.0], [4.0]]]> : tensor<1x4x1xf32>
      %0 = nn.add %x, %c : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
      %1 = nn.mul %x, %c : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
      %2 = nn.sub %x, %c : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
      %3 = nn.max %x, %c : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
      %4 = nn.concat %0, %1 {axis = 1 : i64}
        : (tensor<1x4x8xf32>, tensor<1x4x8xf32>) -> tensor<1x8x8xf32>
      %5 = nn.concat %2, %3 {axis = 1 : i64}
        : (tensor<1x4x8xf32>, tensor<1x4x8xf32>) -> tensor<1x8x8xf32>
      %6 = nn.mul %4, %5 : (tensor<1x8x8xf32>, tensor<1x8x8xf32>) -> tensor<1x8x8xf32>
      return %6 : tensor<1x8x8xf32>
    })",
                          {1, 4, 8});
}
