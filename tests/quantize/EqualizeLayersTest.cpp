//===- EqualizeLayersTest.cpp - weights of neighbours on one scale --------===//
#include "api/quantize/EqualizeLayers.h"

#include "tests/quantize/Models.h"

using namespace quern;
using namespace quern::quantization;
using namespace quern::quantization::test;

/// x -> 1x1 -> ReLU -> depthwise -> 1x1, with weights of most different magnitudes.
static ModelBuilder unequal(bool isShared) {
  ModelBuilder m(13);
  m.input("x", {1, 3, 6, 6}).output("y");
  Tensor first = randomFloats({8, 3, 1, 1}, 1);
  for (int64_t i = 0; i < first.numElements(); ++i)
    first.mutableData<float>()[i] *= std::pow(4.0f, static_cast<float>(i / 3) - 4);
  m.initializer("w1", first);
  m.initializer("b1", randomFloats({8}, 2, 0.1f));
  m.initializer("w2", randomFloats({8, 1, 3, 3}, 3));
  m.initializer("w3", randomFloats({4, 8, 1, 1}, 4));
  m.node("Conv", {"x", "w1", "b1"}, {"c1"}).node("Relu", {"c1"}, {"r1"});
  m.node("Conv", {"r1", "w2"}, {"c2"}).attr("group", int64_t{8});
  m.node("Conv", {"c2", "w3"}, {"y"});
  if (isShared)
    m.output("c1").output("c2");
  return m;
}

static float largestOf(const Tensor &weights, int64_t channel) {
  int64_t inner = weights.numElements() / weights.dim(0);
  float largest = 0;
  for (int64_t i = channel * inner; i < (channel + 1) * inner; ++i)
    largest = std::max(largest, std::abs(weights.data<float>()[i]));
  return largest;
}

TEST(EqualizeLayersTest, GivesTheSame) {
  ModelBuilder builder = unequal(false);
  EditableModel model = edit(builder);
  EXPECT_EQ(equalizeLayers(model).take(), 2);
  Tensor input = randomFloats({1, 3, 6, 6}, 5);
  Tensor wanted = runModel(builder.bytes(), {input})[0],
         found = runModel(model.serialize().take(), {input})[0];
  EXPECT_LT(largestDifference(wanted, found), 1e-4);
  Tensor first = model.constantValue(model.graph().node(0).input(1)).take(),
         second = model.constantValue(model.graph().node(2).input(1)).take();
  for (int64_t c = 0; c < 8; ++c)
    EXPECT_NEAR(largestOf(first, c) / largestOf(second, c), 1, 0.3) << c;
}

TEST(EqualizeLayersTest, NotWhereOthersRead) {
  EditableModel model = edit(unequal(true));
  std::string before = model.serialize().take();
  EXPECT_EQ(equalizeLayers(model).take(), 0);
  EXPECT_EQ(model.serialize().take(), before);
}

TEST(EqualizeLayersTest, NotAcrossClip) {
  ModelBuilder builder = unequal(false);
  builder.initializer("six", Tensor::of<float>({}, {6}));
  proto::NodeProto &relu = *builder.graph().mutable_node(1);
  relu.set_op_type("Clip");
  relu.add_input("");
  relu.add_input("six");
  EditableModel model = edit(builder);
  EXPECT_EQ(equalizeLayers(model).take(), 1);
}

/// Channels of zeros have nothing to share.
TEST(EqualizeLayersTest, ZerosStay) {
  ModelBuilder builder = unequal(false);
  proto::TensorProto &w1 = *builder.graph().mutable_initializer(0);
  w1.set_raw_data(std::string(w1.raw_data().size(), '\0'));
  EditableModel model = edit(builder);
  ASSERT_TRUE(equalizeLayers(model));
  Tensor input = randomFloats({1, 3, 6, 6}, 5);
  EXPECT_LT(largestDifference(runModel(builder.bytes(), {input})[0],
                              runModel(model.serialize().take(), {input})[0]),
            1e-5);
}
