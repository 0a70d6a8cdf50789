//===- PerNode.cpp - where native code first differs, for people ----------===//
#include "tools/quern/PerNode.h"

#include "quern/EscapedText.h"
#include "tools/quern/NodeNames.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;

/// Rows that are printed without --verbose, and letters of a node's name, of 80 columns.
static constexpr size_t kMostRows = 40, kNodeLetters = 17;

/// What a difference is of its bound, about: to tell which rows are of interest.
static double shareOfBound(const ComparedNode &node) {
  if (!node.passes())
    return std::numeric_limits<double>::infinity();
  double bound = node.bound.ofLargest + node.bound.relative;
  return bound > 0 ? node.difference.maxOfLargest / bound : node.difference.maxAbsolute;
}

/// The numbers of the rows to print, in their order.
static std::vector<size_t> chosenRows(const NodeComparison &comparison, const OutputStyle &style) {
  std::vector<size_t> chosen(comparison.nodes.size());
  for (size_t i = 0; i < chosen.size(); ++i)
    chosen[i] = i;
  if (style.verbosity > 0 || chosen.size() <= kMostRows)
    return chosen;
  std::stable_sort(chosen.begin(), chosen.end(), [&](size_t a, size_t b) {
    return shareOfBound(comparison.nodes[a]) > shareOfBound(comparison.nodes[b]);
  });
  // The first that differs is there whatever the others are.
  if (comparison.first) {
    auto at = std::find(chosen.begin(), chosen.end(), *comparison.first);
    std::rotate(chosen.begin(), at, at + 1);
  }
  chosen.resize(kMostRows);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

static std::string nodeOf(const ComparedNode &node) {
  return node.result == 0 ? node.node : fmt::format("{}:{}", node.node, node.result);
}

/// In seven columns.
static std::string number(double value) {
  if (value == 0 || !std::isfinite(value))
    return value == 0 ? "0" : "inf";
  return fmt::format("{:.1e}", value);
}

static void addRow(Table &table, const ComparedNode &node, const OutputStyle &style) {
  const TensorDifference &d = node.difference;
  bool isCompared = node.isNative && d.incomparable.empty();
  auto cell = [&](std::string text) { return isCompared ? std::move(text) : std::string("-"); };
  std::vector<std::string> row = {style.verbosity > 0 ? nodeOf(node)
                                                      : shortened(nodeOf(node), kNodeLetters),
                                  node.op.substr(0, 10),
                                  cell(number(d.maxAbsolute)),
                                  cell(number(d.maxRelative)),
                                  cell(number(d.maxUlp)),
                                  cell(fmt::format("{:.5f}", d.cosine)),
                                  node.fromStart ? number(node.fromStart->maxAbsolute) : "-"};
  if (!node.passes())
    row.emplace_back("FAIL");
  table.addRow(std::move(row));
}

/// "1e-4 of the largest magnitude and of each number", for each type that has its own.
static std::string describeBounds(const NodeComparison &comparison) {
  std::vector<std::string> texts;
  auto add = [&](std::string text) {
    if (std::find(texts.begin(), texts.end(), text) == texts.end())
      texts.push_back(std::move(text));
  };
  for (const ComparedNode &node : comparison.nodes) {
    if (!node.isNative)
      continue;
    std::string dtype = node.type.substr(0, node.type.find(' '));
    if (node.integerBound > 0)
      add(fmt::format("{}: {} where it was rounded", dtype, node.integerBound));
    else if (dtype.find("float") != std::string::npos)
      add(fmt::format("{}: {:g} of the largest + {:g} of each + {:g}", dtype, node.bound.ofLargest,
                      node.bound.relative, node.bound.absolute));
  }
  if (texts.empty())
    return "";
  return fmt::format("bound of a node: {}\n", fmt::join(texts, "\n                 "));
}

/// Whatever is in names.
static std::string lineOf(const std::string &text) {
  return escapeText(text, TextPlace::Line) + "\n";
}

static std::string describeFirst(const NodeComparison &comparison) {
  if (comparison.fault == NodeComparison::Fault::None)
    return comparison.isComplete ? "every node agrees with the interpreter\n" : "";
  if (!comparison.first)
    return "an output differs, and no node on the way to it has a value to compare\n";
  const ComparedNode &node = comparison.nodes[*comparison.first];
  std::string text =
      lineOf(fmt::format("first to differ: '{}' ({}), {}", nodeOf(node), node.op, node.type));
  if (node.nodes.size() > 1)
    text += lineOf(fmt::format("  computed in one with: {}", fmt::join(node.nodes, ", ")));
  if (comparison.fault == NodeComparison::Fault::Code) {
    const TensorDifference &d = node.difference;
    return text + (d.incomparable.empty()
                       ? fmt::format("  from the same operands {} elements differ, by {:.3g} at "
                                     "most: its native code is wrong\n",
                                     d.mismatches, d.maxAbsolute)
                       : fmt::format("  {}\n", d.incomparable));
  }
  return text +
         "  all native code is right for its operands: an optimisation of the graph is wrong\n"
         "  (see -O0 to -O3, and --dump-phases-to)\n";
}

std::string cli::describeNodes(const NodeComparison &comparison, const OutputStyle &style) {
  Table table({"node", "op", "max abs", "max rel", "ulp", "cosine", "whole"}, 2);
  std::vector<size_t> chosen = chosenRows(comparison, style);
  for (size_t i : chosen)
    addRow(table, comparison.nodes[i], style);
  std::string text = table.str();
  if (chosen.size() < comparison.nodes.size())
    text += fmt::format("and {} values that differ less (all with -v)\n",
                        comparison.nodes.size() - chosen.size());
  text += "max abs, rel, ulp, cosine: against the interpreter on the same operands\n"
          "whole: max abs against the interpreter's own value; '-': there is none\n";
  text += describeBounds(comparison);
  if (!comparison.others.empty() && style.verbosity == 0)
    text += fmt::format("nodes without a value of their own: {} (which and why with -v)\n",
                        comparison.others.size());
  for (const UncomparedNode &node : comparison.others)
    if (style.verbosity > 0)
      text += lineOf(fmt::format("no value: '{}', {}", node.node, node.reason));
  return text + describeFirst(comparison);
}
