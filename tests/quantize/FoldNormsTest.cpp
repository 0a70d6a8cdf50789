//===- FoldNormsTest.cpp - batch norms into the weights before them -------===//
#include "api/quantize/FoldNorms.h"

#include "tests/quantize/Models.h"

using namespace quern;
using namespace quern::quantization;
using namespace quern::quantization::test;

static void expectSame(const ModelBuilder &before, const EditableModel &after,
                       const std::vector<Tensor> &inputs) {
  std::vector<Tensor> wanted = runModel(before.bytes(), inputs),
                      found = runModel(after.serialize().take(), inputs);
  ASSERT_EQ(wanted.size(), found.size());
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_LT(largestDifference(wanted[i], found[i]), 1e-5);
}

TEST(FoldNormsTest, GivesTheSame) {
  ModelBuilder builder = residualNetwork();
  EditableModel model = edit(builder);
  ASSERT_TRUE(foldNorms(model).isOk());
  EXPECT_EQ(countOps(model, "BatchNormalization"), 0);
  EXPECT_EQ(countOps(model, "Conv"), 2);
  expectSame(builder, model, {randomFloats({2, 3, 8, 8}, 5)});
}

/// y = norm(conv(x) + bias), with one statistic as an input when `isOpen`.
static ModelBuilder convWithBias(bool isOpen) {
  ModelBuilder m(13);
  m.input("x", {1, 2, 4, 4}).output("y");
  m.initializer("w", randomFloats({3, 2, 1, 1}, 1));
  m.initializer("b", randomFloats({3}, 2));
  for (const char *name : {"scale", "shift", "var"})
    m.initializer(name, Tensor::of<float>({3}, {1, 2, 3}));
  if (isOpen)
    m.input("mean", {3});
  else
    m.initializer("mean", randomFloats({3}, 3));
  m.node("Conv", {"x", "w", "b"}, {"c"});
  m.node("BatchNormalization", {"c", "scale", "shift", "mean", "var"}, {"y"});
  return m;
}

TEST(FoldNormsTest, WithBias) {
  ModelBuilder builder = convWithBias(false);
  EditableModel model = edit(builder);
  ASSERT_TRUE(foldNorms(model).isOk());
  EXPECT_EQ(model.graph().node_size(), 1);
  expectSame(builder, model, {randomFloats({1, 2, 4, 4}, 5)});
}

TEST(FoldNormsTest, NotStatisticsOfARun) {
  EditableModel model = edit(convWithBias(true));
  ASSERT_TRUE(foldNorms(model).isOk());
  EXPECT_EQ(model.graph().node_size(), 2);
}

TEST(FoldNormsTest, NotAResultThatOthersSee) {
  ModelBuilder builder = convWithBias(false);
  builder.output("c");
  EditableModel model = edit(builder);
  ASSERT_TRUE(foldNorms(model).isOk());
  EXPECT_EQ(model.graph().node_size(), 2);
}
