//===- LocalFunctions.cpp - the functions that a model brings with it -----===//
#include "frontend/onnx/LocalFunctions.h"

#include "frontend/onnx/RawData.h"
#include "quern/CheckedSize.h"

#include <fmt/format.h>

#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

// Fields of newer ONNX than that of the generated classes, which keep them as
// unknown ones.
static constexpr int kFunctionOverload = 13, kNodeOverload = 8;

/// The last string in an unknown field.
static std::string unknownString(const google::protobuf::Message &message, int number) {
  const auto &unknown = message.GetReflection()->GetUnknownFields(message);
  std::string text;
  for (int i = 0; i < unknown.field_count(); ++i) {
    const google::protobuf::UnknownField &field = unknown.field(i);
    if (field.number() == number &&
        field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      text = field.length_delimited();
  }
  return text;
}

std::string quern::onnx::overloadOf(const proto::NodeProto &node) {
  return unknownString(node, kNodeOverload);
}

Expected<std::vector<proto::AttributeProto>>
quern::onnx::defaultAttributes(const proto::FunctionProto &function) {
  const auto &unknown = function.GetReflection()->GetUnknownFields(function);
  std::vector<proto::AttributeProto> defaults;
  for (int i = 0; i < unknown.field_count(); ++i) {
    const google::protobuf::UnknownField &field = unknown.field(i);
    if (field.number() != kFunctionAttributeProtoField ||
        field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      continue;
    if (!defaults.emplace_back().ParseFromString(field.length_delimited()))
      return invalidModel("a default attribute is no valid protobuf message");
  }
  return defaults;
}

std::string LocalFunction::label() const {
  std::string domain = canonicalDomain(proto->domain());
  return (domain.empty() ? "" : domain + ".") + proto->name();
}

bool LocalFunction::hasAttribute(const std::string &name) const {
  return std::count(proto->attribute().begin(), proto->attribute().end(), name) != 0 ||
         std::any_of(defaults.begin(), defaults.end(),
                     [&](const proto::AttributeProto &a) { return a.name() == name; });
}

Expected<LocalFunctions> LocalFunctions::create(const proto::ModelProto &model) {
  LocalFunctions result;
  for (const proto::FunctionProto &proto : model.functions()) {
    if (proto.name().empty())
      return invalidModel("a local function has no name");
    Key key{canonicalDomain(proto.domain()), proto.name(), unknownString(proto, kFunctionOverload)};
    auto [it, isNew] = result.functions.try_emplace(std::move(key));
    LocalFunction &function = it->second;
    function.proto = &proto;
    auto where = [&] { return "function '" + function.label() + "'"; };
    if (!isNew)
      return invalidModel("is defined twice").withContext(where());
    for (const proto::OperatorSetIdProto &opset : proto.opset_import())
      function.opsets[canonicalDomain(opset.domain())] = opset.version();
    auto defaults = defaultAttributes(proto);
    if (!defaults)
      return defaults.status().withContext(where());
    function.defaults = defaults.take();
  }
  return result;
}

const LocalFunction *LocalFunctions::find(const proto::NodeProto &node) const {
  if (functions.empty())
    return nullptr;
  auto it = functions.find({canonicalDomain(node.domain()), node.op_type(), overloadOf(node)});
  return it == functions.end() ? nullptr : &it->second;
}

std::vector<LocalFunction *> LocalFunctions::all() {
  std::vector<LocalFunction *> result;
  for (auto &[key, function] : functions)
    result.push_back(&function);
  return result;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

namespace {
/// Walks the calls of functions, each function once.
class CallWalk {
public:
  CallWalk(const LocalFunctions &functions, const Limits &limits)
      : functions(functions), limits(limits) {}

  /// The nodes, with those of all calls in them, and how deep calls are nested.
  struct Extent {
    CheckedSize nodes;
    int64_t depth = 0;
  };
  template <typename Nodes> Expected<Extent> ofNodes(const Nodes &nodes);
  Expected<Extent> ofCall(const LocalFunction &function);

private:
  const LocalFunctions &functions;
  const Limits &limits;
  std::map<const LocalFunction *, Extent> known;
  /// The calls that led here.
  std::vector<const LocalFunction *> path;
};
} // namespace

template <typename Nodes> Expected<CallWalk::Extent> CallWalk::ofNodes(const Nodes &nodes) {
  Extent extent;
  auto add = [&](const Extent &more) {
    extent.nodes += more.nodes;
    extent.depth = std::max(extent.depth, more.depth);
  };
  for (const proto::NodeProto &node : nodes) {
    if (const LocalFunction *function = functions.find(node)) {
      QUERN_ASSIGN(Extent called, ofCall(*function));
      add({called.nodes, called.depth + 1});
    }
    extent.nodes += CheckedSize(1);
    for (const proto::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g()) {
        QUERN_ASSIGN(Extent body, ofNodes(attribute.g().node()));
        add(body);
      }
      for (const proto::GraphProto &graph : attribute.graphs()) {
        QUERN_ASSIGN(Extent body, ofNodes(graph.node()));
        add(body);
      }
    }
  }
  return extent;
}

Expected<CallWalk::Extent> CallWalk::ofCall(const LocalFunction &function) {
  if (auto it = known.find(&function); it != known.end())
    return it->second;
  auto caller = std::find(path.begin(), path.end(), &function);
  if (caller != path.end()) {
    std::string text;
    for (; caller != path.end(); ++caller)
      text += "'" + (*caller)->label() + "' -> ";
    return invalidModel("functions call themselves: " + text + "'" + function.label() + "'");
  }
  if (static_cast<int64_t>(path.size()) >= limits.maxNesting)
    return resourceLimit(
        fmt::format("function calls nested deeper than maxNesting {}", limits.maxNesting));
  path.push_back(&function);
  QUERN_ASSIGN(Extent extent, ofNodes(function.proto->node()));
  path.pop_back();
  known.emplace(&function, extent);
  return extent;
}

Status LocalFunctions::checkCalls(const proto::GraphProto &graph, const Limits &limits) const {
  if (functions.empty())
    return Status::ok();
  CallWalk walk(*this, limits);
  // Functions that nobody calls must not call themselves either.
  for (const auto &[key, function] : functions)
    QUERN_TRY(walk.ofCall(function).status());
  auto extent = walk.ofNodes(graph.node());
  if (!extent)
    return extent.status();
  if (extent->depth > limits.maxNesting)
    return resourceLimit(
        fmt::format("function calls nested deeper than maxNesting {}", limits.maxNesting));
  if (!extent->nodes.valid() || extent->nodes.value() > limits.maxNodes)
    return resourceLimit(fmt::format(
        "the graph has more nodes than maxNodes {} with those of the functions it calls",
        limits.maxNodes));
  return Status::ok();
}
