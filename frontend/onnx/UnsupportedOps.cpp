//===- UnsupportedOps.cpp - all that a model needs and we lack ------------===//
#include "frontend/onnx/UnsupportedOps.h"

#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

#include <compare>
#include <map>
#include <set>

using namespace quern;
using namespace quern::onnx;

namespace {
/// An op at a version of its domain.
struct OpUse {
  std::string domain, op;
  int64_t version;
  auto operator<=>(const OpUse &) const = default;
};
/// The labels of the nodes that use each.
using OpUses = std::map<OpUse, std::vector<std::string>>;

/// No real model needs so many; a hostile one must not flood the terminal.
constexpr int64_t kMaxListedOps = 200;
} // namespace

OpsetVersions quern::onnx::opsetVersions(const proto::ModelProto &model) {
  OpsetVersions versions;
  for (const proto::OperatorSetIdProto &opset : model.opset_import())
    versions[canonicalDomain(opset.domain())] = opset.version();
  return versions;
}

/// The ops that nodes use and that are no calls of functions.
template <typename Nodes>
static void collectUses(const Nodes &nodes, const LocalFunctions &functions,
                        const OpsetVersions &versions, OpUses &uses) {
  int64_t index = 0;
  for (const proto::NodeProto &node : nodes) {
    if (std::string domain = canonicalDomain(node.domain()); !functions.find(node)) {
      auto version = versions.find(domain);
      int64_t number = version == versions.end() ? 0 : version->second;
      uses[{domain, node.op_type(), number}].push_back(nodeLabel(node, index));
    }
    ++index;
    for (const proto::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g())
        collectUses(attribute.g().node(), functions, versions, uses);
      for (const proto::GraphProto &nested : attribute.graphs())
        collectUses(nested.node(), functions, versions, uses);
    }
  }
}

std::vector<UnsupportedOp> quern::onnx::findUnsupportedOps(const proto::ModelProto &model) {
  OpUses uses;
  // Functions that cannot be read are the validator's to report.
  auto read = LocalFunctions::create(model);
  LocalFunctions functions = read ? read.take() : LocalFunctions();
  collectUses(model.graph().node(), functions, opsetVersions(model), uses);
  for (const LocalFunction *function : functions.all())
    collectUses(function->proto->node(), functions, function->opsets, uses);
  std::vector<UnsupportedOp> missing;
  for (const auto &[use, nodes] : uses)
    if (OpsetLookup found = lookupOpset(use.domain, use.op, use.version); !found.row)
      missing.push_back({use.domain, use.op, use.version, found.reason, found.opsetTooNew, nodes});
  return missing;
}

/// "Twirl (opset 1, 2 nodes: op is not supported)".
static std::string describe(const UnsupportedOp &op) {
  return fmt::format("{}{} (opset {}, {} {}: {})", op.domain.empty() ? "" : op.domain + ".", op.op,
                     op.version, op.nodes.size(), op.nodes.size() == 1 ? "node" : "nodes",
                     op.reason);
}

Status quern::onnx::checkOpsSupported(const proto::ModelProto &model) {
  std::vector<std::string> problems, ops;
  std::set<std::string> newerDomains;
  int64_t listed = 0;
  for (const UnsupportedOp &op : findUnsupportedOps(model)) {
    if (op.opsetTooNew) {
      if (newerDomains.insert(op.domain).second)
        problems.push_back(fmt::format("uses opset {} of domain '{}'; the newest known is {}",
                                       op.version, domainLabel(op.domain),
                                       newestKnownOpset(op.domain)));
    } else if (++listed <= kMaxListedOps) {
      ops.push_back(describe(op));
    }
  }
  if (listed > kMaxListedOps)
    ops.push_back(fmt::format("and {} more", listed - kMaxListedOps));
  if (!ops.empty())
    problems.push_back(fmt::format("unsupported ops: {}", fmt::join(ops, ", ")));
  return problems.empty() ? Status::ok()
                          : unsupported(fmt::format("{}", fmt::join(problems, "; ")));
}
