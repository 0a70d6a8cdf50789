//===- AnnotateModel.cpp - an ONNX model with what became of its nodes ----===//
#include "api/time/report/StepGraph.h"
#include "frontend/onnx/NodeLabels.h"
#include "frontend/onnx/OnnxReader.h"
#include "quern/Reports.h"

#include <fmt/format.h>
#include <google/protobuf/unknown_field_set.h>

using namespace quern;
using namespace quern::timing;
namespace proto = quern::onnx::proto;

using Facts = std::vector<std::pair<std::string, std::string>>;

/// Adds to NodeProto.metadata_props, a field that ONNX has since IR version 10 and generated
/// classes of older releases do not know.
static void addMetadata(proto::NodeProto &node, const Facts &facts) {
  constexpr int kMetadataProps = 9;
  google::protobuf::UnknownFieldSet &fields = *node.GetReflection()->MutableUnknownFields(&node);
  for (const auto &[key, value] : facts) {
    proto::StringStringEntryProto entry;
    entry.set_key(key);
    entry.set_value(value);
    fields.AddLengthDelimited(kMetadataProps, entry.SerializeAsString());
  }
}

static Facts factsOf(const StepNode &row, double runMs) {
  return {{"quern.step", row.name},
          {"quern.kernel", row.kernel},
          {"quern.nodes", fmt::format("{}", fmt::join(row.nodes, " + "))},
          {"quern.ms", fmt::format("{:.4f}", row.ms)},
          {"quern.percent", fmt::format("{:.1f}", 100 * row.ms / std::max(runMs, 1e-9))},
          {"quern.bound", std::string(stepBoundName(row.bound))}};
}

Expected<std::string> quern::annotatedModel(const std::string &path, const TimeAnalysis &analysis,
                                            const Limits &limits) {
  // What this refuses is not parsed whole below.
  auto checked = onnx::readModelFile(path, limits);
  if (!checked)
    return checked.status().withContext(path);
  proto::ModelProto model;
  std::span<const std::byte> bytes = checked->source.bytes;
  if (bytes.size() > INT32_MAX || !model.ParseFromArray(bytes.data(), int(bytes.size())))
    return resourceLimit(path + ": too large to be written anew");
  StepGraph graph = StepGraph::of(analysis);
  std::map<std::string, std::string> fates;
  for (const ExplainedNode &node : analysis.explanation.nodes)
    fates[node.name] = fateName(node.fate);
  onnx::NodeLabels labels(model);
  std::vector<std::string> names;
  for (int i = 0; i < model.graph().node_size(); ++i)
    names.push_back(labels.of(model.graph().node(i), i));
  for (int i = 0; i < model.graph().node_size(); ++i) {
    const std::string &name = names[static_cast<size_t>(i)];
    proto::NodeProto &node = *model.mutable_graph()->mutable_node(i);
    if (auto row = graph.rowOfNode.find(name); row != graph.rowOfNode.end())
      addMetadata(node, factsOf(graph.rows[row->second], analysis.run.steady.mean));
    else if (auto fate = fates.find(name); fate != fates.end())
      addMetadata(node, {{"quern.fate", fate->second}});
  }
  std::string text;
  if (!model.SerializeToString(&text))
    return resourceLimit(path + ": too large to be written anew");
  return text;
}
