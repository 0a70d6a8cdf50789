//===- ImportControlFlowTest.cpp - branches and loops ---------------------===//
#include "backends/interpreter/Interpreter.h"
#include "ir/OutlinedOps.h"
#include "tests/frontend/ModelBuilder.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using proto::AttributeProto;

namespace {
constexpr StatusCode kInvalid = StatusCode::InvalidModel;

proto::NodeProto &addNode(proto::GraphProto &graph, const std::string &op,
                          const std::vector<std::string> &inputs, const std::string &output) {
  proto::NodeProto &node = *graph.add_node();
  node.set_op_type(op);
  node.set_name(output + "_node");
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(output);
  return node;
}

/// The graph attribute of the node added last, with these inputs and outputs.
proto::GraphProto &body(ModelBuilder &b, const std::string &name,
                        const std::vector<std::string> &inputs,
                        const std::vector<std::string> &outputs) {
  proto::GraphProto &graph = *b.attribute(name, AttributeProto::GRAPH).mutable_g();
  for (const std::string &input : inputs)
    graph.add_input()->set_name(input);
  for (const std::string &output : outputs)
    graph.add_output()->set_name(output);
  return graph;
}

/// A model of one If: relu(x) or x + x.
ModelBuilder branchModel() {
  ModelBuilder b;
  b.input("c", {}, DType::Bool).input("x", {2}).node("If", {"c"}, {"y"}).output("y");
  addNode(body(b, "then_branch", {}, {"t"}), "Relu", {"x"}, "t");
  addNode(body(b, "else_branch", {}, {"e"}), "Add", {"x", "x"}, "e");
  return b;
}

/// A model of one Loop: v starts as x and is appended to itself; the iteration is
/// collected.
ModelBuilder loopModel() {
  ModelBuilder b;
  b.input("n", {}, DType::Int64).input("x", {1, 2});
  b.node("Loop", {"n", "", "x"}, {"last", "all"}).output("last").output("all");
  b.graph().mutable_output(1)->clear_type();
  auto &loop = body(b, "body", {"i", "c", "v"}, {"d", "w", "i"});
  addNode(loop, "Identity", {"c"}, "d");
  auto &axis = *addNode(loop, "Concat", {"v", "v"}, "w").add_attribute();
  axis.set_name("axis");
  axis.set_type(AttributeProto::INT);
  axis.set_i(0);
  return b;
}

Expected<std::vector<Tensor>> run(Imported &m, const std::vector<Tensor> &inputs,
                                  const interpreter::RunOptions &options = {}) {
  mlir::func::FuncOp main;
  (*m.module)->walk([&](mlir::func::FuncOp func) { main = func; });
  return interpreter::interpret(main, inputs, options);
}

std::vector<float> floats(const Tensor &tensor) {
  return {tensor.data<float>(), tensor.data<float>() + tensor.numElements()};
}
} // namespace

TEST(ImportControlFlow, BranchesSeeTheValuesAround) {
  Imported m(branchModel());
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.outputType(), "tensor<2xf32>");
  Tensor x = Tensor::of<float>({2}, {-1, 2});
  auto yes = run(m, {Tensor::of<bool>({}, {true}), x});
  auto no = run(m, {Tensor::of<bool>({}, {false}), x});
  ASSERT_TRUE(yes && no);
  EXPECT_EQ(floats((*yes)[0]), (std::vector<float>{0, 2}));
  EXPECT_EQ(floats((*no)[0]), (std::vector<float>{-2, 4}));
}

TEST(ImportControlFlow, CarriedTypesAreWidened) {
  Imported m(loopModel());
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.outputType(0), "tensor<?x2xf32>");
  EXPECT_EQ(m.outputType(1), "tensor<?xi64>");
  auto outputs = run(m, {Tensor::of<int64_t>({}, {3}), Tensor::of<float>({1, 2}, {1, 2})});
  ASSERT_TRUE(outputs) << outputs.status().message();
  EXPECT_EQ((*outputs)[0].dims(), (Tensor::Dims{8, 2}));
  EXPECT_EQ((*outputs)[1].describe(), "int64 3");
  EXPECT_EQ((*outputs)[1].data<int64_t>()[2], 2);
  // No iteration at all: the carried value as it was, nothing collected.
  auto none = run(m, {Tensor::of<int64_t>({}, {0}), Tensor::of<float>({1, 2}, {1, 2})});
  ASSERT_TRUE(none) << none.status().message();
  EXPECT_EQ((*none)[0].dims(), (Tensor::Dims{1, 2}));
  EXPECT_EQ((*none)[1].describe(), "int64 0");
}

TEST(ImportControlFlow, ScansSlices) {
  ModelBuilder b;
  b.input("s", {2}).input("x", {3, 2}).node("Scan", {"s", "x"}, {"sum", "sums"});
  b.attr("num_scan_inputs", int64_t{1}).attr("scan_input_directions", std::vector<int64_t>{1});
  b.attr("scan_output_axes", std::vector<int64_t>{1}).output("sum").output("sums");
  auto &scan = body(b, "body", {"a", "b"}, {"c", "d"});
  addNode(scan, "Add", {"a", "b"}, "c");
  addNode(scan, "Identity", {"c"}, "d");
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.outputType(1), "tensor<2x3xf32>");
  auto outputs =
      run(m, {Tensor::of<float>({2}, {0, 0}), Tensor::of<float>({3, 2}, {1, 10, 2, 20, 3, 30})});
  ASSERT_TRUE(outputs) << outputs.status().message();
  EXPECT_EQ(floats((*outputs)[0]), (std::vector<float>{6, 60}));
  EXPECT_EQ(floats((*outputs)[1]), (std::vector<float>{3, 5, 6, 30, 50, 60}));
}

TEST(ImportControlFlow, EndlessLoopsEnd) {
  ModelBuilder b = loopModel();
  // Without a trip count; the value is handed on as it is.
  b.graph().mutable_node(0)->set_input(0, "");
  auto &loop = *b.graph().mutable_node(0)->mutable_attribute(0)->mutable_g();
  loop.mutable_node(1)->Clear();
  loop.mutable_node(1)->set_op_type("Identity");
  loop.mutable_node(1)->add_input("v");
  loop.mutable_node(1)->add_output("w");
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  interpreter::RunOptions options;
  options.limits.deadline = Deadline::after(std::chrono::milliseconds(50));
  auto outputs = run(m, {Tensor::of<int64_t>({}, {0}), Tensor::of<float>({1, 2}, {1, 2})}, options);
  ASSERT_FALSE(outputs);
  EXPECT_EQ(outputs.status().code(), StatusCode::ResourceLimit);
  expectContains(outputs.status().message(), "node 'last_node' (nn.loop)");
}

TEST(ImportControlFlow, BadBodies) {
  ModelBuilder elements = branchModel();
  auto &branch = *elements.graph().mutable_node(0)->mutable_attribute(1)->mutable_g();
  branch.mutable_node(0)->Clear();
  branch.mutable_node(0)->set_op_type("Identity");
  branch.mutable_node(0)->add_input("c");
  branch.mutable_node(0)->add_output("e");
  expectError(elements, kInvalid, {"'y_node' (If, opset 13)", "result 0 of the then branch"});

  ModelBuilder missing = branchModel();
  missing.graph().mutable_node(0)->mutable_attribute()->RemoveLast();
  expectError(missing, kInvalid, {"required attribute 'else_branch' is missing"});

  ModelBuilder undefined = branchModel();
  undefined.graph().mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_input(
      0, "nothing");
  expectError(undefined, kInvalid, {"'y_node' (If, opset 13)", "'nothing' is undefined"});

  ModelBuilder inputs = loopModel();
  inputs.graph().mutable_node(0)->mutable_attribute(0)->mutable_g()->add_input()->set_name("z");
  expectError(inputs, kInvalid, {"the body has 4 inputs, expected 3"});

  ModelBuilder outputs = loopModel();
  outputs.graph().mutable_node(0)->add_output("more");
  expectError(outputs, kInvalid, {"has 3 outputs, the body gives 2"});
}

/// branchModel, with branches that add a vector of 3 where `broken` says so.
static ModelBuilder brokenModel(const std::vector<int> &broken) {
  ModelBuilder b = branchModel();
  b.initializer("w", Tensor::of<float>({3}, {1, 2, 3}));
  for (int branch : broken) {
    auto &node =
        *b.graph().mutable_node(0)->mutable_attribute(branch)->mutable_g()->mutable_node(0);
    node.set_op_type("Add");
    node.clear_input();
    node.add_input("x");
    node.add_input("w");
  }
  return b;
}

// A branch that can never be run does not refuse the model, but its own run.
TEST(ImportControlFlow, ABrokenBranchFailsWhenItIsTaken) {
  Imported m(brokenModel({1}));
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.outputType(), "tensor<2xf32>");
  Tensor x = Tensor::of<float>({2}, {-1, 2});
  auto yes = run(m, {Tensor::of<bool>({}, {true}), x});
  ASSERT_TRUE(yes) << yes.status().message();
  EXPECT_EQ(floats((*yes)[0]), (std::vector<float>{0, 2}));
  auto no = run(m, {Tensor::of<bool>({}, {false}), x});
  EXPECT_EQ(no.status().code(), StatusCode::InvalidInput);
  expectContains(no.status().message(),
                 "node 'y_node' (nn.fail): node 'e_node' (Add, opset 13): 'nn.add' op ");
}

TEST(ImportControlFlow, WhatAlwaysFailsIsRefused) {
  expectError(brokenModel({0, 1}), kInvalid,
              {"node 'y_node' (If, opset 13): node 't_node' (Add, opset 13): 'nn.add' op "});
  // In a branch of another, it is a branch that is broken.
  ModelBuilder outer = branchModel();
  ModelBuilder inner = brokenModel({0, 1});
  auto &branch = *outer.graph().mutable_node(0)->mutable_attribute(1)->mutable_g();
  *branch.add_initializer() = inner.graph().initializer(0);
  *branch.mutable_node(0) = inner.graph().node(0);
  branch.mutable_node(0)->set_output(0, "e");
  Imported m(outer);
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.count<nn::IfOp>(), 1);
  EXPECT_EQ(m.count<nn::FailOp>(), 1);
}

// Loops always reach their bodies, as far as an import can tell; attributes are wrong
// wherever they are.
TEST(ImportControlFlow, OtherErrorsOfBodiesAreRefused) {
  ModelBuilder loop = loopModel();
  loop.initializer("row", Tensor::of<float>({1, 3}, {1, 2, 3}));
  loop.graph().mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node(1)->set_input(
      1, "row");
  expectError(loop, kInvalid, {"node 'w_node' (Concat, opset 13): 'nn.concat' op "});
  ModelBuilder attribute = branchModel();
  auto &node =
      *attribute.graph().mutable_node(0)->mutable_attribute(1)->mutable_g()->mutable_node(0);
  node.set_op_type("Concat");
  expectError(attribute, kInvalid, {"'e_node' (Concat", "required attribute 'axis' is missing"});
}

// The body of each loop is imported up to five times: bounded by the node limit.
TEST(ImportControlFlow, NestedLoopsAreBounded) {
  ModelBuilder b = loopModel();
  for (int i = 0; i < 20; ++i) {
    ModelBuilder outer = loopModel();
    auto &loop = *outer.graph().mutable_node(0)->mutable_attribute(0)->mutable_g();
    proto::NodeProto inner = b.graph().node(0);
    inner.set_name("inner" + std::to_string(i));
    inner.set_output(0, "l" + std::to_string(i));
    inner.set_output(1, "a" + std::to_string(i));
    *loop.add_node() = inner;
    b.model.Swap(&outer.model);
  }
  Limits limits;
  limits.maxNodes = 100000;
  Imported m(b, limits);
  if (!m.module)
    expectContains(m.text(), "maxNodes");
}

/// A loop of `n` iterations in which `count` values shift by one place: the first is
/// appended to itself (or, with `ranks`, gets a dimension more), each other is the one before
/// it. The last carried value keeps its shape.
static ModelBuilder shiftModel(int count, bool ranks) {
  ModelBuilder b;
  b.input("n", {}, DType::Int64).input("x", {1, 2}).input("k", {3});
  std::vector<std::string> inputs = {"n", ""}, arguments = {"i", "c"}, yields = {"d"}, outputs;
  for (int i = 0; i <= count; ++i) {
    std::string number = std::to_string(i);
    inputs.push_back(i < count ? "x" : "k");
    arguments.push_back("v" + number);
    yields.push_back("w" + number);
    outputs.push_back("r" + number);
  }
  b.node("Loop", inputs, outputs);
  for (int i = 0; i <= count; ++i) {
    b.output(outputs[i]);
    b.graph().mutable_output(i)->clear_type();
  }
  auto &loop = body(b, "body", arguments, yields);
  addNode(loop, "Identity", {"c"}, "d");
  if (ranks) {
    b.initializer("axes", Tensor::ofInts({0}));
    addNode(loop, "Unsqueeze", {"v0", "axes"}, "w0");
  } else {
    auto &axis = *addNode(loop, "Concat", {"v0", "v0"}, "w0").add_attribute();
    axis.set_name("axis");
    axis.set_type(AttributeProto::INT);
  }
  for (int i = 1; i < count; ++i)
    addNode(loop, "Identity", {"v" + std::to_string(i - 1)}, "w" + std::to_string(i));
  addNode(loop, "Neg", {"v" + std::to_string(count)}, "w" + std::to_string(count));
  return b;
}

// Each attempt finds that one more of them changes: however many they are.
TEST(ImportControlFlow, ChainsOfCarriedValuesAreWidened) {
  for (int count : {3, 4, 5, 9}) {
    Imported m(shiftModel(count, /*ranks=*/false));
    ASSERT_TRUE(m.module) << count << ": " << m.text();
    EXPECT_EQ(m.outputType(count - 1), count == 3 ? "tensor<?x2xf32>" : "tensor<?x?xf32>");
    EXPECT_EQ(m.outputType(count), "tensor<3xf32>");
    auto outputs = run(m, {Tensor::of<int64_t>({}, {3}), Tensor::of<float>({1, 2}, {1, 2}),
                           Tensor::of<float>({3}, {1, 2, 3})});
    ASSERT_TRUE(outputs) << outputs.status().message();
    for (int i = 0; i < count; ++i)
      EXPECT_EQ((*outputs)[i].dim(0), 1 << std::max(0, 3 - i)) << count << ", " << i;
    EXPECT_EQ(floats((*outputs)[count]), (std::vector<float>{-1, -2, -3}));
  }
}

TEST(ImportControlFlow, ChainsOfChangingRanksAreWidened) {
  Imported m(shiftModel(6, /*ranks=*/true));
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.outputType(5), "tensor<*xf32>");
  EXPECT_EQ(m.outputType(6), "tensor<3xf32>");
  auto outputs = run(m, {Tensor::of<int64_t>({}, {2}), Tensor::of<float>({1, 2}, {1, 2}),
                         Tensor::of<float>({3}, {1, 2, 3})});
  ASSERT_TRUE(outputs) << outputs.status().message();
  EXPECT_EQ((*outputs)[0].dims(), (Tensor::Dims{1, 1, 1, 2}));
  EXPECT_EQ((*outputs)[1].dims(), (Tensor::Dims{1, 1, 2}));
  EXPECT_EQ((*outputs)[2].dims(), (Tensor::Dims{1, 2}));
}

// A constant made of a static shape hides from the ops what it depends on; the file's names
// do not.
TEST(ImportControlFlow, ShapesThatBecomeConstantsAreFollowed) {
  ModelBuilder b = shiftModel(3, /*ranks=*/false);
  auto &loop = *b.graph().mutable_node(0)->mutable_attribute(0)->mutable_g();
  // The last of the chain has the dims of the one before it.
  auto &node = *loop.mutable_node(3);
  node.set_op_type("ConstantOfShape");
  node.set_input(0, "sizes");
  addNode(loop, "Shape", {"v1"}, "sizes");
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  auto outputs = run(m, {Tensor::of<int64_t>({}, {3}), Tensor::of<float>({1, 2}, {1, 2}),
                         Tensor::of<float>({3}, {1, 2, 3})});
  ASSERT_TRUE(outputs) << outputs.status().message();
  EXPECT_EQ((*outputs)[2].dims(), (Tensor::Dims{2, 2}));
}

// [1] where the body declares it, or a vector of any other size, as in ONNX Runtime; else a
// scalar.
TEST(ImportControlFlow, NumberAndConditionHaveTheRankThatIsDeclared) {
  for (int rank : {0, 1}) {
    ModelBuilder b = loopModel();
    auto &loop = *b.graph().mutable_node(0)->mutable_attribute(0)->mutable_g();
    for (int input : {0, 1}) {
      auto &type = *loop.mutable_input(input)->mutable_type()->mutable_tensor_type();
      type.set_elem_type(static_cast<int>(input == 0 ? DType::Int64 : DType::Bool));
      type.mutable_shape();
      if (rank == 1)
        type.mutable_shape()->add_dim()->set_dim_value(1);
    }
    loop.mutable_node(1)->Clear();
    loop.mutable_node(1)->set_op_type("Identity");
    loop.mutable_node(1)->add_input("v");
    loop.mutable_node(1)->add_output("w");
    loop.add_output()->set_name("c");
    b.graph().mutable_node(0)->add_output("conditions");
    b.output("conditions");
    b.graph().mutable_output(2)->clear_type();
    Imported m(b);
    ASSERT_TRUE(m.module) << m.text();
    auto outputs = run(m, {Tensor::of<int64_t>({}, {3}), Tensor::of<float>({1, 2}, {1, 2})});
    ASSERT_TRUE(outputs) << outputs.status().message();
    EXPECT_EQ((*outputs)[1].describe(), rank == 1 ? "int64 3x1" : "int64 3");
    EXPECT_EQ((*outputs)[2].describe(), rank == 1 ? "bool 3x1" : "bool 3");
  }
}
