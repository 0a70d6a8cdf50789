//===- RaiseOpsetTest.cpp - the same model in a newer opset ---------------===//
#include "api/quantize/RaiseOpset.h"

#include "tests/quantize/Models.h"

using namespace quern;
using namespace quern::quantization;
using namespace quern::quantization::test;
using Ints = std::vector<int64_t>;

/// Raised to the newest opset, it gives the same.
static void expectRaised(const ModelBuilder &builder, const Tensor &input) {
  EditableModel model = edit(builder);
  ASSERT_TRUE(raiseOpset(model, kNewestRaised).isOk());
  EXPECT_EQ(model.opset(), kNewestRaised);
  EXPECT_GE(model.message().ir_version(), 10);
  std::vector<Tensor> wanted = runModel(builder.bytes(), {input}),
                      found = runModel(model.serialize().take(), {input});
  ASSERT_EQ(wanted.size(), found.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(wanted[i].dims(), found[i].dims());
    EXPECT_EQ(largestDifference(wanted[i], found[i]), 0);
  }
}

/// An op of opset `version` on x, of 2x3x4x6.
static ModelBuilder of(int64_t version, const std::string &op,
                       const std::vector<std::string> &outputs = {"y"}) {
  ModelBuilder m(version);
  m.input("x", {2, 3, 4, 6});
  for (const std::string &output : outputs)
    m.output(output);
  m.node(op, {"x"}, outputs);
  return m;
}

static const Tensor kInput = randomFloats({2, 3, 4, 6}, 1, 3);

TEST(RaiseOpsetTest, AttributesBecomeInputs) {
  expectRaised(
      of(9, "Slice").attr("starts", Ints{1, 0}).attr("ends", Ints{3, 2}).attr("axes", Ints{2, 1}),
      kInput);
  expectRaised(of(9, "Clip").attr("min", -1.0f).attr("max", 0.5f), kInput);
  expectRaised(of(9, "Clip").attr("max", 0.5f), kInput);
  expectRaised(of(10, "Pad").attr("pads", Ints{0, 0, 1, 1, 0, 0, 0, 2}).attr("value", 7.0f),
               kInput);
  expectRaised(of(12, "Unsqueeze").attr("axes", Ints{0, 3}), kInput);
  expectRaised(of(12, "ReduceSum").attr("axes", Ints{1}).attr("keepdims", int64_t{0}), kInput);
  expectRaised(of(17, "ReduceMean").attr("axes", Ints{2, 3}), kInput);
  expectRaised(of(12, "ReduceMax"), kInput);
  expectRaised(of(12, "Split", {"a", "b"}).attr("axis", int64_t{3}).attr("split", Ints{1, 5}),
               kInput);
  expectRaised(of(13, "Split", {"a", "b"}).attr("axis", int64_t{2}), kInput);
}

TEST(RaiseOpsetTest, SoftmaxOverSeveralAxes) {
  for (const char *op : {"Softmax", "LogSoftmax"}) {
    expectRaised(of(12, op), kInput);
    expectRaised(of(12, op).attr("axis", int64_t{2}), kInput);
    expectRaised(of(11, op).attr("axis", int64_t{-1}), kInput);
  }
}

TEST(RaiseOpsetTest, TopKAndDropout) {
  expectRaised(of(7, "Dropout").attr("ratio", 0.3f), kInput);
  ModelBuilder m = of(9, "TopK", {"y", "i"}).attr("k", int64_t{2});
  m.graph().mutable_output()->RemoveLast();
  expectRaised(m, kInput);
}

TEST(RaiseOpsetTest, ResizeByTheOldRule) {
  ModelBuilder m(10);
  m.input("x", {2, 3, 4, 6}).output("y");
  m.initializer("scales", Tensor::of<float>({4}, {1, 1, 1.5f, 2}));
  m.node("Resize", {"x", "scales"}, {"y"}).attr("mode", "nearest");
  expectRaised(m, kInput);
}

TEST(RaiseOpsetTest, NodesInBodies) {
  ModelBuilder m(12);
  m.input("x", {2, 3, 4, 6}).input("c", {}, DType::Bool).output("y");
  m.node("Unsqueeze", {"x"}, {"s"}).attr("axes", Ints{0});
  m.node("If", {"c"}, {"y"});
  for (const char *branch : {"then_branch", "else_branch"}) {
    proto::GraphProto &body = *m.attribute(branch, proto::AttributeProto::GRAPH).mutable_g();
    body.set_name(branch);
    proto::NodeProto &node = *body.add_node();
    node.set_op_type("Squeeze");
    node.add_input("s");
    node.add_output(std::string(branch) + "_y");
    proto::AttributeProto &axes = *node.add_attribute();
    axes.set_name("axes");
    axes.set_type(proto::AttributeProto::INTS);
    axes.add_ints(0);
    body.add_output()->set_name(node.output(0));
  }
  EditableModel model = edit(m);
  ASSERT_TRUE(raiseOpset(model, 13).isOk());
  Tensor condition = Tensor::of<bool>({}, {true});
  std::vector<Tensor> found = runModel(model.serialize().take(), {kInput, condition});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(largestDifference(found[0], kInput), 0);
}

TEST(RaiseOpsetTest, WhatIsNotKnownIsRefused) {
  EditableModel model = edit(of(9, "Hardmax"));
  Status status = raiseOpset(model, 13);
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  EXPECT_EQ(status.message(), "node 'y_node' (Hardmax) of opset 9 cannot be raised to opset 13: it "
                              "has changed its meaning in opset 13");
  EditableModel old = edit(of(6, "Relu"));
  EXPECT_EQ(raiseOpset(old, 13).message(),
            "the model is of opset 6; models of opset 7 and newer can be quantized");
}

TEST(RaiseOpsetTest, NewerModelsStay) {
  EditableModel model = edit(of(18, "Relu"));
  ASSERT_TRUE(raiseOpset(model, 13).isOk());
  EXPECT_EQ(model.opset(), 18);
}
