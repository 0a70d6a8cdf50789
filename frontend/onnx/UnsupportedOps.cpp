//===- UnsupportedOps.cpp - all that a model needs and we lack ------------===//
#include "frontend/onnx/UnsupportedOps.h"

#include "frontend/onnx/OpsetTable.h"

#include <set>

using namespace quern;
using namespace quern::onnx;

namespace {
/// (domain, op) and the nodes that use it.
using OpUses = std::map<std::pair<std::string, std::string>,
                        std::vector<std::pair<const proto::NodeProto *, int64_t>>>;

/// No real model needs so many; a hostile one must not flood the terminal.
constexpr int64_t kMaxListedOps = 200;
} // namespace

std::map<std::string, int64_t> quern::onnx::opsetVersions(const proto::ModelProto &model) {
  std::map<std::string, int64_t> versions;
  for (const proto::OperatorSetIdProto &opset : model.opset_import())
    versions[canonicalDomain(opset.domain())] = opset.version();
  return versions;
}

static void collectUses(const proto::GraphProto &graph, OpUses &uses) {
  int64_t index = 0;
  for (const proto::NodeProto &node : graph.node()) {
    uses[{canonicalDomain(node.domain()), node.op_type()}].emplace_back(&node, index++);
    for (const proto::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g())
        collectUses(attribute.g(), uses);
      for (const proto::GraphProto &nested : attribute.graphs())
        collectUses(nested, uses);
    }
  }
}

std::vector<UnsupportedOp> quern::onnx::findUnsupportedOps(const proto::ModelProto &model) {
  std::set<std::pair<std::string, std::string>> functions;
  for (const proto::FunctionProto &function : model.functions())
    functions.insert({canonicalDomain(function.domain()), function.name()});
  OpUses uses;
  collectUses(model.graph(), uses);
  std::map<std::string, int64_t> versions = opsetVersions(model);
  std::vector<UnsupportedOp> missing;
  for (const auto &[key, nodes] : uses) {
    const auto &[domain, op] = key;
    OpsetLookup found = lookupOpset(domain, op, versions[domain]);
    bool isFunction = functions.count(key) != 0;
    if (found.row && !isFunction)
      continue;
    if (isFunction)
      found = {nullptr, "model-local functions are not supported"};
    UnsupportedOp &entry = missing.emplace_back(
        UnsupportedOp{domain, op, versions[domain], found.reason, found.opsetTooNew, {}});
    for (auto [node, index] : nodes)
      entry.nodes.push_back(nodeLabel(*node, index));
  }
  return missing;
}

/// "Twirl (opset 1, 2 nodes: op is not supported)".
static std::string describe(const UnsupportedOp &op) {
  return (op.domain.empty() ? "" : op.domain + ".") + op.op + " (opset " +
         std::to_string(op.version) + ", " + std::to_string(op.nodes.size()) +
         (op.nodes.size() == 1 ? " node: " : " nodes: ") + op.reason + ")";
}

Status quern::onnx::checkOpsSupported(const proto::ModelProto &model) {
  std::string opsets, ops;
  std::set<std::string> newerDomains;
  int64_t listed = 0;
  for (const UnsupportedOp &op : findUnsupportedOps(model)) {
    if (op.opsetTooNew) {
      if (newerDomains.insert(op.domain).second)
        opsets += (opsets.empty() ? "uses opset " : "; uses opset ") + std::to_string(op.version) +
                  " of domain '" + domainLabel(op.domain) + "'; the newest known is " +
                  std::to_string(newestKnownOpset(op.domain));
    } else if (++listed <= kMaxListedOps) {
      ops += (ops.empty() ? "unsupported ops: " : ", ") + describe(op);
    }
  }
  if (listed > kMaxListedOps)
    ops += ", and " + std::to_string(listed - kMaxListedOps) + " more";
  if (opsets.empty() && ops.empty())
    return Status::ok();
  return unsupported(opsets + (opsets.empty() || ops.empty() ? "" : "; ") + ops);
}
