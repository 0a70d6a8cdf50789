//===- ImportReductionTest.cpp - reductions made of other ops -------------===//
#include "tests/frontend/RunModel.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

static ModelBuilder hardmax(int64_t opset, const std::vector<int64_t> &dims) {
  ModelBuilder b(opset);
  b.input("x", dims).node("Hardmax", {"x"}, {"y"}).output("y");
  return b;
}

TEST(ImportHardmax, MarksTheFirstMaximumAlongTheAxis) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 3, 3, 4, 2, 1});
  for (int64_t columns : {3, -1}) {
    auto last = run(hardmax(13, {2, columns}), {x});
    ASSERT_EQ(last.size(), 1u);
    expectFloats(last[0], {2, 3}, {0, 1, 0, 1, 0, 0});
    for (int64_t axis : {0, -2}) {
      auto first = run(hardmax(13, {2, columns}).attr("axis", axis), {x});
      ASSERT_EQ(first.size(), 1u);
      expectFloats(first[0], {2, 3}, {0, 1, 1, 1, 0, 0});
    }
  }
}

TEST(ImportHardmax, TookAllDimensionsFromTheAxisBeforeOpset13) {
  auto y = run(hardmax(11, {2, 2, 2}), {Tensor::of<float>({2, 2, 2}, {1, 5, 7, 2, 3, 3, 3, 3})});
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {2, 2, 2}, {0, 0, 1, 0, 1, 0, 0, 0});
}

TEST(ImportHardmax, RefusesByName) {
  expectError(hardmax(13, {2, 3}).attr("axis", int64_t{2}), StatusCode::InvalidModel,
              {"'y_node' (Hardmax, opset 13)", "axis 2 is outside [-2, 2)"});
  ModelBuilder unranked(13);
  unranked.unrankedInput("x").node("Hardmax", {"x"}, {"y"}).output("y");
  EXPECT_TRUE(Imported(unranked).module) << Imported(unranked).text();
  expectError(unranked.attr("axis", int64_t{1}), StatusCode::Unsupported, {"unknown rank"});
}
