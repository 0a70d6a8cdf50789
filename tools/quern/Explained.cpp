//===- Explained.cpp - what compiling made of a model, for people ---------===//
#include "tools/quern/Explained.h"

#include "quern/EscapedText.h"
#include "tools/quern/NodeNames.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace quern;
using namespace quern::cli;

/// Lists of names are cut to this many for people.
static constexpr size_t kMaxPrintedNames = 10;

/// "a, b, c and 7 more".
static std::string listNames(std::span<const std::string> names, const char *separator,
                             const OutputStyle &style) {
  size_t most = style.verbosity > 0 ? names.size() : kMaxPrintedNames;
  size_t shown = std::min(names.size(), most);
  std::string text = fmt::format("{}", fmt::join(names.first(shown), separator));
  if (names.size() > most)
    text += fmt::format(" and {} more", names.size() - most);
  return escapeText(text, TextPlace::Line);
}

static std::string referenceLine(const std::string &nodes, const std::string &kernel,
                                 const Reason &reason, const OutputStyle &style) {
  return escapeText(fmt::format("no native code, runs on its reference kernel: {} ({}): {}",
                                shownNodes(nodes, style), shownName(kernel, style), reason.text),
                    TextPlace::Line) +
         "\n";
}

/// "not raised: matmul2: the scores are used elsewhere", a line for each.
static std::string describeRefusals(const std::vector<Refusal> &refusals,
                                    const OutputStyle &style) {
  static constexpr const char *kWords[] = {
      "not folded into weights", "not raised", "not on channel blocks", "not fused", "not in place",
      "not updated in place"};
  std::string text;
  for (const auto &[kind, reason] : refusals) {
    std::vector<std::string> nodes;
    for (const std::string &node : reason.nodes)
      nodes.push_back(shownName(node, style));
    text += escapeText(fmt::format("{}: {}: {}", kWords[static_cast<size_t>(kind)],
                                   fmt::join(nodes, ", "), reason.text),
                       TextPlace::Line) +
            "\n";
  }
  return text;
}

std::string cli::describeExplanation(const Explanation &explanation, const OutputStyle &style,
                                     std::span<const std::string> wantedOptions) {
  std::vector<std::string> undecided;
  size_t native = 0;
  std::string reference;
  for (const ExplainedStep &step : explanation.steps) {
    native += step.isNative();
    if (step.needsSizes())
      undecided.push_back(shownNodes(step.name, style));
    else if (step.reason)
      reference += referenceLine(step.name, step.kernel, *step.reason, style);
  }
  std::string text =
      fmt::format("{} of {} steps run as native code{}", native, explanation.steps.size(),
                  wantedOptions.empty() ? "\n" : " for all sizes\n");
  if (!undecided.empty() && wantedOptions.empty())
    text += fmt::format("compiled in the first run, which tells their sizes: {}\n",
                        listNames(undecided, ", ", style));
  else if (!undecided.empty())
    text += fmt::format("not decided without sizes: {}; give {}\n",
                        listNames(undecided, ", ", style), listNames(wantedOptions, " ", style));
  text += reference;
  if (style.verbosity > 0)
    text += describeRefusals(explanation.refusals, style);
  return text;
}

std::string cli::describeReferenceRows(std::span<const ProfileRow> rows, const OutputStyle &style) {
  std::string text;
  for (const ProfileRow &row : rows)
    if (row.reason)
      text += referenceLine(row.nodes, row.kernel, *row.reason, style);
  return text;
}
