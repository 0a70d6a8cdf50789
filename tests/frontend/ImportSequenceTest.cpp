//===- ImportSequenceTest.cpp - sequences and optionals of ONNX -----------===//
#include "ir/SequenceOps.h"
#include "tests/frontend/RunModel.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using proto::AttributeProto;
using proto::TypeProto;
using Values = std::vector<AnyValue>;

namespace {
constexpr StatusCode kInvalid = StatusCode::InvalidModel;

Tensor floats(const std::vector<float> &values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

void setTensor(TypeProto &type) { type.mutable_tensor_type()->set_elem_type(1); }

ModelBuilder &addInput(ModelBuilder &b, const std::string &name, const TypeProto &type) {
  proto::ValueInfoProto *input = b.graph().add_input();
  input->set_name(name);
  *input->mutable_type() = type;
  return b;
}

TypeProto sequenceType() {
  TypeProto type;
  setTensor(*type.mutable_sequence_type()->mutable_elem_type());
  return type;
}

TypeProto optionalType() {
  TypeProto type;
  *type.mutable_optional_type()->mutable_elem_type() = sequenceType();
  return type;
}

AnyValue sequenceOf(std::vector<Tensor> tensors) {
  return AnyValue::sequence(ValueType::tensor(DType::Float32), {tensors.begin(), tensors.end()})
      .take();
}

ModelBuilder &outputs(ModelBuilder &b, std::initializer_list<const char *> names) {
  for (const char *name : names)
    b.graph().add_output()->set_name(name);
  return b;
}

Expected<Values> tryRun(const ModelBuilder &model, const Values &inputs) {
  Imported imported(model);
  EXPECT_TRUE(imported.module) << imported.text();
  if (!imported.module)
    return internalError("not imported");
  return interpreter::interpretValues(nn::findMain(**imported.module), inputs);
}

Values runValues(const ModelBuilder &model, const Values &inputs) {
  auto results = tryRun(model, inputs);
  EXPECT_TRUE(results) << results.status().message();
  return results ? results.take() : Values(8, Tensor::ofInts({}));
}

/// Of the elements of a sequence the descriptions.
std::string describeAll(const AnyValue &value) {
  std::string text;
  if (const SequenceValue *sequence = value.asSequence())
    for (const AnyValue &element : sequence->elements)
      text += (text.empty() ? "" : ", ") + element.describe();
  return text;
}
} // namespace

TEST(ImportSequence, MadeChangedAndRead) {
  ModelBuilder b(12);
  b.input("x", {2}).input("y", {3}).input("p", {}, DType::Int64);
  b.node("SequenceConstruct", {"x", "y"}, {"s"}).node("SequenceInsert", {"s", "x", "p"}, {"t"});
  b.node("SequenceErase", {"t"}, {"u"}).node("SequenceAt", {"u", "p"}, {"a"});
  b.node("SequenceLength", {"t"}, {"n"});
  outputs(b, {"t", "u", "a", "n"});
  Values results = runValues(b, {floats({1, 2}), floats({3, 4, 5}), Tensor::of<int64_t>({}, {-1})});
  EXPECT_EQ(describeAll(results[0]), "float32 2, float32 2, float32 3");
  EXPECT_EQ(describeAll(results[1]), "float32 2, float32 2");
  expectFloats(*results[2].asTensor(), {2}, {1, 2});
  EXPECT_EQ(results[3].asTensor()->data<int64_t>()[0], 3);
}

TEST(ImportSequence, EmptyOnesTakeTheTypeOfTheFirstValue) {
  ModelBuilder b(12);
  b.input("x", {2}).node("SequenceEmpty", {}, {"e"}).node("SequenceInsert", {"e", "x"}, {"s"});
  b.node("ConcatFromSequence", {"s"}, {"y"}).attr("axis", int64_t{0}).attr("new_axis", int64_t{1});
  b.output("y");
  Imported imported(b);
  EXPECT_EQ(imported.outputType(), "tensor<?x2xf32>");
  expectFloats(run(b, {floats({1, 2})})[0], {1, 2}, {1, 2});
}

TEST(ImportSequence, SplitToSequence) {
  ModelBuilder b(12);
  b.input("x", {5, 2}).input("n", {}, DType::Int64);
  b.node("SplitToSequence", {"x", "n"}, {"s"}).attr("axis", int64_t{-2});
  b.node("SplitToSequence", {"x"}, {"r"}).attr("axis", int64_t{1}).attr("keepdims", int64_t{0});
  outputs(b, {"s", "r"});
  Tensor x = Tensor::of<float>({5, 2}, std::vector<float>(10));
  Values results = runValues(b, {x, Tensor::of<int64_t>({}, {2})});
  EXPECT_EQ(describeAll(results[0]), "float32 2x2, float32 2x2, float32 1x2");
  EXPECT_EQ(describeAll(results[1]), "float32 5, float32 5");
  EXPECT_EQ(Imported(b).outputType(1), "!nn.sequence<tensor<5xf32>>");
}

TEST(ImportSequence, MapIsALoop) {
  ModelBuilder b(17);
  addInput(b, "s", sequenceType());
  b.input("y", {2}).node("SequenceMap", {"s", "y"}, {"t", "u"});
  proto::GraphProto &body = *b.attribute("body", AttributeProto::GRAPH).mutable_g();
  for (const char *name : {"a", "c"})
    body.add_input()->set_name(name);
  proto::NodeProto &add = *body.add_node();
  add.set_op_type("Add");
  add.add_input("a");
  add.add_input("c");
  add.add_output("sum");
  for (const char *name : {"sum", "a"}) // an argument is given on as it is
    body.add_output()->set_name(name);
  outputs(b, {"t", "u"});
  EXPECT_EQ(Imported(b).count<nn::LoopOp>(), 1);
  Values results = runValues(b, {sequenceOf({floats({1, 2}), floats({3})}), floats({10, 20})});
  EXPECT_EQ(describeAll(results[0]), "float32 2, float32 2");
  EXPECT_EQ(describeAll(results[1]), "float32 2, float32 1");
  expectFloats(*results[0].asSequence()->elements[1].asTensor(), {2}, {13, 23});
  EXPECT_EQ(describeAll(runValues(b, {sequenceOf({}), floats({10, 20})})[0]), "");
}

TEST(ImportSequence, Optionals) {
  ModelBuilder b(18);
  addInput(b, "o", optionalType());
  b.input("x", {2}).node("OptionalHasElement", {"o"}, {"h"}).node("Optional", {"x"}, {"w"});
  b.node("OptionalGetElement", {"w"}, {"y"}).node("OptionalHasElement", {}, {"n"});
  b.node("OptionalGetElement", {"x"}, {"z"}).node("OptionalHasElement", {"x"}, {"t"});
  b.node("Optional", {}, {"e"});
  *b.attribute("type", AttributeProto::TYPE_PROTO).mutable_tp() = sequenceType();
  b.node("OptionalGetElement", {"o"}, {"c"});
  outputs(b, {"h", "y", "n", "z", "t", "e", "c"});
  AnyValue sequence = sequenceOf({floats({5})});
  ValueType type = ValueType::sequenceOf(ValueType::tensor(DType::Float32));
  Values results = runValues(b, {AnyValue::optional(type, sequence).take(), floats({1, 2})});
  auto flag = [&](size_t i) { return results[i].asTensor()->data<bool>()[0]; };
  EXPECT_TRUE(flag(0) && !flag(2) && flag(4));
  expectFloats(*results[1].asTensor(), {2}, {1, 2});
  EXPECT_EQ(results[5].describe(), "empty optional");
  EXPECT_EQ(results[6].describe(), "sequence of 1 value");
  auto empty = tryRun(b, {AnyValue::optional(type, {}).take(), floats({1, 2})});
  EXPECT_EQ(empty.status().message(), "node 'c_node' (nn.optional_get): the optional is empty");
}

TEST(ImportSequence, LoopsTurnOptionalsIntoWhatIsInThem) {
  // The body gets an optional and yields a sequence; the model takes that as the result.
  ModelBuilder b(18);
  b.input("n", {}, DType::Int64);
  addInput(b, "o", optionalType()).node("Loop", {"n", "", "o"}, {"s"});
  proto::GraphProto &body = *b.attribute("body", AttributeProto::GRAPH).mutable_g();
  for (const char *name : {"i", "c", "v"})
    body.add_input()->set_name(name);
  auto addNode = [&](const char *op, std::vector<const char *> inputs, const char *output) {
    proto::NodeProto &node = *body.add_node();
    node.set_op_type(op);
    node.set_name(output);
    for (const char *input : inputs)
      node.add_input(input);
    node.add_output(output);
  };
  addNode("OptionalGetElement", {"v"}, "w");
  addNode("CastLike", {"i", "x"}, "f");
  b.initializer("x", floats({0}));
  addNode("SequenceInsert", {"w", "f"}, "t");
  for (const char *name : {"c", "t"})
    body.add_output()->set_name(name);
  outputs(b, {"s"});
  ValueType type = ValueType::sequenceOf(ValueType::tensor(DType::Float32));
  AnyValue first = AnyValue::optional(type, sequenceOf({floats({5})})).take();
  Values results = runValues(b, {Tensor::of<int64_t>({}, {3}), first});
  EXPECT_EQ(describeAll(results[0]), "float32 1, float32 scalar, float32 scalar, float32 scalar");
}

TEST(ImportSequence, ErrorsNameTheNode) {
  ModelBuilder mixed(12);
  mixed.input("x", {2}).input("i", {2}, DType::Int64);
  mixed.node("SequenceConstruct", {"x", "i"}, {"s"});
  outputs(mixed, {"s"});
  expectError(mixed, kInvalid,
              {"node 's_node' (SequenceConstruct", "cannot hold both float32 2 and int64 2"});
  ModelBuilder tensor(12);
  tensor.input("x", {2}).node("SequenceLength", {"x"}, {"n"});
  outputs(tensor, {"n"});
  expectError(tensor, kInvalid, {"'n_node'", "input 0 must be a sequence, found float32 2"});
  ModelBuilder dtype(12);
  dtype.node("SequenceEmpty", {}, {"s"}).attr("dtype", int64_t{99});
  outputs(dtype, {"s"});
  expectError(dtype, kInvalid, {"'s_node'", "attribute 'dtype' is 99, which is no element type"});
  ModelBuilder untyped(15);
  untyped.node("Optional", {}, {"o"});
  outputs(untyped, {"o"});
  expectError(untyped, kInvalid, {"'o_node'", "required attribute 'type' is missing"});
  ModelBuilder at(12);
  addInput(at, "s", sequenceType()).input("p", {}, DType::Int64);
  at.node("SequenceAt", {"s", "p"}, {"y"});
  outputs(at, {"y"});
  auto outside = tryRun(at, {sequenceOf({floats({1})}), Tensor::of<int64_t>({}, {1})});
  EXPECT_EQ(outside.status().message(),
            "node 'y_node' (nn.sequence_at): position 1 is outside of a sequence of 1 values");
}

/// A loop that appends its number to a sequence; with `keepsOld` it also carries what the
/// sequence was an iteration before.
static ModelBuilder appendingModel(bool keepsOld) {
  ModelBuilder b(17);
  b.input("n", {}, DType::Int64).node("SequenceEmpty", {}, {"e"}).attr("dtype", int64_t{7});
  std::vector<std::string> inputs = {"n", "", "e"}, results = {"s"};
  std::vector<std::string> arguments = {"i", "c", "q"}, yields = {"c2", "t"};
  if (keepsOld) {
    inputs.push_back("e");
    results.push_back("before");
    arguments.push_back("p");
    yields.push_back("q2");
  }
  b.node("Loop", inputs, results);
  proto::GraphProto &body = *b.attribute("body", AttributeProto::GRAPH).mutable_g();
  for (const std::string &name : arguments)
    body.add_input()->set_name(name);
  for (const std::string &name : yields)
    body.add_output()->set_name(name);
  auto add = [&](const char *op, std::initializer_list<const char *> from, const char *to) {
    proto::NodeProto &node = *body.add_node();
    node.set_op_type(op);
    for (const char *name : from)
      node.add_input(name);
    node.add_output(to);
  };
  add("Identity", {"c"}, "c2");
  add("SequenceInsert", {"q", "i"}, "t");
  if (keepsOld)
    add("Identity", {"q"}, "q2");
  if (keepsOld)
    outputs(b, {"s", "before"});
  else
    outputs(b, {"s"});
  return b;
}

// What an iteration adds is all that it handles.
TEST(ImportSequence, LoopsThatAppendTakeLinearWork) {
  Imported m(appendingModel(/*keepsOld=*/false));
  ASSERT_TRUE(m.module) << m.text();
  auto program = interpreter::ReferenceProgram::create(nn::findMain(**m.module).getBody().front());
  ASSERT_TRUE(program) << program.status().message();
  constexpr int64_t kTrips = 2000;
  Budget budget(Limits(), nullptr, "running", kTrips * 200);
  Values inputs = {Tensor::of<int64_t>({}, {kTrips})};
  auto results = program->run({inputs, budget});
  ASSERT_TRUE(results) << results.status().message();
  const SequenceValue *sequence = (*results)[0].asSequence();
  ASSERT_NE(sequence, nullptr);
  ASSERT_EQ(sequence->elements.size(), static_cast<size_t>(kTrips));
  EXPECT_EQ(sequence->elements[1234].asTensor()->data<int64_t>()[0], 1234);
}

// A sequence that something else reads stays as it is.
TEST(ImportSequence, LoopsKeepWhatTheyCarryOn) {
  Values results = runValues(appendingModel(/*keepsOld=*/true), {Tensor::of<int64_t>({}, {4})});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].asSequence()->elements.size(), 4u);
  EXPECT_EQ(results[1].asSequence()->elements.size(), 3u);
}
