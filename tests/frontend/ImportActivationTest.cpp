//===- ImportActivationTest.cpp - activations made of other ops -----------===//
#include "tests/frontend/RunModel.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

/// y = op(x) on [1, -1].
static ModelBuilder unary(const std::string &op, int64_t opset, DType dtype = DType::Float32) {
  ModelBuilder b(opset);
  b.input("x", {2}, dtype).node(op, {"x"}, {"y"}).output("y");
  return b;
}

static void expectValues(const ModelBuilder &model, const std::vector<double> &wanted) {
  auto y = run(model, {Tensor::of<float>({2}, {1, -1})});
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {2}, wanted);
}

static const std::vector<double> kGelu = {0.8413447460685429, -0.15865525393145707};
static const std::vector<double> kTanhGelu = {0.8411919906082768, -0.15880800939172324};

TEST(ImportActivation, Gelu) {
  expectValues(unary("Gelu", 20), kGelu);
  expectValues(unary("Gelu", 20).attr("approximate", "none"), kGelu);
  expectValues(unary("Gelu", 20).attr("approximate", "tanh"), kTanhGelu);
  expectError(unary("Gelu", 20).attr("approximate", "cubic"), StatusCode::InvalidModel,
              {"'approximate': expected none or tanh, found 'cubic'"});
  expectError(unary("Gelu", 20, DType::Int32), StatusCode::InvalidModel,
              {"input 0 must hold floats, found int32"});
  expectError(unary("Gelu", 19), StatusCode::Unsupported, {"only known from opset 20"});
}

TEST(ImportActivation, HalfTypesAreRoundedOnce) {
  auto y = run(unary("Gelu", 20, DType::Float16),
               {Tensor::of<Float16>({2}, {Float16(1.0f), Float16(-1.0f)})});
  ASSERT_EQ(y.size(), 1u);
  EXPECT_EQ(y[0].dtype(), DType::Float16);
  EXPECT_EQ(floatAt(y[0], 0), static_cast<float>(Float16(static_cast<float>(kGelu[0]))));
  EXPECT_EQ(floatAt(y[0], 1), static_cast<float>(Float16(static_cast<float>(kGelu[1]))));
}

TEST(ImportActivation, MishAndSwish) {
  auto mish = [](double x) { return x * std::tanh(std::log1p(std::exp(x))); };
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  expectValues(unary("Mish", 18), {mish(1), mish(-1)});
  expectValues(unary("Swish", 24), {sigmoid(1), -sigmoid(-1)});
  expectValues(unary("Swish", 24).attr("alpha", 2.0f), {sigmoid(2), -sigmoid(-2)});
  expectValues(unary("QuickGelu", 17).domain("com.microsoft"), {sigmoid(1.702), -sigmoid(-1.702)});
  expectValues(unary("QuickGelu", 17).domain("com.microsoft").attr("alpha", 1.0f),
               {sigmoid(1), -sigmoid(-1)});
}

TEST(ImportActivation, OfElu) {
  double below = std::expm1(-1.0);
  expectValues(unary("Selu", 6), {1.05070102214813232421875,
                                  1.05070102214813232421875 * 1.67326319217681884765625 * below});
  expectValues(unary("Selu", 6).attr("alpha", 2.0f).attr("gamma", 3.0f), {3, 6 * below});
  expectValues(unary("Selu", 1), {1.0507, 1.0507 * 1.6732 * below});
  expectValues(unary("Celu", 12), {1, below});
  expectValues(unary("Celu", 12).attr("alpha", 2.0f), {1, 2 * std::expm1(-0.5)});
  expectValues(unary("Celu", 12).attr("alpha", -2.0f), {1, -2 * std::expm1(0.5)});
  auto y = run(unary("Celu", 12).attr("alpha", 3.0f), {Tensor::of<float>({2}, {0.1f, NAN})});
  ASSERT_EQ(y.size(), 1u);
  EXPECT_EQ(floatAt(y[0], 0), 0.1f); // not 3 times a third of it
  EXPECT_TRUE(std::isnan(floatAt(y[0], 1)));
}

TEST(ImportActivation, HardSwish) {
  auto y = run(unary("HardSwish", 14), {Tensor::of<float>({2}, {4, -4})});
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {2}, {4, 0});
  expectValues(unary("HardSwish", 14), {2.0 / 3, -1.0 / 3});
}

TEST(ImportActivation, OfOnnxRuntime) {
  expectValues(unary("Gelu", 17).domain("com.microsoft"), kGelu);
  expectValues(unary("FastGelu", 17).domain("com.microsoft"), kTanhGelu);
  for (bool exact : {true, false}) {
    ModelBuilder b(17);
    b.input("x", {1, 2}).input("bias", {2}).output("y");
    b.node(exact ? "BiasGelu" : "FastGelu", {"x", "bias"}, {"y"}).domain("com.microsoft");
    auto y = run(b, {Tensor::of<float>({1, 2}, {3, 0}), Tensor::of<float>({2}, {-2, -1})});
    ASSERT_EQ(y.size(), 1u);
    expectFloats(y[0], {1, 2}, exact ? kGelu : kTanhGelu);
  }
  ModelBuilder wide(17);
  wide.input("x", {2}).input("bias", {2, 2}).output("y");
  wide.node("BiasGelu", {"x", "bias"}, {"y"}).domain("com.microsoft");
  expectError(wide, StatusCode::InvalidModel,
              {"'y_node' (BiasGelu, opset 1)", "input 1 does not broadcast"});
}

TEST(ImportActivation, BitwiseLogic) {
  ModelBuilder b(18);
  b.input("a", {2}, DType::UInt8).input("b", {}, DType::UInt8);
  b.output("and").output("or").output("xor").output("not");
  b.node("BitwiseAnd", {"a", "b"}, {"and"}).node("BitwiseOr", {"a", "b"}, {"or"});
  b.node("BitwiseXor", {"a", "b"}, {"xor"}).node("BitwiseNot", {"a"}, {"not"});
  auto y = run(b, {Tensor::of<uint8_t>({2}, {12, 255}), Tensor::of<uint8_t>({}, {10})});
  ASSERT_EQ(y.size(), 4u);
  auto expectBytes = [&](size_t i, uint8_t first, uint8_t second) {
    EXPECT_EQ(y[i].data<uint8_t>()[0], first) << i;
    EXPECT_EQ(y[i].data<uint8_t>()[1], second) << i;
  };
  expectBytes(0, 8, 10);
  expectBytes(1, 14, 255);
  expectBytes(2, 6, 245);
  expectBytes(3, 243, 0);
}
