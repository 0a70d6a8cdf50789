//===- GraphDot.cpp - a model's graph in Graphviz's language --------------===//
#include "api/time/report/StepGraph.h"
#include "quern/Reports.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::timing;

/// As a quoted string of the language.
static std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (char c : text)
    result += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return result + "\"";
}

/// From white to red, by the share of the slowest step.
static std::string colourOf(double share) {
  return fmt::format("\"0.02 {:.2f} 1.0\"", 0.05 + 0.6 * std::clamp(share, 0.0, 1.0));
}

std::string quern::graphDot(const TimeAnalysis &analysis) {
  StepGraph graph = StepGraph::of(analysis);
  double mostMs = 1e-12;
  for (const StepNode &row : graph.rows)
    mostMs = std::max(mostMs, row.ms);
  std::map<std::string, std::string> fates;
  for (const ExplainedNode &node : analysis.explanation.nodes)
    fates[node.name] = fateName(node.fate);
  std::map<std::string, size_t> numbers;
  for (size_t n = 0; n < analysis.graph.size(); ++n)
    numbers.emplace(analysis.graph[n].name, n);
  std::string text = "digraph model {\n  node [shape=box, style=filled, fillcolor=white];\n";
  for (size_t i = 0; i < graph.rows.size(); ++i) {
    const StepNode &row = graph.rows[i];
    text += fmt::format("  subgraph cluster_{} {{\n    label={};\n    style=filled; color={};\n", i,
                        quoted(row.kernel + ", " + shownTime(row.ms)), colourOf(row.ms / mostMs));
    for (const std::string &node : row.nodes)
      if (auto number = numbers.find(node); number != numbers.end())
        text += fmt::format("    n{} [label={}];\n", number->second, quoted(node));
    text += "  }\n";
  }
  for (size_t n = 0; n < analysis.graph.size(); ++n) {
    const ModelNode &node = analysis.graph[n];
    if (!graph.rowOfNode.contains(node.name))
      text += fmt::format("  n{} [label={}, style=dashed];\n", n,
                          quoted(node.name + " (" + fates[node.name] + ")"));
    for (size_t input : node.inputs)
      text += fmt::format("  n{} -> n{};\n", input, n);
  }
  return text + "}\n";
}
