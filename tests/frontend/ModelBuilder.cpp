//===- ModelBuilder.cpp - small ONNX models for tests ---------------------===//
#include "tests/frontend/ModelBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/raw_ostream.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using proto::AttributeProto;

ModelBuilder::ModelBuilder(int64_t opset) {
  model.set_ir_version(8);
  model.mutable_graph()->set_name("test");
  model.add_opset_import()->set_version(opset);
}

ModelBuilder &ModelBuilder::input(const std::string &name, const std::vector<int64_t> &dims,
                                  DType dtype) {
  proto::ValueInfoProto *value = graph().add_input();
  value->set_name(name);
  auto *type = value->mutable_type()->mutable_tensor_type();
  type->set_elem_type(static_cast<int>(dtype));
  type->mutable_shape();
  for (int64_t dim : dims) {
    auto *out = type->mutable_shape()->add_dim();
    if (dim < 0)
      out->set_dim_param("N" + (dim == -1 ? std::string() : std::to_string(-dim)));
    else
      out->set_dim_value(dim);
  }
  return *this;
}

ModelBuilder &ModelBuilder::unrankedInput(const std::string &name) {
  input(name, {});
  graph().mutable_input()->rbegin()->mutable_type()->mutable_tensor_type()->clear_shape();
  return *this;
}

ModelBuilder &ModelBuilder::output(const std::string &name) {
  graph().add_output()->set_name(name);
  return *this;
}

/// As files have it: elements of 4 and 2 bits lie several in a byte, the first in the lowest bits.
static std::string rawData(const Tensor &tensor) {
  const char *bytes = static_cast<const char *>(tensor.rawData());
  int bits = dtypeBits(tensor.dtype());
  if (bits >= 8)
    return {bytes, static_cast<size_t>(tensor.numBytes())};
  int perByte = 8 / bits;
  std::string packed(static_cast<size_t>((tensor.numElements() + perByte - 1) / perByte), 0);
  for (int64_t i = 0; i < tensor.numElements(); ++i) {
    auto value = static_cast<unsigned>(bytes[i]) & ((1U << bits) - 1);
    char &into = packed[static_cast<size_t>(i / perByte)];
    into = static_cast<char>(static_cast<unsigned>(into) | value << (i % perByte * bits));
  }
  return packed;
}

proto::TensorProto &ModelBuilder::initializer(const std::string &name, const Tensor &tensor) {
  proto::TensorProto *out = graph().add_initializer();
  out->set_name(name);
  out->set_data_type(static_cast<int>(tensor.dtype()));
  for (int64_t dim : tensor.dims())
    out->add_dims(dim);
  out->set_raw_data(rawData(tensor));
  return *out;
}

ModelBuilder &ModelBuilder::node(const std::string &op, const std::vector<std::string> &inputs,
                                 const std::vector<std::string> &outputs) {
  proto::NodeProto *node = graph().add_node();
  node->set_op_type(op);
  node->set_name(outputs.empty() ? op : outputs.front() + "_node");
  for (const std::string &name : inputs)
    node->add_input(name);
  for (const std::string &name : outputs)
    node->add_output(name);
  return *this;
}

ModelBuilder &ModelBuilder::domain(const std::string &name) {
  graph().mutable_node(graph().node_size() - 1)->set_domain(name);
  auto *opset = model.add_opset_import();
  opset->set_domain(name);
  opset->set_version(1);
  return *this;
}

AttributeProto &ModelBuilder::attribute(const std::string &name,
                                        AttributeProto::AttributeType type) {
  AttributeProto *attribute = graph().mutable_node(graph().node_size() - 1)->add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return *attribute;
}

ModelBuilder &ModelBuilder::attr(const std::string &name, int64_t value) {
  attribute(name, AttributeProto::INT).set_i(value);
  return *this;
}

ModelBuilder &ModelBuilder::attr(const std::string &name, float value) {
  attribute(name, AttributeProto::FLOAT).set_f(value);
  return *this;
}

ModelBuilder &ModelBuilder::attr(const std::string &name, const char *value) {
  attribute(name, AttributeProto::STRING).set_s(value);
  return *this;
}

ModelBuilder &ModelBuilder::attr(const std::string &name, const std::vector<int64_t> &values) {
  AttributeProto &out = attribute(name, AttributeProto::INTS);
  for (int64_t value : values)
    out.add_ints(value);
  return *this;
}

Imported::Imported(const std::string &bytes, const Limits &limits)
    : module(importOnnxBytes(std::as_bytes(std::span(bytes)), "m.onnx", context, {limits})) {}

std::string Imported::text() {
  if (!module)
    return module.status().message();
  std::string text;
  llvm::raw_string_ostream stream(text);
  (*module)->print(stream);
  return text;
}

std::string Imported::outputType(int i) {
  if (!module)
    return module.status().message();
  auto terminator = find<mlir::func::ReturnOp>();
  std::string text;
  llvm::raw_string_ostream stream(text);
  terminator.getOperand(i).getType().print(stream);
  return text;
}

void test::expectError(const ModelBuilder &builder, StatusCode code,
                       std::initializer_list<const char *> parts, const Limits &limits) {
  Imported imported(builder, limits);
  ASSERT_FALSE(imported.module) << imported.text();
  EXPECT_EQ(imported.module.status().code(), code) << imported.text();
  for (const char *part : parts)
    expectContains(imported.text(), part);
}

void test::expectContains(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in: " << text;
}
