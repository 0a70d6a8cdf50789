//===- EditableModelTest.cpp - an ONNX model that is changed --------------===//
#include "tests/quantize/Models.h"

#include <filesystem>
#include <fstream>

using namespace quern;
using namespace quern::quantization;
using namespace quern::quantization::test;

TEST(EditableModelTest, ConstantsAreInitializersAndNodesInOrder) {
  ModelBuilder m(13);
  m.input("x", {2}).output("y");
  m.node("Add", {"t", "k"}, {"y"});
  m.node("Relu", {"x"}, {"t"});
  m.node("Constant", {}, {"k"});
  proto::TensorProto &value = *m.attribute("value", proto::AttributeProto::TENSOR).mutable_t();
  value.set_data_type(proto::TensorProto::FLOAT);
  value.add_float_data(5);
  EditableModel model = edit(m);
  ASSERT_EQ(model.graph().node_size(), 2);
  EXPECT_EQ(model.graph().node(0).op_type(), "Relu");
  EXPECT_TRUE(model.isFloatConstant("k"));
  EXPECT_EQ(model.constantValue("k")->data<float>()[0], 5);
  EXPECT_EQ(
      runModel(model.serialize().take(), {Tensor::of<float>({2}, {-1, 1})})[0].data<float>()[1], 6);
}

TEST(EditableModelTest, InitializersAreNoInputs) {
  ModelBuilder m(13);
  m.input("x", {2}).input("w", {2}).output("y");
  m.initializer("w", Tensor::of<float>({2}, {1, 2}));
  m.node("Add", {"x", "w"}, {"y"});
  EXPECT_EQ(edit(m).graph().input_size(), 1);
}

TEST(EditableModelTest, NodesGetNamesOfTheirOwn) {
  ModelBuilder m(13);
  m.input("x", {2}).output("y");
  m.node("Relu", {"x"}, {"a"}).node("Relu", {"a"}, {"y"});
  for (proto::NodeProto &node : *m.graph().mutable_node())
    node.set_name("same");
  EditableModel model = edit(m);
  EXPECT_EQ(model.graph().node(0).name(), "same");
  EXPECT_EQ(model.graph().node(1).name(), "same#2");
}

TEST(EditableModelTest, FreshNames) {
  ModelBuilder m(13);
  m.input("x", {2}).output("y").node("Relu", {"x"}, {"y"});
  EditableModel model = edit(m);
  EXPECT_EQ(model.freshName("z"), "z");
  EXPECT_EQ(model.freshName("z"), "z_2");
  EXPECT_EQ(model.freshName("y"), "y_2");
  std::string name = model.addConstant("x", Tensor::ofInts({1}));
  EXPECT_EQ(name, "x_2");
  EXPECT_NE(model.constant(name), nullptr);
  model.removeUnusedConstants();
  EXPECT_EQ(model.constant(name), nullptr);
}

TEST(EditableModelTest, WhatBodiesReadIsSeen) {
  ModelBuilder m(13);
  m.input("x", {2}).input("c", {}, DType::Bool).output("y");
  m.initializer("w", Tensor::of<float>({2}, {1, 2}));
  m.node("Relu", {"x"}, {"t"});
  m.node("If", {"c"}, {"y"});
  for (const char *branch : {"then_branch", "else_branch"}) {
    proto::GraphProto &body = *m.attribute(branch, proto::AttributeProto::GRAPH).mutable_g();
    body.set_name(branch);
    *body.add_node() = makeNode("Add", {"t", "w"}, std::string(branch) + "_y");
    body.add_output()->set_name(std::string(branch) + "_y");
  }
  EditableModel model = edit(m);
  GraphIndex index = model.index();
  EXPECT_TRUE(index.seenOutside.count("t"));
  EXPECT_EQ(index.soleReader("t"), -1);
  EXPECT_EQ(index.soleReader("x"), 0);
  EXPECT_EQ(index.producer("t"), 0);
  EXPECT_EQ(index.producer("x"), -1);
  model.removeUnusedConstants();
  EXPECT_NE(model.constant("w"), nullptr);
}

namespace {
/// A model with its weights in a file beside it.
class ExternalModel : public testing::Test {
protected:
  void SetUp() override {
    folder =
        std::filesystem::temp_directory_path() / ("quern-editable-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string write(const std::string &location, size_t bytes) {
    std::vector<float> numbers(bytes / 4, 2);
    std::ofstream(folder / "w.bin")
        .write(reinterpret_cast<char *>(numbers.data()), static_cast<std::streamsize>(bytes));
    ModelBuilder m(13);
    m.input("x", {2}).output("y").node("Add", {"x", "w"}, {"y"});
    proto::TensorProto &w = m.initializer("w", Tensor::of<float>({2}, {0, 0}));
    w.clear_raw_data();
    w.set_data_location(proto::TensorProto::EXTERNAL);
    auto *entry = w.add_external_data();
    entry->set_key("location");
    entry->set_value(location);
    std::string path = folder / "m.onnx";
    std::ofstream(path) << m.bytes();
    return path;
  }

  std::filesystem::path folder;
};
} // namespace

TEST_F(ExternalModel, IsReadInto) {
  auto model = EditableModel::read(write("w.bin", 8), {});
  ASSERT_TRUE(model) << model.status().message();
  EXPECT_EQ(model->constantValue("w")->data<float>()[1], 2);
  std::filesystem::remove(folder / "w.bin");
  EXPECT_EQ(
      runModel(model->serialize().take(), {Tensor::of<float>({2}, {1, 1})})[0].data<float>()[0], 3);
}

TEST_F(ExternalModel, IsChecked) {
  EXPECT_EQ(EditableModel::read(write("w.bin", 12), {}).status().code(), StatusCode::InvalidModel);
  EXPECT_EQ(EditableModel::read(write("../w.bin", 8), {}).status().message(),
            "initializer 'w': external data '../w.bin': the location contains '..'");
}

TEST(EditableModelTest, BrokenModelsAreRefused) {
  EXPECT_EQ(EditableModel::read(asModel("nothing"), {}).status().code(), StatusCode::InvalidModel);
  ModelBuilder m(13);
  m.input("x", {2}).output("y").node("Relu", {"z"}, {"y"}).node("Relu", {"y"}, {"z"});
  EXPECT_EQ(EditableModel::read(asModel(m.bytes()), {}).status().code(), StatusCode::InvalidModel);
}
