//===- InvalidModelTest.cpp - well-formed protobuf that is no model -------===//
#include "frontend/onnx/ValidateModel.h"
#include "tests/frontend/ModelBuilder.h"

#include <chrono>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using proto::AttributeProto;

static constexpr StatusCode kInvalid = StatusCode::InvalidModel;

/// x -> Relu -> y.
static ModelBuilder reluModel() {
  ModelBuilder b;
  b.input("x", {2}).node("Relu", {"x"}, {"y"}).output("y");
  return b;
}

TEST(InvalidModel, Versions) {
  auto b = reluModel();
  b.model.clear_ir_version();
  expectError(b, kInvalid, {"m.onnx", "ir_version"});
  b = reluModel();
  b.model.clear_opset_import();
  expectError(b, kInvalid, {"no opset_import"});
  b = reluModel();
  b.model.add_opset_import()->set_version(12);
  expectError(b, kInvalid, {"domain 'ai.onnx' is imported twice, as version 13 and 12"});
  b = reluModel();
  b.model.mutable_opset_import(0)->set_version(0);
  expectError(b, kInvalid, {"version 0"});
  b = reluModel();
  b.model.clear_graph();
  expectError(b, kInvalid, {"no graph"});
}

TEST(InvalidModel, OneVersionTwiceIsFine) {
  auto b = reluModel();
  b.model.add_opset_import()->set_version(13);
  auto *alias = b.model.add_opset_import();
  alias->set_domain("ai.onnx");
  alias->set_version(13);
  EXPECT_TRUE(Imported(b).module) << Imported(b).text();
  alias->set_version(12);
  expectError(b, kInvalid, {"domain 'ai.onnx' is imported twice, as version 13 and 12"});
}

TEST(InvalidModel, NewerIrVersionIsFine) {
  auto b = reluModel();
  b.model.set_ir_version(99);
  EXPECT_TRUE(Imported(b).module) << Imported(b).text();
}

TEST(InvalidModel, UndefinedTensors) {
  auto b = reluModel();
  b.node("Relu", {"nowhere"}, {"z"});
  expectError(b, kInvalid, {"'z_node'", "'nowhere'", "undefined"});
  b = reluModel();
  b.output("ghost");
  expectError(b, kInvalid, {"graph output 'ghost'", "undefined"});
  b = reluModel();
  b.graph().clear_output();
  expectError(b, kInvalid, {"no outputs"});
}

TEST(InvalidModel, Cycle) {
  ModelBuilder b;
  b.input("x", {2}).output("b");
  b.node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"});
  expectError(b, kInvalid, {"cycle", "'a_node' -> 'b_node'", "-> 'a_node'"});
  ModelBuilder self;
  self.input("x", {2}).node("Add", {"x", "y"}, {"y"}).output("y");
  expectError(self, kInvalid, {"cycle: 'y_node' -> 'y_node'"});
  // Of the nodes before and behind a cycle none is named.
  ModelBuilder inside;
  inside.input("x", {2}).output("z").node("Abs", {"c"}, {"z"});
  inside.node("Add", {"p", "c"}, {"a"}).node("Relu", {"a"}, {"b"}).node("Relu", {"b"}, {"c"});
  inside.node("Neg", {"x"}, {"p"});
  expectError(inside, kInvalid, {"cycle: 'c_node' -> 'a_node' -> 'b_node' -> 'c_node'"});
}

TEST(InvalidModel, LongCyclesAreCut) {
  ModelBuilder b;
  b.output("v0");
  for (int i = 0; i < 20; ++i)
    b.node("Relu", {"v" + std::to_string((i + 19) % 20)}, {"v" + std::to_string(i)});
  expectError(b, kInvalid, {"'v0_node' -> 'v1_node' -> ", "'v7_node' -> ... -> 'v0_node'"});
}

TEST(InvalidModel, DuplicateNames) {
  auto b = reluModel();
  b.node("Abs", {"x"}, {"y"});
  expectError(b, kInvalid, {"tensor 'y' is also made by node"});
  b = reluModel();
  b.node("Abs", {"x"}, {"x"});
  expectError(b, kInvalid, {"'x' is already a graph input"});
  b = reluModel();
  b.input("x", {2});
  expectError(b, kInvalid, {"graph input 'x' is declared twice"});
  b = reluModel();
  b.ints("w", {1}).ints("w", {2});
  expectError(b, kInvalid, {"initializer 'w' is defined twice"});
}

TEST(InvalidModel, TensorsAndTypes) {
  auto b = reluModel();
  b.initializer("w", Tensor::ofInts({1, 2})).set_raw_data("short");
  expectError(b, kInvalid, {"initializer 'w'", "raw_data has 5 bytes", "needs 16"});
  b = reluModel();
  auto *type = b.graph().mutable_input(0)->mutable_type()->mutable_tensor_type();
  type->mutable_shape()->mutable_dim(0)->set_dim_value(-3);
  expectError(b, kInvalid, {"tensor 'x'", "dim -3 is negative"});
  type->mutable_shape()->mutable_dim(0)->set_dim_value(int64_t{1} << 62);
  expectError(b, kInvalid, {"tensor 'x'", "overflows"});
  type->mutable_shape()->mutable_dim(0)->set_dim_value(2);
  type->set_elem_type(77);
  expectError(b, kInvalid, {"tensor 'x'", "unknown elem_type 77"});
  b = reluModel();
  b.graph().mutable_input(0)->clear_type();
  expectError(b, kInvalid, {"'x' has no type"});
  b = reluModel();
  b.graph().mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(7);
  expectError(b, kInvalid, {"'y' is declared int64 but computed as float32"});
}

TEST(InvalidModel, Attributes) {
  auto b = reluModel();
  b.node("LeakyRelu", {"x"}, {"z"}).attr("alpha", 1.0f).attr("alpha", 2.0f);
  expectError(b, kInvalid, {"'z_node'", "'alpha' is given twice"});
  b = reluModel();
  b.node("LeakyRelu", {"x"}, {"z"}).attr("alpha", "x");
  expectError(b, kInvalid,
              {"'z_node'", "LeakyRelu, opset 13", "'alpha'", "expected FLOAT", "found STRING"});
  b = reluModel();
  b.node("LeakyRelu", {"x"}, {"z"}).attribute("alpha", AttributeProto::FLOAT).set_i(1);
  expectError(b, kInvalid, {"declared FLOAT but carries"});
  b = reluModel();
  b.node("LeakyRelu", {"x"}, {"z"})
      .attribute("alpha", AttributeProto::FLOAT)
      .set_ref_attr_name("outer");
  expectError(b, kInvalid, {"outside a function"});
  b = reluModel();
  b.node("Concat", {"x", "x"}, {"z"});
  expectError(b, kInvalid, {"required attribute 'axis' is missing"});
}

TEST(InvalidModel, NodesAndArity) {
  auto b = reluModel();
  b.node("Add", {"x"}, {"z"});
  expectError(b, kInvalid, {"'z_node' (Add, opset 13)", "has 1 inputs, expected 2"});
  b = reluModel();
  b.node("Add", {"", "x"}, {"z"});
  expectError(b, kInvalid, {"input 0 is required but left out"});
  b = reluModel();
  b.node("Abs", {"x"}, {"z", "zz"});
  expectError(b, kInvalid, {"has 2 outputs, expected 1"});
  b = reluModel();
  b.node("", {"x"}, {"z"});
  expectError(b, kInvalid, {"no op_type"});
  b = reluModel();
  b.node("Abs", {"x"}, {"z"}).graph().mutable_node(1)->set_domain("com.example");
  expectError(b, kInvalid, {"domain 'com.example' is not in opset_import"});
}

TEST(InvalidModel, InferenceErrorsNameTheNode) {
  ModelBuilder b;
  b.input("x", {2, 3}).input("z", {4, 5}).node("MatMul", {"x", "z"}, {"y"}).output("y");
  expectError(b, kInvalid, {"m.onnx", "node 'y_node' (MatMul, opset 13)"});
  ModelBuilder nameless;
  nameless.input("x", {2}).input("z", {3}).node("Add", {"x", "z"}, {"y"}).output("y");
  nameless.graph().mutable_node(0)->clear_name();
  expectError(nameless, kInvalid, {"node 'Add_0'"});
}

/// `depth` If nodes, each in the then-branch of the one before.
static ModelBuilder nestedModel(int depth) {
  auto b = reluModel();
  proto::GraphProto *graph = &b.graph();
  for (int i = 0; i < depth; ++i) {
    proto::NodeProto *node = graph->add_node();
    node->set_op_type("If");
    AttributeProto *branch = node->add_attribute();
    branch->set_name("then_branch");
    branch->set_type(AttributeProto::GRAPH);
    graph = branch->mutable_g();
    graph->set_name("nested");
  }
  return b;
}

TEST(InvalidModel, DeepNesting) {
  expectError(nestedModel(65), StatusCode::ResourceLimit, {"maxNesting 64"});
  expectError(nestedModel(64), kInvalid, {"(If, opset 13): has 0 inputs"});
  // Too deep for the parser, too.
  expectError(nestedModel(2000), kInvalid, {"nested deeper"});
}

TEST(InvalidModel, TooManyNodes) {
  Limits limits;
  limits.maxNodes = 1;
  auto b = reluModel();
  b.node("Abs", {"x"}, {"z"});
  expectError(b, StatusCode::ResourceLimit, {"maxNodes 1"}, limits);
}

TEST(InvalidModel, TimeLimit) {
  Limits limits;
  limits.deadline = Deadline::after(std::chrono::nanoseconds(0));
  Imported late(reluModel(), limits);
  EXPECT_EQ(late.module.status().code(), StatusCode::ResourceLimit);
  EXPECT_EQ(late.text(), "m.onnx: time limit of 0ms exceeded while reading the model");
  ParsedModel model{std::make_shared<proto::ModelProto>(reluModel().model), {}};
  EXPECT_EQ(validateModel(model, limits).status().message(),
            "node 'y_node' (Relu): time limit of 0ms exceeded while reading the model");
}
