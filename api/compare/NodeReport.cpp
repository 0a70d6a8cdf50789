//===- NodeReport.cpp - compared nodes as JSON ----------------------------===//
#include "quern/NodeComparison.h"
#include "quern/Reports.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace quern;
namespace json = llvm::json;

static std::string utf8(const std::string &text) { return json::fixUTF8(text); }

/// JSON has no infinity: where one side alone is not finite there is null.
static json::Value numberValue(double number) {
  return std::isfinite(number) ? json::Value(number) : json::Value(nullptr);
}

static json::Object differenceValue(const TensorDifference &d) {
  json::Array ulps(d.ulps);
  json::Object value{
      {"max_abs", numberValue(d.maxAbsolute)},
      {"max_rel", numberValue(d.maxRelative)},
      {"max_of_largest", numberValue(d.maxOfLargest)},
      {"max_ulp", numberValue(d.maxUlp)},
      {"ulps", std::move(ulps)},
      {"cosine", d.cosine},
      {"top_1", d.topAgreement ? json::Value(*d.topAgreement) : json::Value(nullptr)},
      {"mismatches", d.mismatches}};
  if (!d.incomparable.empty())
    value["incomparable"] = utf8(d.incomparable);
  return value;
}

static json::Value nodeValue(const ComparedNode &node) {
  json::Array nodes;
  for (const std::string &name : node.nodes)
    nodes.push_back(utf8(name));
  json::Value none(nullptr);
  return json::Object{
      {"node", utf8(node.node)},
      {"result", static_cast<int64_t>(node.result)},
      {"op", node.op},
      {"nodes", std::move(nodes)},
      {"type", node.type},
      {"native", node.isNative},
      {"runs", node.runs},
      {"difference", node.isNative ? json::Value(differenceValue(node.difference)) : none},
      {"bound", json::Object{{"of_largest", node.bound.ofLargest},
                             {"relative", node.bound.relative},
                             {"absolute", node.bound.absolute},
                             {"integer", node.integerBound}}},
      {"pass", node.passes()},
      {"whole", node.fromStart ? json::Value(differenceValue(*node.fromStart)) : none}};
}

static json::Value outputValue(const OutputComparison &output) {
  json::Object value = differenceValue(output.difference);
  value["name"] = utf8(output.name);
  value["pass"] = output.difference.passes();
  value["flush_matters"] = output.flushMatters;
  return value;
}

std::string quern::nodeReport(const NodeComparison &comparison) {
  static constexpr const char *kFaults[] = {"none", "code", "graph"};
  json::Array nodes, others, outputs;
  for (const ComparedNode &node : comparison.nodes)
    nodes.push_back(nodeValue(node));
  for (const UncomparedNode &node : comparison.others)
    others.push_back(json::Object{{"node", utf8(node.node)}, {"reason", utf8(node.reason)}});
  for (const OutputComparison &output : comparison.outputs)
    outputs.push_back(outputValue(output));
  const ComparedNode *first = comparison.first ? &comparison.nodes[*comparison.first] : nullptr;
  json::Object report{{"complete", comparison.isComplete},
                      {"outputs", std::move(outputs)},
                      {"nodes", std::move(nodes)},
                      {"without_value", std::move(others)},
                      {"fault", kFaults[static_cast<int>(comparison.fault)]},
                      {"first", first ? json::Value(utf8(first->node)) : json::Value(nullptr)}};
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << json::Value(std::move(report));
  return text;
}
