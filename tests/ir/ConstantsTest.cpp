//===- ConstantsTest.cpp - values whose elements are known ----------------===//
#include "ir/Constants.h"

#include "ir/NNDialect.h"

#include "mlir/IR/BuiltinOps.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::nn;

namespace {
class Constants : public testing::Test {
protected:
  Constants() : builder(&context) {
    context.loadDialect<NNDialect>();
    module = mlir::ModuleOp::create(builder.getUnknownLoc());
    builder.setInsertionPointToEnd(module->getBody());
  }
  mlir::Value constant(const Tensor &tensor) {
    return createConstant(builder, builder.getUnknownLoc(), tensor);
  }

  mlir::MLIRContext context;
  mlir::OpBuilder builder;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

Tensor repeated(int64_t count, float value) {
  return Tensor::of<float>({count}, std::vector<float>(static_cast<size_t>(count), value));
}
} // namespace

// Small ones are attributes, large ones weights.
TEST_F(Constants, SayTheirOnlyNumber) {
  for (int64_t count : {1, 2, 255, 100000}) {
    std::optional<Tensor> number = onlyNumber(constant(repeated(count, 1.5f)));
    ASSERT_TRUE(number) << count;
    EXPECT_EQ(number->rank(), 0);
    EXPECT_EQ(*number->data<float>(), 1.5f);
  }
  std::optional<Tensor> truth = onlyNumber(constant(Tensor::of<bool>({3}, {true, true, true})));
  ASSERT_TRUE(truth);
  EXPECT_TRUE(*truth->data<bool>());
}

TEST_F(Constants, OfSeveralNumbersHaveNone) {
  for (int64_t count : {2, 255, 100000}) {
    Tensor tensor = repeated(count, 1.5f);
    tensor.mutableData<float>()[count - 1] = 2;
    EXPECT_FALSE(onlyNumber(constant(tensor))) << count;
  }
  EXPECT_FALSE(onlyNumber(constant(Tensor::of<float>({2}, {0.0f, -0.0f}))));
  EXPECT_FALSE(onlyNumber(constant(Tensor::of<float>({0}, {}))));
  EXPECT_FALSE(onlyNumber(constant(Tensor::allocate(DType::String, {2}).take())));
}

// The type stays that of the value it takes the place of.
TEST_F(Constants, KeepTheirLayout) {
  for (int64_t blocks : {1, 1000}) {
    Tensor tensor = Tensor::allocate(DType::Float32, {1, blocks, 1, 1, 4}).take();
    mlir::Value value = createConstant(builder, builder.getUnknownLoc(), tensor, {4});
    EXPECT_EQ(layoutOf(value).block, 4);
    std::optional<Tensor> read = constantTensor(value);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->dims(), tensor.dims());
  }
}
