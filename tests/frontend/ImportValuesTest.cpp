//===- ImportValuesTest.cpp - sequences, optionals and maps in models -----===//
#include "tests/frontend/ModelBuilder.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using proto::TypeProto;

namespace {
constexpr StatusCode kInvalid = StatusCode::InvalidModel;
constexpr StatusCode kUnsupported = StatusCode::Unsupported;

void setTensor(TypeProto &type, DType dtype, const std::vector<int64_t> &dims) {
  type.mutable_tensor_type()->set_elem_type(static_cast<int>(dtype));
  type.mutable_tensor_type()->mutable_shape();
  for (int64_t size : dims)
    type.mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(size);
}

TypeProto sequenceOf(DType dtype, const std::vector<int64_t> &dims) {
  TypeProto type;
  setTensor(*type.mutable_sequence_type()->mutable_elem_type(), dtype, dims);
  return type;
}

TypeProto mapOf(DType key, DType value) {
  TypeProto type;
  type.mutable_map_type()->set_key_type(static_cast<int>(key));
  setTensor(*type.mutable_map_type()->mutable_value_type(), value, {});
  return type;
}

ModelBuilder &addInput(ModelBuilder &b, const std::string &name, const TypeProto &type) {
  proto::ValueInfoProto *input = b.graph().add_input();
  input->set_name(name);
  *input->mutable_type() = type;
  return b;
}

/// A model that gives its input of this type.
ModelBuilder identityOf(const TypeProto &type) {
  ModelBuilder b;
  addInput(b, "s", type).node("Identity", {"s"}, {"y"}).output("y");
  *b.graph().mutable_output(0)->mutable_type() = type;
  return b;
}
} // namespace

TEST(ImportValues, PortsOfAllKinds) {
  EXPECT_EQ(Imported(identityOf(sequenceOf(DType::Float32, {2, 3}))).outputType(),
            "!nn.sequence<tensor<2x3xf32>>");
  EXPECT_EQ(Imported(identityOf(mapOf(DType::String, DType::Int64))).outputType(),
            "!nn.map<!nn.string, tensor<i64>>");
  TypeProto optional;
  *optional.mutable_optional_type()->mutable_elem_type() = sequenceOf(DType::Bool, {4});
  EXPECT_EQ(Imported(identityOf(optional)).outputType(),
            "!nn.optional<!nn.sequence<tensor<4xi1>>>");
}

// As PaddlePaddle's and older exporters write sizes that they do not know.
TEST(ImportValues, UnknownSizesOfExporters) {
  ModelBuilder b;
  b.input("x", {-1, 2, -1, -1}).output("y").node("Relu", {"x"}, {"y"});
  auto *shape = b.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->mutable_dim(0)->set_dim_value(-1);
  shape->mutable_dim(2)->set_dim_param("?");
  shape->mutable_dim(3)->set_dim_param("?");
  EXPECT_EQ(Imported(b).outputType(), "tensor<?x2x?x?xf32>");
}

TEST(ImportValues, BranchesYieldSequences) {
  ModelBuilder b;
  b.input("c", {}, DType::Bool);
  addInput(b, "s", sequenceOf(DType::Float32, {2}));
  addInput(b, "t", sequenceOf(DType::Float32, {3}));
  b.node("If", {"c"}, {"y"}).output("y");
  b.graph().mutable_output(0)->clear_type();
  for (auto [branch, name] : {std::pair("then_branch", "s"), {"else_branch", "t"}})
    b.attribute(branch, proto::AttributeProto::GRAPH).mutable_g()->add_output()->set_name(name);
  EXPECT_EQ(Imported(b).outputType(), "!nn.sequence<tensor<?xf32>>");
}

TEST(ImportValues, LoopsWidenWhatTheyCarry) {
  ModelBuilder b;
  b.input("n", {}, DType::Int64);
  addInput(b, "s", sequenceOf(DType::Float32, {2}));
  addInput(b, "t", sequenceOf(DType::Float32, {3}));
  b.node("Loop", {"n", "", "s"}, {"y"}).output("y");
  b.graph().mutable_output(0)->clear_type();
  proto::GraphProto &body = *b.attribute("body", proto::AttributeProto::GRAPH).mutable_g();
  for (const char *name : {"i", "c", "v"})
    body.add_input()->set_name(name);
  for (const char *name : {"c", "t"})
    body.add_output()->set_name(name);
  EXPECT_EQ(Imported(b).outputType(), "!nn.sequence<tensor<?xf32>>");
}

TEST(ImportValues, OpsOnTensorsRefuseOthers) {
  for (const char *op : {"Relu", "Shape", "CastLike"}) {
    ModelBuilder b(15);
    addInput(b, "s", sequenceOf(DType::Float32, {2}));
    bool castLike = op == std::string("CastLike");
    b.input("x", {2}).node(
        op, castLike ? std::vector<std::string>{"x", "s"} : std::vector<std::string>{"s"}, {"y"});
    b.output("y");
    expectError(b, kInvalid,
                {"'y_node' (", castLike ? "input 1" : "input 0",
                 "must be a tensor, found sequence of float32 2"});
  }
}

TEST(ImportValues, DeclaredAndComputedKindsMustAgree) {
  ModelBuilder b = identityOf(sequenceOf(DType::Float32, {2}));
  *b.graph().mutable_output(0)->mutable_type() = sequenceOf(DType::Int64, {2});
  expectError(b, kInvalid,
              {"graph output 'y' is declared sequence of int64 2 but computed as "
               "sequence of float32 2"});
  setTensor(*b.graph().mutable_output(0)->mutable_type(), DType::Float32, {2});
  expectError(b, kInvalid, {"declared float32 but computed as sequence of float32 2"});
}

TEST(ImportValues, WrongTypesAreRefused) {
  TypeProto empty;
  empty.mutable_sequence_type();
  expectError(identityOf(empty), kInvalid, {"'s'", "a type inside of its type is missing"});
  expectError(identityOf(mapOf(DType::Float32, DType::Float32)), kUnsupported,
              {"'s'", "a map with keys of type float32"});
  expectError(identityOf(mapOf(static_cast<DType>(77), DType::Float32)), kInvalid,
              {"unknown key_type 77"});
  expectError(identityOf(sequenceOf(static_cast<DType>(77), {})), kInvalid,
              {"unknown elem_type 77"});
  TypeProto sparse;
  sparse.mutable_sparse_tensor_type()->set_elem_type(1);
  expectError(identityOf(sparse), kUnsupported, {"'s'", "a sparse tensor or opaque type"});
  Limits limits;
  limits.maxNesting = 8;
  TypeProto deep;
  TypeProto *inner = &deep;
  for (int i = 0; i < 10; ++i)
    inner = inner->mutable_sequence_type()->mutable_elem_type();
  setTensor(*inner, DType::Float32, {});
  expectError(identityOf(deep), StatusCode::ResourceLimit,
              {"types nested deeper than maxNesting 8"}, limits);
}
