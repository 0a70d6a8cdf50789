//===- ModelMutation.cpp - damaged ONNX models ----------------------------===//
//
// Changed bytes mostly end at the reader. So fields are changed, too, found by
// protobuf's reflection: what an importer gets to see is a model then, whose
// attributes, types and names mean something else.
//
//===----------------------------------------------------------------------===//
#include "tests/tools/ModelMutation.h"

#include "quern/DType.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>

using namespace quern;
using namespace quern::test;
namespace proto = quern::onnx::proto;
namespace pb = google::protobuf;

std::string test::mutateBytes(std::string bytes, std::mt19937 &random) {
  const unsigned char telling[] = {0, 1, 2, 8, 0x7f, 0x80, 0xff};
  if (bytes.empty())
    return bytes;
  size_t at = random() % bytes.size(), length = std::min<size_t>(random() % 8, bytes.size() - at);
  switch (random() % 8) {
  case 0:
    return bytes.erase(at, length);
  case 1:
    return bytes.insert(at, bytes.substr(at, length));
  case 2:
    bytes.resize(at);
    return bytes;
  default:
    for (size_t i = random() % 3 + 1; i > 0; --i)
      bytes[random() % bytes.size()] =
          static_cast<char>(random() % 2 ? telling[random() % std::size(telling)] : random() % 256);
    return bytes;
  }
}

namespace {
/// A field of a message that is set, or may be.
struct Site {
  pb::Message *message;
  const pb::FieldDescriptor *field;
};

/// The fields that are set in `message` and within it; of those that are not, one in eight.
void collect(pb::Message &message, std::mt19937 &random, std::vector<Site> &sites) {
  const pb::Descriptor &type = *message.GetDescriptor();
  const pb::Reflection &fields = *message.GetReflection();
  for (int f = 0; f < type.field_count(); ++f) {
    const pb::FieldDescriptor *field = type.field(f);
    bool isSet = field->is_repeated() ? fields.FieldSize(message, field) > 0
                                      : fields.HasField(message, field);
    if (isSet || random() % 8 == 0)
      sites.push_back({&message, field});
    if (!isSet || field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE)
      continue;
    if (!field->is_repeated())
      collect(*fields.MutableMessage(&message, field), random, sites);
    for (int i = 0; field->is_repeated() && i < fields.FieldSize(message, field); ++i)
      collect(*fields.MutableRepeatedMessage(&message, field, i), random, sites);
  }
}

/// The strings of a model: names of values, mostly.
void collectStrings(const pb::Message &message, std::vector<std::string> &strings) {
  const pb::Reflection &fields = *message.GetReflection();
  std::vector<const pb::FieldDescriptor *> set;
  fields.ListFields(message, &set);
  for (const pb::FieldDescriptor *field : set) {
    int size = field->is_repeated() ? fields.FieldSize(message, field) : 1;
    for (int i = 0; i < size; ++i)
      if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE)
        collectStrings(field->is_repeated() ? fields.GetRepeatedMessage(message, field, i)
                                            : fields.GetMessage(message, field),
                       strings);
      else if (field->type() == pb::FieldDescriptor::TYPE_STRING)
        strings.push_back(field->is_repeated() ? fields.GetRepeatedString(message, field, i)
                                               : fields.GetString(message, field));
  }
}

int64_t drawInteger(int64_t old, std::mt19937 &random) {
  constexpr int64_t telling[] = {
      0,   1,    -1,      2,         -2,        3,         5,         7,        8,  10,
      11,  12,   13,      16,        17,        18,        19,        20,       23, 64,
      255, 1024, 1 << 20, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1L << 40, -3};
  switch (random() % 8) {
  case 0:
    return old == INT64_MAX ? 0 : old + 1;
  case 1:
    return old == INT64_MIN ? 0 : old - 1;
  case 2:
    return old == INT64_MIN ? 1 : -old;
  case 3:
    return static_cast<int64_t>(random() % 32);
  default:
    return telling[random() % std::size(telling)];
  }
}

double drawFloat(double old, std::mt19937 &random) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double telling[] = {0,    -0.0,     1,         -1,           0.5,    2,      3,   1e-30,
                            1e30, infinity, -infinity, std::nan(""), 0x1p31, 0x1p63, 100, -7.5};
  return random() % 4 == 0 ? -old * 2 : telling[random() % std::size(telling)];
}

std::string drawString(std::string old, const std::vector<std::string> &known,
                       std::mt19937 &random) {
  switch (random() % 4) {
  case 0:
    return random() % 2 ? std::string() : mutateBytes(std::move(old), random);
  default:
    return known.empty() ? "other" : known[random() % known.size()];
  }
}

/// Sets element `i` of a repeated field, or a field that is none, to something else.
void setValue(const Site &site, int i, const std::vector<std::string> &known,
              std::mt19937 &random) {
  pb::Message *m = site.message;
  const pb::FieldDescriptor *f = site.field;
  const pb::Reflection &r = *m->GetReflection();
  bool many = f->is_repeated();
  switch (f->cpp_type()) {
  case pb::FieldDescriptor::CPPTYPE_INT32: {
    auto value = static_cast<int32_t>(
        drawInteger(many ? r.GetRepeatedInt32(*m, f, i) : r.GetInt32(*m, f), random));
    many ? r.SetRepeatedInt32(m, f, i, value) : r.SetInt32(m, f, value);
    return;
  }
  case pb::FieldDescriptor::CPPTYPE_INT64: {
    int64_t value = drawInteger(many ? r.GetRepeatedInt64(*m, f, i) : r.GetInt64(*m, f), random);
    many ? r.SetRepeatedInt64(m, f, i, value) : r.SetInt64(m, f, value);
    return;
  }
  case pb::FieldDescriptor::CPPTYPE_UINT64: {
    auto value = static_cast<uint64_t>(drawInteger(
        static_cast<int64_t>(many ? r.GetRepeatedUInt64(*m, f, i) : r.GetUInt64(*m, f)), random));
    many ? r.SetRepeatedUInt64(m, f, i, value) : r.SetUInt64(m, f, value);
    return;
  }
  case pb::FieldDescriptor::CPPTYPE_FLOAT: {
    auto value = static_cast<float>(drawFloat(
        static_cast<double>(many ? r.GetRepeatedFloat(*m, f, i) : r.GetFloat(*m, f)), random));
    many ? r.SetRepeatedFloat(m, f, i, value) : r.SetFloat(m, f, value);
    return;
  }
  case pb::FieldDescriptor::CPPTYPE_DOUBLE: {
    double value = drawFloat(many ? r.GetRepeatedDouble(*m, f, i) : r.GetDouble(*m, f), random);
    many ? r.SetRepeatedDouble(m, f, i, value) : r.SetDouble(m, f, value);
    return;
  }
  case pb::FieldDescriptor::CPPTYPE_ENUM: {
    auto value = static_cast<int>(random() % 17);
    if (!many)
      r.SetEnumValue(m, f, value);
    return;
  }
  case pb::FieldDescriptor::CPPTYPE_STRING: {
    std::string old = many ? r.GetRepeatedString(*m, f, i) : r.GetString(*m, f);
    // Elements of tensors have their bytes changed, names become those of other values.
    bool isRaw = f->type() == pb::FieldDescriptor::TYPE_BYTES && random() % 8 != 0;
    std::string value =
        isRaw ? mutateBytes(std::move(old), random) : drawString(std::move(old), known, random);
    many ? r.SetRepeatedString(m, f, i, value) : r.SetString(m, f, value);
    return;
  }
  default:
    if (!many)
      r.ClearField(m, f);
  }
}

/// Adds an element to a repeated field: a copy of one there, or something new.
void addElement(const Site &site, std::mt19937 &random) {
  pb::Message *m = site.message;
  const pb::FieldDescriptor *f = site.field;
  const pb::Reflection &r = *m->GetReflection();
  int size = r.FieldSize(*m, f);
  switch (f->cpp_type()) {
  case pb::FieldDescriptor::CPPTYPE_INT32:
    return r.AddInt32(m, f, static_cast<int32_t>(drawInteger(1, random)));
  case pb::FieldDescriptor::CPPTYPE_INT64:
    return r.AddInt64(m, f, drawInteger(1, random));
  case pb::FieldDescriptor::CPPTYPE_UINT64:
    return r.AddUInt64(m, f, static_cast<uint64_t>(drawInteger(1, random)));
  case pb::FieldDescriptor::CPPTYPE_FLOAT:
    return r.AddFloat(m, f, static_cast<float>(drawFloat(1, random)));
  case pb::FieldDescriptor::CPPTYPE_DOUBLE:
    return r.AddDouble(m, f, drawFloat(1, random));
  case pb::FieldDescriptor::CPPTYPE_STRING:
    return r.AddString(
        m, f,
        size == 0 ? "" : r.GetRepeatedString(*m, f, static_cast<int>(random() % unsigned(size))));
  case pb::FieldDescriptor::CPPTYPE_MESSAGE: {
    pb::Message *added = r.AddMessage(m, f);
    if (size > 0)
      added->CopyFrom(r.GetRepeatedMessage(*m, f, static_cast<int>(random() % unsigned(size))));
    return;
  }
  default:
    return;
  }
}

void changeSite(const Site &site, const std::vector<std::string> &known, std::mt19937 &random) {
  const pb::Reflection &r = *site.message->GetReflection();
  if (!site.field->is_repeated()) {
    if (random() % 6 == 0)
      return r.ClearField(site.message, site.field);
    return setValue(site, 0, known, random);
  }
  int size = r.FieldSize(*site.message, site.field);
  uint32_t kind = size == 0 ? 1 : random() % 8;
  auto last = [&] { return static_cast<int>(random() % static_cast<unsigned>(size)); };
  if (kind == 0) {
    r.SwapElements(site.message, site.field, last(), size - 1);
    r.RemoveLast(site.message, site.field);
  } else if (kind == 1) {
    addElement(site, random);
  } else if (kind == 2) {
    r.SwapElements(site.message, site.field, last(), last());
  } else if (kind == 3 && random() % 2) {
    r.ClearField(site.message, site.field);
  } else {
    setValue(site, last(), known, random);
  }
}
} // namespace

/// Elements that few ops take.
static constexpr DType kRareTypes[] = {DType::String, DType::Bool, DType::Complex64, DType::Int4,
                                       DType::Float4E2M1};
static constexpr uint64_t kShapes = 4, kTypeChanges = kShapes + std::size(kRareTypes);

/// Another shape of the same type: none, a scalar's, and sizes of 0 or unknown ones; or
/// other elements.
static void changeType(proto::TypeProto::Tensor &type, uint64_t kind) {
  if (kind >= kShapes)
    return type.set_elem_type(static_cast<int>(kRareTypes[kind - kShapes]));
  if (kind == 0)
    return type.clear_shape();
  if (kind == 1)
    return type.mutable_shape()->clear_dim();
  for (proto::TensorShapeProto::Dimension &dim : *type.mutable_shape()->mutable_dim())
    if (kind == 2)
      dim.set_dim_value(0);
    else
      dim.clear_value();
}

std::optional<std::string> test::systematicMutant(const std::string &bytes, uint64_t which) {
  proto::ModelProto model;
  if (!model.ParseFromString(bytes))
    return std::nullopt;
  for (proto::NodeProto &node : *model.mutable_graph()->mutable_node())
    for (std::string &operand : *node.mutable_input())
      if (which-- == 0) {
        operand.clear();
        return model.SerializePartialAsString();
      }
  for (proto::ValueInfoProto &input : *model.mutable_graph()->mutable_input()) {
    if (!input.type().has_tensor_type())
      continue;
    if (which < kTypeChanges) {
      changeType(*input.mutable_type()->mutable_tensor_type(), which);
      return model.SerializePartialAsString();
    }
    which -= kTypeChanges;
  }
  return std::nullopt;
}

void ModelMutation::add(const std::string &bytes) {
  proto::ModelProto model;
  if (!model.ParseFromString(bytes))
    return;
  for (const proto::NodeProto &node : model.graph().node()) {
    nodes.push_back(node);
    attributes.insert(attributes.end(), node.attribute().begin(), node.attribute().end());
  }
}

/// A node of another model, on operands of this one; or an attribute.
void ModelMutation::lend(proto::ModelProto &model, std::mt19937 &random) const {
  proto::GraphProto &graph = *model.mutable_graph();
  if (graph.node_size() == 0)
    return;
  proto::NodeProto &node =
      *graph.mutable_node(static_cast<int>(random() % unsigned(graph.node_size())));
  if (random() % 3 != 0 && !attributes.empty()) {
    const proto::AttributeProto &lent = attributes[random() % attributes.size()];
    for (proto::AttributeProto &own : *node.mutable_attribute())
      if (own.name() == lent.name()) {
        own = lent;
        return;
      }
    *node.add_attribute() = lent;
  } else if (!nodes.empty()) {
    const proto::NodeProto &lent = nodes[random() % nodes.size()];
    node.set_op_type(lent.op_type());
    node.set_domain(lent.domain());
    if (random() % 2)
      *node.mutable_attribute() = lent.attribute();
    while (node.input_size() > lent.input_size() && random() % 2)
      node.mutable_input()->RemoveLast();
  }
}

void ModelMutation::change(proto::ModelProto &model, std::mt19937 &random) const {
  std::vector<Site> sites;
  collect(model, random, sites);
  if (sites.empty())
    return;
  std::vector<std::string> known;
  collectStrings(model, known);
  // What belongs to nodes is what importers read.
  Site site = sites[random() % sites.size()];
  for (int i = 0; i < 3 && site.message->GetTypeName().find("Node") == std::string::npos &&
                  site.message->GetTypeName().find("Attribute") == std::string::npos;
       ++i)
    site = sites[random() % sites.size()];
  changeSite(site, known, random);
}

std::string ModelMutation::mutate(const std::string &bytes, std::mt19937 &random) const {
  proto::ModelProto model;
  if (!model.ParseFromString(bytes))
    return mutateBytes(bytes, random);
  for (uint32_t i = random() % 4 + 1; i > 0; --i)
    if (random() % 5 == 0)
      lend(model, random);
    else
      change(model, random);
  return model.SerializePartialAsString();
}
