//===- UnsupportedOps.cpp - all that a model needs and we lack ------------===//
#include "frontend/onnx/UnsupportedOps.h"

#include "frontend/onnx/OpsetTable.h"

#include <set>

using namespace quern;
using namespace quern::onnx;

namespace {
/// (domain, op) and how many nodes use it.
using OpCounts = std::map<std::pair<std::string, std::string>, int64_t>;

/// No real model needs so many; a hostile one must not flood the terminal.
constexpr int64_t kMaxListedOps = 200;
} // namespace

std::map<std::string, int64_t> quern::onnx::opsetVersions(const proto::ModelProto &model) {
  std::map<std::string, int64_t> versions;
  for (const proto::OperatorSetIdProto &opset : model.opset_import())
    versions[canonicalDomain(opset.domain())] = opset.version();
  return versions;
}

static void countOps(const proto::GraphProto &graph, OpCounts &counts) {
  for (const proto::NodeProto &node : graph.node()) {
    ++counts[{canonicalDomain(node.domain()), node.op_type()}];
    for (const proto::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g())
        countOps(attribute.g(), counts);
      for (const proto::GraphProto &nested : attribute.graphs())
        countOps(nested, counts);
    }
  }
}

Status quern::onnx::checkOpsSupported(const proto::ModelProto &model) {
  std::set<std::pair<std::string, std::string>> functions;
  for (const proto::FunctionProto &function : model.functions())
    functions.insert({canonicalDomain(function.domain()), function.name()});
  OpCounts counts;
  countOps(model.graph(), counts);
  std::map<std::string, int64_t> versions = opsetVersions(model);
  std::string list;
  int64_t missing = 0;
  for (const auto &[op, nodes] : counts) {
    const auto &[domain, name] = op;
    OpsetLookup found = lookupOpset(domain, name, versions[domain]);
    bool isFunction = functions.count(op) != 0;
    if (found.row && !isFunction)
      continue;
    if (++missing > kMaxListedOps)
      continue;
    list += (list.empty() ? "" : ", ") + (domain.empty() ? "" : domain + ".") + name + " (opset " +
            std::to_string(versions[domain]) + ", " + std::to_string(nodes) +
            (nodes == 1 ? " node: " : " nodes: ") +
            (isFunction ? "model-local functions are not supported" : found.reason) + ")";
  }
  if (missing > kMaxListedOps)
    list += ", and " + std::to_string(missing - kMaxListedOps) + " more";
  return list.empty() ? Status::ok() : unsupported("unsupported ops: " + list);
}
