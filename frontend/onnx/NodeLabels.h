//===- NodeLabels.h - a name for each node --------------------------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace quern::onnx {

/// The names of a model's nodes, and of those in their bodies, each its own: nodes with no name,
/// or with that of another one, are frequent. Errors, profiles and explanations tell nodes apart by
/// them. Those of a function are unique in it. Refers to the model, which must live as long.
class NodeLabels {
public:
  explicit NodeLabels(const proto::ModelProto &model);

  /// Its nodeLabel; for all but the first with the same one "Relu_0#2", "Relu_0#3", ... Nodes
  /// that are named have their names before those that are not.
  std::string of(const proto::NodeProto &node, int64_t index) const;

private:
  template <typename Graph> void nameApart(const Graph &graph);

  std::unordered_map<const proto::NodeProto *, std::string> others;
};

} // namespace quern::onnx
