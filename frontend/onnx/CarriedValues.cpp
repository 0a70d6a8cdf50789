//===- CarriedValues.cpp - what the carried values of a loop depend on ----===//
//
// By the names in the file, not by the imported ops: importers may have made a constant of
// what they know of a type.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/CarriedValues.h"

#include <string_view>
#include <unordered_map>
#include <unordered_set>

using namespace quern;
using namespace quern::onnx;

namespace {
/// Follows values from node to node, and from one iteration to the next.
class ValueFlow {
public:
  explicit ValueFlow(const proto::GraphProto &body) {
    for (const proto::NodeProto &node : body.node())
      addReads(node, node);
  }
  /// What is yielded as `next` is `carried` in the next iteration.
  void addCarried(std::string_view next, std::string_view carried) {
    carriedAs[next].push_back(carried);
  }

  /// Reaches a value, and all that is computed from it.
  void reach(std::string_view value) {
    note(value);
    while (!waiting.empty()) {
      std::string_view next = waiting.back();
      waiting.pop_back();
      if (auto at = readers.find(next); at != readers.end())
        for (const proto::NodeProto *node : at->second)
          for (const std::string &output : node->output())
            note(output);
      if (auto at = carriedAs.find(next); at != carriedAs.end())
        for (std::string_view carried : at->second)
          note(carried);
    }
  }
  bool hasReached(std::string_view value) const { return reached.count(value) > 0; }

private:
  void note(std::string_view value) {
    if (!value.empty() && reached.insert(value).second)
      waiting.push_back(value);
  }
  /// `reader` reads what `node`, itself or in a body of it, does. Names that are made in
  /// such a body are noted in vain.
  void addReads(const proto::NodeProto &node, const proto::NodeProto &reader) {
    for (const std::string &input : node.input())
      readers[input].push_back(&reader);
    for (const proto::AttributeProto &attribute : node.attribute()) {
      if (!attribute.has_g())
        continue;
      for (const proto::NodeProto &inner : attribute.g().node())
        addReads(inner, reader);
      for (const proto::ValueInfoProto &output : attribute.g().output())
        readers[output.name()].push_back(&reader);
    }
  }

  std::unordered_map<std::string_view, std::vector<const proto::NodeProto *>> readers;
  std::unordered_map<std::string_view, std::vector<std::string_view>> carriedAs;
  std::unordered_set<std::string_view> reached;
  std::vector<std::string_view> waiting;
};
} // namespace

void CarriedValues::addDependents(std::vector<bool> &chosen) const {
  auto input = [&](size_t i) -> std::string_view {
    return body.input(static_cast<int>(firstInput + i)).name();
  };
  ValueFlow flow(body);
  for (size_t i = 0; i < count; ++i)
    flow.addCarried(body.output(static_cast<int>(firstOutput + i)).name(), input(i));
  for (size_t i = 0; i < count; ++i)
    if (chosen[i])
      flow.reach(input(i));
  for (size_t i = 0; i < count; ++i)
    chosen[i] = chosen[i] || flow.hasReached(input(i));
}
