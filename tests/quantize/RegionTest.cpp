//===- RegionTest.cpp - where a graph computes with integers --------------===//
#include "api/quantize/Region.h"

#include "api/quantize/FoldNorms.h"
#include "tests/quantize/Models.h"

using namespace quern;
using namespace quern::quantization;
using namespace quern::quantization::test;

/// The region of all layers but those that are named.
static Region regionOf(const EditableModel &model, std::vector<std::string> without = {}) {
  std::vector<Layer> layers = findLayers(model, Mode::Static, {}).take();
  std::vector<bool> chosen;
  for (const Layer &layer : layers)
    chosen.push_back(layer.refusal.empty() &&
                     std::ranges::find(without, layer.output) == without.end());
  return findRegion(model, model.index(), layers, chosen);
}

static std::vector<std::string> valuesOf(const Region &region) {
  std::vector<std::string> values;
  for (const auto &[value, with] : region.shared)
    values.push_back(value);
  return values;
}

using Names = std::vector<std::string>;

TEST(RegionTest, ResidualsStayInIt) {
  EditableModel model = edit(residualNetwork());
  ASSERT_TRUE(foldNorms(model).isOk());
  Region region = regionOf(model);
  EXPECT_EQ(valuesOf(region), (Names{"a_relu", "b_norm", "flat", "mean", "pool", "sum_relu", "x"}));
  EXPECT_EQ(region.shared["pool"], "sum_relu");
  EXPECT_EQ(region.shared["flat"], "mean");
  EXPECT_EQ(region.shared["mean"], "mean");
}

TEST(RegionTest, WhatNobodyReadsIsNot) {
  EditableModel model = edit(residualNetwork());
  ASSERT_TRUE(foldNorms(model).isOk());
  // Nothing behind the second convolution is left that reads integers.
  EXPECT_EQ(valuesOf(regionOf(model, {"y"})), (Names{"a_relu", "b_norm", "x"}));
  EXPECT_EQ(valuesOf(regionOf(model, {"y", "b_norm"})), (Names{"a_relu", "x"}));
  EXPECT_EQ(valuesOf(regionOf(model, {"y", "a_norm", "b_norm"})), Names{});
}

TEST(RegionTest, ProductsGiveFloatsToOthers) {
  EXPECT_EQ(valuesOf(regionOf(edit(perceptron()))), (Names{"r1", "x"}));
  EXPECT_EQ(valuesOf(regionOf(edit(attentionBlock()))), (Names{"act", "mixed", "n", "x"}));
}

/// Two convolutions of x, joined for a third; `first` is read by others when `isShared`.
static ModelBuilder joined(bool isShared) {
  ModelBuilder m(13);
  m.input("x", {1, 2, 4, 4}).output("y");
  for (const char *name : {"first", "second"}) {
    m.initializer(std::string(name) + "_w", randomFloats({2, 2, 1, 1}, name[0]));
    m.node("Conv", {"x", std::string(name) + "_w"}, {name});
  }
  m.node("Concat", {"first", "second"}, {"both"}).attr("axis", int64_t{1});
  m.initializer("w", randomFloats({3, 4, 1, 1}, 9));
  m.node("Conv", {"both", "w"}, {"y"});
  if (isShared)
    m.output("first");
  return m;
}

TEST(RegionTest, JoinedValuesShareScales) {
  Region region = regionOf(edit(joined(false)));
  EXPECT_EQ(region.shared["first"], "both");
  EXPECT_EQ(region.shared["second"], "both");
  Region other = regionOf(edit(joined(true)));
  EXPECT_EQ(other.shared["first"], "first");
  EXPECT_EQ(other.shared["second"], "both");
}

TEST(LayersTest, WhatIsNone) {
  ModelBuilder m(13);
  m.input("x", {4, 4}).input("v", {4, 4}).output("y");
  m.initializer("w", randomFloats({4, 4}, 1)).set_name("w");
  m.node("MatMul", {"x", "v"}, {"a"});
  m.node("Gemm", {"a", "w"}, {"b"}).attr("transA", int64_t{1});
  m.node("Gemm", {"b", "w"}, {"y"}).attr("alpha", 0.5f);
  EditableModel model = edit(m);
  std::vector<Layer> layers = findLayers(model, Mode::Static, {}).take();
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[0].refusal, "its input is transposed");
  EXPECT_EQ(layers[1].refusal, "");
  std::vector<std::string> keep = {"y_node"};
  EXPECT_EQ(findLayers(model, Mode::Static, keep)->at(1).refusal, "kept, as asked for");
  keep = {"y_nude"};
  EXPECT_EQ(findLayers(model, Mode::Static, keep).status().message(),
            "there is no node 'y_nude' to keep; did you mean 'y_node'?");
}
