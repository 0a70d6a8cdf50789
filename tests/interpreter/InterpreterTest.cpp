//===- InterpreterTest.cpp - running whole functions ----------------------===//
#include "backends/interpreter/Interpreter.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "tests/reference/KernelCall.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <chrono>

using namespace quern;
using namespace quern::interpreter;
using namespace quern::reference;

namespace {
class InterpreterTest : public testing::Test {
protected:
  InterpreterTest() { context.loadDialect<nn::NNDialect, mlir::func::FuncDialect>(); }

  mlir::func::FuncOp parse(llvm::StringRef text) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module);
    return *module->getOps<mlir::func::FuncOp>().begin();
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// The only op of kind `Op` in `function`.
template <typename Op> Op findOp(mlir::func::FuncOp function) {
  Op found;
  function.walk([&](Op op) { found = op; });
  return found;
}

Tensor floats(const std::vector<float> &values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}
} // namespace

constexpr llvm::StringLiteral kReluOfSum = R"(
  func.func @main(%x: tensor<?xf32> {nn.name = "x"}) -> tensor<?xf32> {
    %c = nn.constant dense<[1.0]> : tensor<1xf32>
    %sum = nn.add %x, %c : (tensor<?xf32>, tensor<1xf32>) -> tensor<?xf32> loc("add1")
    %relu = nn.relu %sum : (tensor<?xf32>) -> tensor<?xf32> loc("relu1")
    return %relu : tensor<?xf32>
  })";

TEST_F(InterpreterTest, RunsOpsInOrder) {
  auto results = interpret(parse(kReluOfSum), std::vector{floats({-3, 1, 2})});
  ASSERT_TRUE(results) << results.status().message();
  ASSERT_EQ(results->size(), 1u);
  expectTensor<float>((*results)[0], {3}, {0, 2, 3});
}

TEST_F(InterpreterTest, TakesAndGivesValuesOfAllKinds) {
  mlir::func::FuncOp main = parse(R"(
    func.func @main(%s: !nn.sequence<tensor<?xf32>> {nn.name = "s"}) -> !nn.sequence<tensor<?xf32>> {
      return %s : !nn.sequence<tensor<?xf32>>
    })");
  EXPECT_EQ(interpret(main, std::vector{floats({1})}).status().message(),
            "input 's': wanted sequence of float32 ?, found float32 1");
  ValueType element = ValueType::tensor(DType::Float32, PortShape({PortDim()}));
  AnyValue given = AnyValue::sequence(element, {floats({1})}).take();
  auto results = interpretValues(main, std::vector{given});
  ASSERT_TRUE(results) << results.status().message();
  const Tensor &found = *(*results)[0].asSequence()->elements[0].asTensor();
  expectTensor<float>(found, {1}, {1});
  EXPECT_NE(found.rawData(), given.asSequence()->elements[0].asTensor()->rawData());
}

TEST_F(InterpreterTest, ChecksInputs) {
  mlir::func::FuncOp main = parse(kReluOfSum);
  EXPECT_EQ(interpret(main, {}).status().message(), "wanted 1 inputs (x), found 0");
  auto result = interpret(main, std::vector{Tensor::of<int32_t>({1, 1}, {1})});
  EXPECT_EQ(result.status().message(), "input 'x': wanted float32 ?, found int32 1x1");
  EXPECT_EQ(result.status().code(), StatusCode::InvalidInput);
}

TEST_F(InterpreterTest, ReportsTimings) {
  std::vector<std::string> seen;
  double reported = 0;
  RunOptions options;
  options.onTiming = [&](const OpTiming &timing) {
    EXPECT_GT(timing.milliseconds, 0);
    reported += timing.milliseconds;
    seen.push_back(timing.nodeName + " " + timing.opName);
  };
  std::vector<Tensor> inputs = {Tensor::allocate(DType::Float32, {100'000}).take()};
  mlir::func::FuncOp main = parse(kReluOfSum);
  auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(interpret(main, inputs, options));
  std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(seen, (std::vector<std::string>{"add1 nn.add", "relu1 nn.relu"}));
  EXPECT_LE(reported, elapsed.count()) << "ops run one after the other, within the run";
}

TEST_F(InterpreterTest, StopsWhenCancelled) {
  std::atomic<bool> cancelled = false;
  RunOptions options;
  options.cancelled = &cancelled;
  options.onTiming = [&](const OpTiming &) { cancelled = true; };
  EXPECT_EQ(interpret(parse(kReluOfSum), std::vector{floats({1})}, options).status().message(),
            "node 'relu1' (nn.relu): the run was cancelled");
}

TEST_F(InterpreterTest, StopsWhenTheTimeIsOver) {
  RunOptions options;
  options.limits.deadline = Deadline::after(std::chrono::nanoseconds(0));
  auto result = interpret(parse(kReluOfSum), std::vector{floats({1})}, options);
  EXPECT_EQ(result.status().code(), StatusCode::ResourceLimit);
  EXPECT_EQ(result.status().message(),
            "node 'add1' (nn.add): time limit of 0ms exceeded while running");
}

TEST_F(InterpreterTest, KeepsToTheLimitOfActivations) {
  // Two tensors of 4000 bytes live at once, beside the kernel's 2048 bytes of
  // scratch; the sum is released after relu1.
  Tensor thousand = floats(std::vector<float>(1000, 1));
  RunOptions options;
  options.limits.maxActivationBytes = 10048;
  EXPECT_TRUE(interpret(parse(kReluOfSum), std::vector{thousand}, options));
  options.limits.maxActivationBytes = 10047;
  auto result = interpret(parse(kReluOfSum), std::vector{thousand}, options);
  EXPECT_EQ(result.status().message(),
            "node 'relu1' (nn.relu): activations need 10048 bytes, the limit is 10047");
}

TEST_F(InterpreterTest, NamesTheNodeOfAnError) {
  auto result = interpret(parse(R"(
    func.func @main(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
      %sum = nn.add %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> loc("add1")
      return %sum : tensor<?xf32>
    })"),
                          std::vector{floats({1, 2}), floats({1, 2, 3})});
  EXPECT_EQ(result.status().message(), "node 'add1' (nn.add): shapes 2 and 3 do not broadcast");
}

TEST_F(InterpreterTest, PassesAttributesAndLeftOutOperands) {
  auto results =
      interpret(parse(R"(
    func.func @main(%a: tensor<1x2xf32>, %b: tensor<1x2xf32>) -> tensor<1x1xf32> {
      %none = nn.none
      %r = nn.gemm %a, %b, %none {alpha = 2.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = true}
        : (tensor<1x2xf32>, tensor<1x2xf32>, none) -> tensor<1x1xf32>
      %s = nn.leaky_relu %r {alpha = 0.5 : f64} : (tensor<1x1xf32>) -> tensor<1x1xf32>
      return %s : tensor<1x1xf32>
    })"),
                std::vector{Tensor::of<float>({1, 2}, {1, -2}), Tensor::of<float>({1, 2}, {3, 4})});
  ASSERT_TRUE(results) << results.status().message();
  expectTensor<float>((*results)[0], {1, 1}, {-5});
}

TEST_F(InterpreterTest, PassesDefaultAttributes) {
  auto results = interpret(parse(R"(
    func.func @main(%x: tensor<1x1x2xf32>) -> tensor<1x1x1xf32> {
      %mean = nn.global_pool mean %x : (tensor<1x1x2xf32>) -> tensor<1x1x1xf32>
      return %mean : tensor<1x1x1xf32>
    })"),
                           std::vector{Tensor::of<float>({1, 1, 2}, {1, 4})});
  ASSERT_TRUE(results) << results.status().message();
  expectTensor<float>((*results)[0], {1, 1, 1}, {2.5});
}

TEST_F(InterpreterTest, PassesTypesAsAttributes) {
  auto results = interpret(parse(R"(
    func.func @main(%shape: tensor<1xi64>) -> tensor<?xi32> {
      %number = nn.constant dense<2.5> : tensor<f32>
      %half = nn.expand %number, %shape : (tensor<f32>, tensor<1xi64>) -> tensor<?xf32>
      %two = nn.cast %half {to = i32} : (tensor<?xf32>) -> tensor<?xi32>
      return %two : tensor<?xi32>
    })"),
                           std::vector{Tensor::ofInts({3})});
  ASSERT_TRUE(results) << results.status().message();
  expectTensor<int32_t>((*results)[0], {3}, {2, 2, 2});
}

TEST_F(InterpreterTest, RunsFusionGroups) {
  auto results = interpret(parse(R"(
    func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
      %g = nn.group %x {
      ^bb0(%a: tensor<2xf32>):
        %s = nn.add %a, %a : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
        %r = nn.relu %s : (tensor<2xf32>) -> tensor<2xf32>
        nn.yield %r : tensor<2xf32>
      } : (tensor<2xf32>) -> tensor<2xf32>
      return %g : tensor<2xf32>
    })"),
                           std::vector{floats({-1, 2})});
  ASSERT_TRUE(results) << results.status().message();
  expectTensor<float>((*results)[0], {2}, {0, 4});
}

TEST_F(InterpreterTest, ReadsWeightsFromTheStore) {
  context.getLoadedDialect<nn::NNDialect>()->getWeights().addBlob("w", "\0\0\0\0\1\0\0\0\2\0\0\0",
                                                                  12, nullptr);
  constexpr llvm::StringLiteral text = R"(
    func.func @main() -> tensor<2xi32> {
      %w = nn.weight "BLOB", 4 : tensor<2xi32> loc("weights1")
      return %w : tensor<2xi32>
    })";
  auto withBlob = [&](const char *name) {
    std::string copy = text.str();
    return interpret(parse(copy.replace(copy.find("BLOB"), 4, name)), {});
  };
  auto results = withBlob("w");
  ASSERT_TRUE(results) << results.status().message();
  expectTensor<int32_t>((*results)[0], {2}, {1, 2});
  EXPECT_EQ(withBlob("lost").status().message(),
            "node 'weights1' (nn.weight): the elements of the constant are not available");
}

TEST_F(InterpreterTest, MakesCallsThatOutliveTheOp) {
  Budget budget{Limits()};
  auto call = makeReferenceCall(findOp<nn::ReluOp>(parse(kReluOfSum)));
  ASSERT_TRUE(call) << call.status().message();
  module = nullptr;
  std::vector<Tensor> inputs{floats({-1, 1})};
  auto results = (*call)({inputs, budget});
  ASSERT_TRUE(results) << results.status().message();
  expectTensor<float>(*(*results)[0].asTensor(), {2}, {0, 1});
}

TEST_F(InterpreterTest, EvaluatesOneOp) {
  Budget budget{Limits()};
  mlir::Operation *add = findOp<nn::AddOp>(parse(kReluOfSum));
  auto results = nn::evaluateOp(add, std::vector{floats({1}), floats({2})}, budget);
  ASSERT_TRUE(results) << results.status().message();
  expectTensor<float>((*results)[0], {1}, {3});
  EXPECT_EQ(nn::evaluateOp(add, std::vector{floats({1, 2}), floats({1, 2, 3})}, budget)
                .status()
                .message(),
            "node 'add1' (nn.add): shapes 2 and 3 do not broadcast");
}

TEST_F(InterpreterTest, ChecksTheDeclaredElementType) {
  Budget budget{Limits()};
  mlir::Operation *relu = findOp<nn::ReluOp>(parse(kReluOfSum));
  EXPECT_FALSE(nn::evaluateOp(relu, std::vector{Tensor::of<int32_t>({1}, {1})}, budget));
}
