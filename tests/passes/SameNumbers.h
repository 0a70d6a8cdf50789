//===- SameNumbers.h - a graph computes the same before and after ---------===//
#pragma once

#include "backends/interpreter/Interpreter.h"
#include "ir/NNDialect.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <random>
#include <string>

namespace quern::passes {

/// Runs graphs, given as text, on the interpreter before and after passes.
class SameNumbers : public testing::Test {
protected:
  SameNumbers() { context.loadDialect<nn::NNDialect, mlir::func::FuncDialect>(); }

  /// Text of an nn.constant with `count` pseudo-random values in [low, high).
  std::string constant(const std::string &type, int64_t count, float low = -1, float high = 1) {
    std::uniform_real_distribution<float> values(low, high);
    std::string hex;
    for (int64_t i = 0; i < count; ++i) {
      auto bytes = std::bit_cast<std::array<uint8_t, sizeof(float)>>(values(random));
      hex += llvm::toHex(bytes);
    }
    return "nn.constant dense<\"0x" + hex + "\"> : tensor<" + type + ">\n";
  }

  Tensor randomInput(Tensor::Dims dims) {
    Tensor tensor = Tensor::allocate(DType::Float32, std::move(dims)).take();
    std::uniform_real_distribution<float> values(-1, 1);
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      tensor.mutableData<float>()[i] = values(random);
    return tensor;
  }

  /// Compares the result of @main before and after the passes that `build` adds;
  /// `check` sees the module after them.
  void expectSame(const std::string &text, const Tensor &input,
                  const std::function<void(mlir::OpPassManager &)> &build,
                  const std::function<void(mlir::ModuleOp)> &check = {}) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module);
    Tensor before = run(*module, input);
    mlir::PassManager pm(&context);
    build(pm);
    ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
    if (check)
      check(*module);
    Tensor after = run(*module, input);
    ASSERT_EQ(before.dims(), after.dims());
    for (int64_t i = 0; i < before.numElements(); ++i)
      EXPECT_NEAR(before.data<float>()[i], after.data<float>()[i],
                  1e-5 * (1 + std::abs(before.data<float>()[i])))
          << "element " << i;
  }

private:
  static Tensor run(mlir::ModuleOp module, const Tensor &input) {
    auto results = interpreter::interpret(nn::findMain(module), {&input, 1});
    EXPECT_TRUE(results) << results.status().message();
    return results ? results->front() : Tensor();
  }

  mlir::MLIRContext context;
  std::mt19937 random{3};
};

} // namespace quern::passes
