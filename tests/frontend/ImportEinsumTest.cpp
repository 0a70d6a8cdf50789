//===- ImportEinsumTest.cpp - sums over indices ---------------------------===//
#include "ir/NNOps.h"
#include "tests/frontend/Interpret.h"

#include <numeric>

using namespace quern;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;

/// 1, 2, 3, ... in this shape.
static Tensor counted(const Ints &dims) {
  std::vector<float> values(static_cast<size_t>(
      std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>())));
  std::iota(values.begin(), values.end(), 1.0f);
  return Tensor::of<float>(dims, values);
}

/// y = Einsum of inputs with these dims, of which negative ones are symbolic.
static ModelBuilder einsum(const char *equation, const std::vector<Ints> &dims) {
  ModelBuilder b(12);
  std::vector<std::string> names;
  for (const Ints &d : dims) {
    names.push_back("x" + std::to_string(names.size()));
    b.input(names.back(), d);
  }
  b.node("Einsum", names, {"y"}).attr("equation", equation).output("y");
  return b;
}

/// With sizes that are known, and with symbolic ones.
static void expectEinsum(const char *equation, const std::vector<Ints> &dims, const Ints &wanted,
                         const std::vector<float> &elements) {
  SCOPED_TRACE(equation);
  std::vector<Tensor> inputs;
  std::vector<Ints> symbolic;
  for (const Ints &d : dims) {
    inputs.push_back(counted(d));
    symbolic.emplace_back();
    for (int64_t size : d)
      symbolic.back().push_back(-size); // equal sizes have equal names
  }
  expectRuns<float>(einsum(equation, dims), inputs, wanted, elements);
  expectRuns<float>(einsum(equation, symbolic), inputs, wanted, elements);
}

TEST(ImportEinsum, OneOperand) {
  expectEinsum("ij->ji", {{2, 3}}, {3, 2}, {1, 4, 2, 5, 3, 6});
  expectEinsum("ij->i", {{2, 3}}, {2}, {6, 15});
  expectEinsum("ij->", {{2, 3}}, {}, {21});
  expectEinsum("ba", {{2, 3}}, {3, 2}, {1, 4, 2, 5, 3, 6}); // by the alphabet
  expectEinsum("ii->i", {{3, 3}}, {3}, {1, 5, 9});
  expectEinsum("ii", {{3, 3}}, {}, {15});
  expectEinsum("iji->j", {{2, 3, 2}}, {3}, {1 + 8, 3 + 10, 5 + 12});
  expectEinsum("iii->i", {{2, 2, 2}}, {2}, {1, 8});
  expectEinsum("...ii->...i", {{2, 2, 2}}, {2, 2}, {1, 4, 5, 8});
  expectEinsum("...ij->j...", {{1, 2, 3}}, {3, 1}, {5, 7, 9});
}

TEST(ImportEinsum, ProductsOfTwo) {
  expectEinsum("ij,jk->ik", {{2, 2}, {2, 2}}, {2, 2}, {7, 10, 15, 22});
  expectEinsum("ij,jk", {{2, 2}, {2, 2}}, {2, 2}, {7, 10, 15, 22});
  expectEinsum("ij,kj->ki", {{2, 2}, {2, 2}}, {2, 2}, {5, 11, 11, 25});
  expectEinsum("i,i", {{3}, {3}}, {}, {14});
  expectEinsum("i,j->ij", {{2}, {3}}, {2, 3}, {1, 2, 3, 2, 4, 6});
  expectEinsum("ij,j->ij", {{2, 2}, {2}}, {2, 2}, {1, 4, 3, 8});
  expectEinsum("ij,ij->i", {{2, 2}, {2, 2}}, {2}, {5, 25});
  expectEinsum("ijk,jil->kl", {{2, 1, 2}, {1, 2, 2}}, {2, 2}, {10, 14, 14, 20});
  // Sums of one operand alone come before the product.
  expectEinsum("ij,kl->il", {{2, 2}, {2, 1}}, {2, 1}, {9, 21});
  expectEinsum(",ij->ij", {{}, {1, 2}}, {1, 2}, {1, 2});
}

TEST(ImportEinsum, EllipsesBroadcast) {
  expectEinsum("...ij,...jk->...ik", {{2, 1, 2}, {2, 2, 1}}, {2, 1, 1}, {5, 25});
  expectRuns<float>(einsum("...j,jk", {{2, 1, 2}, {2, 2}}), {counted({2, 1, 2}), counted({2, 2})},
                    {2, 1, 2}, {7, 10, 15, 22});
  expectRuns<float>(einsum("...,...", {{2, 2}, {2}}), {counted({2, 2}), counted({2})}, {2, 2},
                    {1, 4, 3, 8});
  expectRuns<float>(einsum("...i,...i->...", {{1, 2}, {2, 2}}), {counted({1, 2}), counted({2, 2})},
                    {2}, {5, 11});
}

// Symbols that are 1 in one operand, which a run shows.
TEST(ImportEinsum, SummedIndicesBroadcast) {
  expectEinsum("ij,jk->ik", {{2, 3}, {1, 2}}, {2, 2}, {6, 12, 15, 30});
  expectEinsum("ij,jk->ik", {{2, 1}, {3, 2}}, {2, 2}, {9, 12, 18, 24});
  expectEinsum("ij,ij->", {{1, 3}, {2, 1}}, {}, {18});
  expectEinsum("...i,...i->...", {{2, 3}, {1, 1}}, {2}, {6, 15});
  expectEinsum("bij,bjk->bik", {{2, 1, 2}, {1, 1, 2}}, {2, 1, 2}, {3, 6, 7, 14});
  expectEinsum("ij,jk,kj->i", {{1, 2}, {1, 2}, {2, 2}}, {1}, {1 * (1 + 6) + 2 * (2 + 8)});
  expectEinsum("ij,jk->ik", {{1, 0}, {1, 1}}, {1, 1}, {0});
}

TEST(ImportEinsum, ManyOperandsWithoutAnOuterProduct) {
  ModelBuilder chain = einsum("i,j,ij->", {{100}, {100}, {100, 100}});
  Imported imported(chain);
  ASSERT_TRUE(imported.module) << imported.text();
  EXPECT_EQ(imported.count<nn::MulOp>(), 0) << imported.text();
  EXPECT_EQ(imported.count<nn::MatMulOp>(), 2);
  expectEinsum("ij,jk,kl->il", {{1, 2}, {2, 2}, {2, 1}}, {1, 1}, {27});
  expectEinsum("a,b,c->abc", {{2}, {1}, {2}}, {2, 1, 2}, {1, 2, 2, 4});
}

TEST(ImportEinsum, OtherTypes) {
  ModelBuilder b(12);
  b.input("a", {2}, DType::Int32).input("b", {2}, DType::Int32).output("y");
  b.node("Einsum", {"a", "b"}, {"y"}).attr("equation", "i,i->");
  Tensor values = Tensor::of<int32_t>({2}, {3, 4});
  expectRuns<int32_t>(b, {values, values}, {}, {25});
  ModelBuilder half(12);
  half.input("a", {2, 2}, DType::Float16).node("Einsum", {"a"}, {"y"}).output("y");
  half.attr("equation", "ij->j");
  EXPECT_EQ(Imported(half).outputType(), "tensor<2xf16>");
}

TEST(ImportEinsum, EquationsThatDoNotFit) {
  for (const char *wrong : {"i1->i", "i.j->i", "......->i", "i->j->k", "i->>j", "i-"})
    expectError(einsum(wrong, {{2}}), kInvalid, {"cannot read"});
  expectError(einsum("i,j", {{2}}), kInvalid, {"has 2 terms, the node 1 inputs"});
  expectError(einsum("ij->i", {{2}}), kInvalid, {"input 0 has rank 1, its term 2 indices"});
  expectError(einsum("...ij->i", {{2}}), kInvalid, {"its term at least 2 indices"});
  expectError(einsum("i->ij", {{2}}), kInvalid, {"'j' of the result"});
  expectError(einsum("ij->ii", {{2, 2}}), kInvalid, {"'i' of the result"});
  expectError(einsum("ii->i", {{2, 3}}), kInvalid, {"index 'i' has sizes 2 and 3"});
  expectError(einsum("ij,jk->ik", {{2, 3}, {4, 2}}), kInvalid, {"index 'j' has sizes 3 and 4"});
  expectRunError(einsum("ii->i", {{-1, -2}}), {counted({2, 3})}, "node 'y_node'", "");
  ModelBuilder unranked(12);
  unranked.unrankedInput("x").node("Einsum", {"x"}, {"y"}).attr("equation", "...i->i").output("y");
  expectError(unranked, StatusCode::Unsupported, {"an ellipsis for input 0"});
}
