//===- LocalFunctionTest.cpp - functions that a model brings with it ------===//
#include "tests/frontend/ModelBuilder.h"

#include <google/protobuf/unknown_field_set.h>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using proto::AttributeProto;

namespace {
constexpr StatusCode kInvalid = StatusCode::InvalidModel;

/// A function of domain "local" on the default opset 13.
proto::FunctionProto &addFunction(ModelBuilder &b, const std::string &name,
                                  const std::vector<std::string> &inputs,
                                  const std::vector<std::string> &outputs) {
  if (b.model.opset_import_size() == 1) {
    auto *local = b.model.add_opset_import();
    local->set_domain("local");
    local->set_version(1);
  }
  proto::FunctionProto &function = *b.model.add_functions();
  function.set_name(name);
  function.set_domain("local");
  *function.mutable_opset_import() = b.model.opset_import();
  for (const std::string &input : inputs)
    function.add_input(input);
  for (const std::string &output : outputs)
    function.add_output(output);
  return function;
}

proto::NodeProto &addNode(proto::FunctionProto &function, const std::string &op,
                          const std::vector<std::string> &inputs,
                          const std::vector<std::string> &outputs) {
  proto::NodeProto &node = *function.add_node();
  node.set_op_type(op);
  node.set_name(op + "_" + outputs[0]);
  for (const std::string &input : inputs)
    node.add_input(input);
  for (const std::string &output : outputs)
    node.add_output(output);
  return node;
}

AttributeProto &addReference(proto::NodeProto &node, const std::string &name,
                             AttributeProto::AttributeType type, const std::string &to) {
  AttributeProto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  attribute.set_ref_attr_name(to);
  return attribute;
}

/// Adds a field that the generated classes do not know.
void addUnknown(google::protobuf::Message &message, int number, const std::string &bytes) {
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(number, bytes);
}

ModelBuilder &call(ModelBuilder &b, const std::string &function,
                   const std::vector<std::string> &inputs,
                   const std::vector<std::string> &outputs) {
  b.node(function, inputs, outputs);
  b.graph().mutable_node(b.graph().node_size() - 1)->set_domain("local");
  return b;
}

template <typename Op> std::vector<std::string> namesOf(Imported &m) {
  std::vector<std::string> names;
  (*m.module)->walk([&](Op op) { names.push_back(nn::nodeName(op->getLoc())); });
  return names;
}
} // namespace

TEST(LocalFunction, IsExpandedWhereItIsCalled) {
  ModelBuilder b;
  auto &twice = addFunction(b, "Twice", {"a"}, {"c"});
  // Out of order, and with names that the graph has as well.
  addNode(twice, "Add", {"x", "x"}, {"c"});
  addNode(twice, "Relu", {"a"}, {"x"});
  b.input("x", {2});
  call(b, "Twice", {"x"}, {"a"});
  call(b, "Twice", {"a"}, {"y"}).output("y");
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  using Names = std::vector<std::string>;
  EXPECT_EQ(namesOf<nn::ReluOp>(m), (Names{"a_node/Relu_x", "y_node/Relu_x"}));
  EXPECT_EQ(namesOf<nn::AddOp>(m), (Names{"a_node/Add_c", "y_node/Add_c"}));
}

TEST(LocalFunction, CallsOtherFunctions) {
  ModelBuilder b;
  auto &outer = addFunction(b, "Outer", {"a"}, {"b"});
  auto &inner = addFunction(b, "Inner", {"a"}, {"b"});
  addNode(inner, "Relu", {"a"}, {"b"});
  addNode(outer, "Inner", {"a"}, {"b"}).set_domain("local");
  b.input("x", {2});
  call(b, "Outer", {"x"}, {"y"}).output("y");
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(namesOf<nn::ReluOp>(m), (std::vector<std::string>{"y_node/Inner_b/Relu_b"}));
}

TEST(LocalFunction, AttributesAreBoundAtTheCall) {
  ModelBuilder b;
  auto &flatten = addFunction(b, "Flat", {"a"}, {"b"});
  flatten.add_attribute("where");
  addReference(addNode(flatten, "Flatten", {"a"}, {"b"}), "axis", AttributeProto::INT, "where");
  auto &outer = addFunction(b, "Outer", {"a"}, {"b"});
  outer.add_attribute("position");
  auto &nested = addNode(outer, "Flat", {"a"}, {"b"});
  nested.set_domain("local");
  addReference(nested, "where", AttributeProto::INT, "position");
  b.input("x", {2, 3, 5});
  call(b, "Flat", {"x"}, {"p"}).attr("where", int64_t{2}).output("p");
  // Without it, Flatten's own default holds.
  call(b, "Flat", {"x"}, {"q"}).output("q");
  call(b, "Outer", {"x"}, {"r"}).attr("position", int64_t{0}).output("r");
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.outputType(0), "tensor<6x5xf32>");
  EXPECT_EQ(m.outputType(1), "tensor<2x15xf32>");
  EXPECT_EQ(m.outputType(2), "tensor<1x30xf32>");
}

TEST(LocalFunction, DefaultsOfAttributes) {
  ModelBuilder b;
  auto &function = addFunction(b, "Constants", {}, {"i", "t"});
  AttributeProto number, tensor;
  number.set_name("number");
  number.set_type(AttributeProto::INTS);
  number.add_ints(7), number.add_ints(8), number.add_ints(9);
  tensor.set_name("tensor");
  tensor.set_type(AttributeProto::TENSOR);
  tensor.mutable_t()->set_data_type(1);
  tensor.mutable_t()->add_dims(2);
  tensor.mutable_t()->set_raw_data(std::string("\0\0\x80\x3f\0\0\0\x40", 8));
  addUnknown(function, 11, number.SerializeAsString());
  addUnknown(function, 11, tensor.SerializeAsString());
  addReference(addNode(function, "Constant", {}, {"i"}), "value_ints", AttributeProto::INTS,
               "number");
  addReference(addNode(function, "Constant", {}, {"t"}), "value", AttributeProto::TENSOR, "tensor");
  call(b, "Constants", {}, {"i0", "t0"});
  call(b, "Constants", {}, {"i1"}).attr("number", std::vector<int64_t>{1, 2});
  b.output("i0").output("t0").output("i1");
  for (int i : {0, 2})
    b.graph().mutable_output(i)->clear_type();
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.outputType(0), "tensor<3xi64>");
  EXPECT_EQ(m.outputType(1), "tensor<2xf32>");
  EXPECT_EQ(m.outputType(2), "tensor<2xi64>");
  bool found = false;
  (*m.module)->walk([&](nn::ConstantOp op) {
    auto tensor = nn::constantTensor(op);
    if (tensor->dtype() == DType::Float32) {
      found = true;
      EXPECT_EQ(tensor->data<float>()[1], 2.0f);
    }
  });
  EXPECT_TRUE(found);
}

TEST(LocalFunction, OptionalInputsMayBeLeftOut) {
  ModelBuilder b;
  auto &function = addFunction(b, "Bound", {"a", "low", "high"}, {"b"});
  addNode(function, "Clip", {"a", "low", "high"}, {"b"});
  b.input("x", {2}).initializer("low", Tensor::of<float>({}, {0}));
  call(b, "Bound", {"x", "low"}, {"y"}).output("y");
  Imported m(b);
  EXPECT_TRUE(m.module) << m.text();
  // What was left out cannot be a result.
  ModelBuilder c;
  addFunction(c, "Pass", {"a", "b"}, {"b"});
  c.input("x", {2});
  call(c, "Pass", {"x"}, {"y"}).output("y");
  expectError(c, kInvalid, {"'y_node' (function local.Pass)", "output 0", "left out"});
}

TEST(LocalFunction, HasOpsetsOfItsOwn) {
  // Opset 7's Squeeze has its axes as an attribute, opset 13's does not.
  ModelBuilder b;
  auto &function = addFunction(b, "Drop", {"a"}, {"b"});
  function.mutable_opset_import(0)->set_version(11);
  auto &attribute = *addNode(function, "Squeeze", {"a"}, {"b"}).add_attribute();
  attribute.set_name("axes");
  attribute.set_type(AttributeProto::INTS);
  attribute.add_ints(0);
  b.input("x", {1, 2});
  call(b, "Drop", {"x"}, {"y"}).output("y");
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.outputType(), "tensor<2xf32>");
}

TEST(LocalFunction, OverloadsAreApart) {
  ModelBuilder b;
  addNode(addFunction(b, "F", {"a"}, {"b"}), "Relu", {"a"}, {"b"});
  auto &second = addFunction(b, "F", {"a"}, {"b"});
  addNode(second, "Abs", {"a"}, {"b"});
  expectError(b.input("x", {2}).output("x"), kInvalid, {"function 'local.F'", "defined twice"});
  addUnknown(second, 13, "second");
  call(b, "F", {"x"}, {"y"});
  addUnknown(*b.graph().mutable_node(0), 8, "second");
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  EXPECT_EQ(m.count<nn::AbsOp>(), 1);
  EXPECT_EQ(m.count<nn::ReluOp>(), 0);
}

TEST(LocalFunction, RecursionIsRefusedByName) {
  ModelBuilder b;
  addNode(addFunction(b, "A", {"a"}, {"b"}), "B", {"a"}, {"b"}).set_domain("local");
  addNode(addFunction(b, "B", {"a"}, {"b"}), "A", {"a"}, {"b"}).set_domain("local");
  b.input("x", {2});
  call(b, "A", {"x"}, {"y"}).output("y");
  expectError(b, kInvalid, {"call themselves", "'local.A' -> 'local.B' -> 'local.A'"});
}

TEST(LocalFunction, ExpansionIsBounded) {
  // Each calls the one before twice: 2^40 nodes of a few bytes.
  ModelBuilder b;
  addNode(addFunction(b, "F0", {"a"}, {"b"}), "Relu", {"a"}, {"b"});
  for (int i = 1; i <= 40; ++i) {
    auto &function = addFunction(b, "F" + std::to_string(i), {"a"}, {"b"});
    std::string callee = "F" + std::to_string(i - 1);
    addNode(function, callee, {"a"}, {"m"}).set_domain("local");
    addNode(function, callee, {"m"}, {"b"}).set_domain("local");
  }
  b.input("x", {2});
  call(b, "F40", {"x"}, {"y"}).output("y");
  expectError(b, StatusCode::ResourceLimit, {"maxNodes", "functions it calls"});

  Limits limits;
  limits.maxNesting = 5;
  ModelBuilder deep;
  deep.model.Swap(&b.model);
  expectError(deep, StatusCode::ResourceLimit, {"function calls nested deeper than maxNesting 5"},
              limits);
}

TEST(LocalFunction, ErrorsNameTheInnerNode) {
  ModelBuilder b;
  auto &function = addFunction(b, "Product", {"a"}, {"b"});
  addNode(function, "MatMul", {"a", "a"}, {"b"});
  b.input("x", {2, 3});
  call(b, "Product", {"x"}, {"y"}).output("y");
  expectError(b, kInvalid, {"node 'y_node/MatMul_b' (MatMul, opset 13)"});
}

TEST(LocalFunction, BadCallsAndBodies) {
  auto model = [](auto change) {
    ModelBuilder b;
    auto &function = addFunction(b, "F", {"a"}, {"b"});
    addNode(function, "Relu", {"a"}, {"b"});
    b.input("x", {2});
    call(b, "F", {"x"}, {"y"}).output("y");
    change(b, function);
    return b;
  };
  using Function = proto::FunctionProto;
  expectError(model([](ModelBuilder &b, Function &) { b.graph().mutable_node(0)->add_input("x"); }),
              kInvalid, {"'y_node' (function local.F)", "has 2 inputs, the function has 1"});
  expectError(
      model([](ModelBuilder &b, Function &) { b.graph().mutable_node(0)->add_output("z"); }),
      kInvalid, {"has 2 outputs, the function has 1"});
  expectError(model([](ModelBuilder &b, Function &) { b.attr("speed", int64_t{1}); }),
              StatusCode::Unsupported, {"attribute 'speed' is unknown to the function"});
  expectError(model([](ModelBuilder &, Function &f) { f.mutable_node(0)->set_input(0, "x"); }),
              kInvalid, {"function 'local.F'", "input 'x' is undefined: no function input"});
  expectError(model([](ModelBuilder &, Function &f) { f.set_output(0, "c"); }), kInvalid,
              {"function output 'c' is undefined"});
  expectError(model([](ModelBuilder &, Function &f) {
                addReference(*f.mutable_node(0), "axis", AttributeProto::INT, "unknown");
              }),
              kInvalid, {"'unknown', which the function does not have"});
  expectError(model([](ModelBuilder &, Function &f) { f.clear_opset_import(); }), kInvalid,
              {"function 'local.F'", "no opset_import"});
  expectError(model([](ModelBuilder &, Function &f) { f.mutable_node(0)->set_op_type("Twirl"); }),
              StatusCode::Unsupported, {"Twirl (opset 13, 1 node"});
  expectError(model([](ModelBuilder &, Function &f) { f.clear_name(); }), kInvalid,
              {"a local function has no name"});
}
