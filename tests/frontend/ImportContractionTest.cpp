//===- ImportContractionTest.cpp - products, fused with what is around them -===//
#include "tests/frontend/RunModel.h"

#include <numeric>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

/// 0, 1, 2, ...
static Tensor counting(const Tensor::Dims &dims, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0.0f);
  return Tensor::of<float>(dims, values);
}
static Tensor ones(const Tensor::Dims &dims, int64_t count) {
  return Tensor::of<float>(dims, std::vector<float>(static_cast<size_t>(count), 1));
}

static ModelBuilder fusedMatMul(const std::vector<int64_t> &a, const std::vector<int64_t> &b) {
  ModelBuilder m(17);
  m.input("a", a).input("b", b).node("FusedMatMul", {"a", "b"}, {"y"}).output("y");
  m.domain("com.microsoft");
  return m;
}

TEST(ImportFusedMatMul, ScalesAndTransposes) {
  auto scaled =
      run(fusedMatMul({1, 2}, {2, 1}).attr("alpha", 0.5f), {counting({1, 2}, 2), ones({2, 1}, 2)});
  ASSERT_EQ(scaled.size(), 1u);
  expectFloats(scaled[0], {1, 1}, {0.5});
  auto a = run(fusedMatMul({2, 3}, {2, 1}).attr("transA", int64_t{1}),
               {counting({2, 3}, 6), ones({2, 1}, 2)});
  ASSERT_EQ(a.size(), 1u);
  expectFloats(a[0], {3, 1}, {3, 5, 7});
  auto b = run(fusedMatMul({1, 3}, {2, 3}).attr("transB", int64_t{1}),
               {ones({1, 3}, 3), counting({2, 3}, 6)});
  ASSERT_EQ(b.size(), 1u);
  expectFloats(b[0], {1, 2}, {3, 12});
  // A vector is its own transpose.
  auto vector =
      run(fusedMatMul({2}, {2, 1}).attr("transA", int64_t{1}), {counting({2}, 2), ones({2, 1}, 2)});
  ASSERT_EQ(vector.size(), 1u);
  expectFloats(vector[0], {1}, {1});
}

TEST(ImportFusedMatMul, MovesTheFirstDimensionBehindTheBatch) {
  auto y = run(fusedMatMul({2, 3, 4}, {3, 4, 1}).attr("transBatchA", int64_t{1}),
               {counting({2, 3, 4}, 24), ones({3, 4, 1}, 12)});
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {3, 2, 1}, {6, 54, 22, 70, 38, 86});
  auto both = fusedMatMul({2, 3, 2}, {3, 2, 1});
  auto z = run(both.attr("transBatchA", int64_t{1}).attr("transA", int64_t{1}),
               {counting({2, 3, 2}, 12), ones({3, 2, 1}, 6)});
  ASSERT_EQ(z.size(), 1u);
  expectFloats(z[0], {3, 2, 1}, {6, 8, 10, 12, 14, 16});
}

TEST(ImportFusedMatMul, NeedsTheRankOfWhatItTransposes) {
  ModelBuilder b(17);
  b.unrankedInput("a").input("b", {2, 2}).node("FusedMatMul", {"a", "b"}, {"y"}).output("y");
  b.domain("com.microsoft");
  EXPECT_TRUE(Imported(b).module) << Imported(b).text();
  expectError(b.attr("transA", int64_t{1}), StatusCode::Unsupported,
              {"'y_node' (FusedMatMul, opset 1)", "input 0, whose rank is unknown"});
}

static ModelBuilder fusedGemm(const char *activation) {
  ModelBuilder b(17);
  b.input("a", {1, 2}).input("b", {2, 2}).input("c", {2}).output("y");
  b.node("FusedGemm", {"a", "b", "c"}, {"y"}).domain("com.microsoft");
  return std::move(b.attr("activation", activation));
}

TEST(ImportFusedGemm, EndsWithAnActivation) {
  // The products are -4 and 3 with c.
  std::vector<Tensor> inputs = {Tensor::of<float>({1, 2}, {1, -2}),
                                Tensor::of<float>({2, 2}, {2, 3, 3, 1}),
                                Tensor::of<float>({2}, {0, 2})};
  auto relu = run(fusedGemm("Relu"), inputs);
  ASSERT_EQ(relu.size(), 1u);
  expectFloats(relu[0], {1, 2}, {0, 3});
  auto leaky = run(fusedGemm("LeakyRelu").attr("activation_alpha", 0.25f), inputs);
  ASSERT_EQ(leaky.size(), 1u);
  expectFloats(leaky[0], {1, 2}, {-1, 3});
  auto selu = fusedGemm("Selu");
  auto bent = run(selu.attr("activation_alpha", 2.0f).attr("activation_beta", 3.0f), inputs);
  ASSERT_EQ(bent.size(), 1u);
  expectFloats(bent[0], {1, 2}, {6 * std::expm1(-4.0), 9});
  auto scaled = fusedGemm("ScaledTanh");
  auto y = run(scaled.attr("activation_alpha", 0.5f).attr("activation_beta", 2.0f), inputs);
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {1, 2}, {0.5 * std::tanh(-8.0), 0.5 * std::tanh(6.0)});
}

TEST(ImportFusedGemm, RefusesByName) {
  expectError(fusedGemm("LeakyRelu"), StatusCode::InvalidModel,
              {"activation 'LeakyRelu' needs 1 parameters, found 0"});
  expectError(fusedGemm("Selu"), StatusCode::InvalidModel,
              {"activation 'Selu' needs 2 parameters, found 0"});
  expectError(fusedGemm("Wobble"), StatusCode::Unsupported, {"'y_node'", "activation 'Wobble'"});
}

TEST(ImportMatMul, HalfProductsAreHalf) {
  ModelBuilder m;
  m.input("x", {2, 3}, DType::Float16).input("w", {3, 3}, DType::Float16).output("y");
  m.node("MatMul", {"x", "w"}, {"p"}).node("MatMul", {"p", "w"}, {"q"});
  m.node("Gemm", {"q", "w"}, {"y"});
  Imported imported(m);
  ASSERT_TRUE(imported.module) << imported.text();
  EXPECT_EQ(imported.outputType(), "tensor<2x3xf16>");
}
