//===- ModelText.cpp - ONNX models for people -----------------------------===//
#include "tests/random/ModelText.h"

#include "quern/DType.h"

#include <cstring>
#include <sstream>

using namespace quern;
namespace proto = quern::onnx::proto;

static std::string dtypeText(int dtype) {
  return std::string(dtypeName(static_cast<DType>(dtype)));
}

static std::string tensorText(const proto::TensorProto &tensor) {
  std::string text = dtypeText(tensor.data_type()) + "[";
  for (int i = 0; i < tensor.dims_size(); ++i)
    text += (i ? "," : "") + std::to_string(tensor.dims(i));
  text += "]";
  bool isIndices = tensor.data_type() == proto::TensorProto::INT64;
  if (!isIndices || tensor.dims_size() > 1)
    return text;
  text += " {";
  for (size_t at = 0; at + 8 <= tensor.raw_data().size(); at += 8) {
    int64_t value;
    std::memcpy(&value, tensor.raw_data().data() + at, 8);
    text += " " + std::to_string(value);
  }
  for (int64_t value : tensor.int64_data())
    text += " " + std::to_string(value);
  return text + " }";
}

static std::string inputText(const proto::ValueInfoProto &input) {
  const auto &type = input.type().tensor_type();
  std::string text = input.name() + ": " + dtypeText(type.elem_type());
  if (!type.has_shape())
    return text + " of unknown rank";
  text += "[";
  for (const auto &dim : type.shape().dim())
    text += (text.back() == '[' ? "" : ",") + (dim.has_dim_value() ? std::to_string(dim.dim_value())
                                               : dim.has_dim_param() ? dim.dim_param()
                                                                     : "?");
  return text + "]";
}

static std::string graphText(const proto::GraphProto &graph, const std::string &indent);

static std::string attributeText(const proto::AttributeProto &attribute) {
  std::ostringstream text;
  text << attribute.name() << "=";
  switch (attribute.type()) {
  case proto::AttributeProto::INT:
    text << attribute.i();
    break;
  case proto::AttributeProto::FLOAT:
    text << attribute.f();
    break;
  case proto::AttributeProto::STRING:
    text << attribute.s();
    break;
  case proto::AttributeProto::TENSOR:
    text << tensorText(attribute.t());
    break;
  case proto::AttributeProto::GRAPH:
    text << "{\n" << graphText(attribute.g(), "    ") << "  }";
    break;
  default:
    for (int i = 0; i < attribute.ints_size(); ++i)
      text << (i ? "," : "") << attribute.ints(i);
    for (int i = 0; i < attribute.floats_size(); ++i)
      text << (i ? "," : "") << attribute.floats(i);
    for (int i = 0; i < attribute.strings_size(); ++i)
      text << (i ? "," : "") << attribute.strings(i);
  }
  return text.str();
}

static std::string graphText(const proto::GraphProto &graph, const std::string &indent) {
  std::string text;
  for (const auto &input : graph.input())
    text += indent + "input " + inputText(input) + "\n";
  for (const auto &tensor : graph.initializer())
    text += indent + "initializer " + tensor.name() + ": " + tensorText(tensor) + "\n";
  for (const auto &node : graph.node()) {
    text += indent;
    for (int i = 0; i < node.output_size(); ++i)
      text += (i ? ", " : "") + node.output(i);
    text += " = " + node.op_type() + "(";
    for (int i = 0; i < node.input_size(); ++i)
      text += (i ? ", " : "") + (node.input(i).empty() ? "-" : node.input(i));
    text += ")";
    for (const auto &attribute : node.attribute())
      text += " " + attributeText(attribute);
    text += "\n";
  }
  for (const auto &output : graph.output())
    text += indent + "output " + output.name() + "\n";
  return text;
}

std::string random::modelText(const proto::ModelProto &model) {
  return "  opset " + std::to_string(model.opset_import(0).version()) + "\n" +
         graphText(model.graph(), "  ");
}
