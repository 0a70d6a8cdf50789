//===- ImportPoolTest.cpp - norms of windows, unpooling -------------------===//
#include "tests/frontend/RunModel.h"

#include <cmath>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
using Doubles = std::vector<double>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;

static void expectOutput(const ModelBuilder &model, const std::vector<Tensor> &inputs,
                         const Tensor::Dims &dims, const Doubles &wanted) {
  auto outputs = run(model, inputs);
  ASSERT_FALSE(outputs.empty());
  expectFloats(outputs[0], dims, wanted);
}

/// y = LpPool(x) with a window of two elements.
static ModelBuilder lpPool(int64_t size, int64_t p) {
  ModelBuilder b(18);
  b.input("x", {1, 1, size}).node("LpPool", {"x"}, {"y"}).output("y");
  return b.attr("kernel_shape", Ints{2}).attr("p", p);
}

static Tensor row(std::vector<float> elements) {
  return Tensor::of<float>({1, 1, static_cast<int64_t>(elements.size())}, elements);
}

TEST(ImportPool, LpPoolSumsPowers) {
  Tensor x = row({1, -2, 3, -4});
  for (int64_t size : {int64_t{4}, int64_t{-1}}) {
    expectOutput(lpPool(size, 1), {x}, {1, 1, 3}, {3, 5, 7});
    expectOutput(lpPool(size, 2), {x}, {1, 1, 3}, {std::sqrt(5), std::sqrt(13), 5});
    expectOutput(lpPool(size, 3), {x}, {1, 1, 3}, {std::cbrt(9), std::cbrt(35), std::cbrt(91)});
    expectOutput(lpPool(size, 1).attr("pads", Ints{1, 0}), {x}, {1, 1, 4}, {1, 3, 5, 7});
    expectOutput(lpPool(size, 1).attr("dilations", Ints{2}), {x}, {1, 1, 2}, {4, 6});
  }
  ModelBuilder old(1);
  old.input("x", {1, 1, 4}).node("LpPool", {"x"}, {"y"}).output("y");
  old.attr("kernel_shape", Ints{2}).attr("p", 1.0f).attr("auto_pad", "SAME_UPPER");
  expectOutput(old, {x}, {1, 1, 4}, {3, 5, 7, 4});
  expectError(lpPool(4, 0), kInvalid, {"'y_node' (LpPool, opset 18)", "must be positive, found 0"});
}

TEST(ImportPool, LpPoolWithCeilMode) {
  auto ceil = [](int64_t size, int64_t stride, const Ints &pads) {
    ModelBuilder b = lpPool(size, 2);
    b.attr("ceil_mode", int64_t{1}).attr("strides", Ints{stride});
    return b.attr("pads", pads);
  };
  for (bool isStatic : {true, false}) {
    expectOutput(ceil(isStatic ? 5 : -1, 2, {0, 0}), {row({3, 4, 0, 0, -5})}, {1, 1, 3}, {5, 0, 5});
    // A window that begins in the end padding does not count.
    expectOutput(ceil(isStatic ? 3 : -1, 3, {0, 1}), {row({3, 4, 9})}, {1, 1, 1}, {5});
    expectOutput(ceil(isStatic ? 4 : -1, 3, {1, 0}), {row({3, 4, 9, 2})}, {1, 1, 2},
                 {3, std::sqrt(85)});
  }
}

TEST(ImportPool, GlobalLpPool) {
  ModelBuilder b(2);
  b.input("x", {1, 2, 2, 1}).node("GlobalLpPool", {"x"}, {"y"}).output("y");
  Tensor x = Tensor::of<float>({1, 2, 2, 1}, {3, -4, 1, 0});
  expectOutput(b, {x}, {1, 2, 1, 1}, {5, 1});
  expectOutput(b.attr("p", int64_t{1}), {x}, {1, 2, 1, 1}, {7, 1});
  ModelBuilder unranked(2);
  unranked.unrankedInput("x").node("GlobalLpPool", {"x"}, {"y"}).output("y");
  expectError(unranked, StatusCode::Unsupported, {"an input of unknown rank"});
}

static ModelBuilder maxUnpool(const Ints &dims) {
  ModelBuilder b(11);
  b.input("x", dims).input("i", dims, DType::Int64).output("y");
  b.node("MaxUnpool", {"x", "i"}, {"y"}).attr("kernel_shape", Ints{2, 2});
  return b.attr("strides", Ints{2, 2});
}

TEST(ImportPool, MaxUnpoolPutsMaximaBack) {
  Tensor x = Tensor::of<float>({1, 1, 2, 2}, {1, 2, 3, 4});
  Tensor places = Tensor::of<int64_t>({1, 1, 2, 2}, {5, 7, 13, 15});
  for (const Ints &dims : {Ints{1, 1, 2, 2}, Ints{-1, 1, -2, -3}})
    expectOutput(maxUnpool(dims), {x, places}, {1, 1, 4, 4},
                 {0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4});
  ModelBuilder larger = maxUnpool({1, 1, 2, 2});
  larger.ints("s", {1, 1, 4, 5});
  larger.graph().mutable_node(0)->add_input("s");
  expectOutput(larger, {x, places}, {1, 1, 4, 5},
               {0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4, 0});
  Imported imported(maxUnpool({1, 1, 2, 2}));
  ASSERT_TRUE(imported.module);
  std::vector<Tensor> beyond = {x, Tensor::of<int64_t>({1, 1, 2, 2}, {5, 7, 13, 16})};
  auto outputs = interpreter::interpret(nn::findMain(**imported.module), beyond);
  ASSERT_FALSE(outputs);
  expectContains(outputs.status().message(), "index 16 is out of range for a size of 16");
}

TEST(ImportPool, NhwcMaxPool) {
  ModelBuilder b(13);
  b.input("x", {1, 2, 2, 2}, DType::UInt8).node("NhwcMaxPool", {"x"}, {"y"}).output("y");
  b.domain("com.microsoft").attr("kernel_shape", Ints{2, 1});
  auto outputs = run(b, {Tensor::of<uint8_t>({1, 2, 2, 2}, {1, 8, 2, 7, 3, 6, 4, 5})});
  ASSERT_FALSE(outputs.empty());
  EXPECT_EQ(outputs[0].dims(), (Ints{1, 1, 2, 2}));
  std::vector<uint8_t> wanted = {3, 8, 4, 7};
  EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), outputs[0].data<uint8_t>()));
}
