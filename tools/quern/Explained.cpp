//===- Explained.cpp - what compiling made of a model, for people ---------===//
#include "tools/quern/Explained.h"

#include "quern/EscapedText.h"
#include "quern/Precision.h"
#include "tools/quern/ChosenPrecision.h"
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
      "not folded into weights",    "not raised", "not on channel blocks",
      "not at the lower precision", "not fused",  "not in place",
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

std::string cli::describeProducts(const Explanation &explanation) {
  size_t inFloat32 = 0, all = 0;
  std::string text;
  for (const auto &[precision, count] : explanation.products) {
    text += fmt::format("{}{} in {}", text.empty() ? "" : ", ", count, precision);
    inFloat32 += precision == precisionName(Precision::Float32) ? count : 0;
    all += count;
  }
  bool isRefused =
      std::any_of(explanation.refusals.begin(), explanation.refusals.end(),
                  [](const Refusal &refusal) { return refusal.kind == Refusal::Kind::Precision; });
  return inFloat32 == all && !isRefused ? "" : "products and convolutions: " + text + "\n";
}

/// "37 results of float16 are read before they are rounded".
static std::string describeUnrounded(const Explanation &explanation) {
  std::string text;
  for (const auto &[type, count] : explanation.unrounded)
    text += count == 1
                ? fmt::format("1 result of {} is read before it is rounded\n", type)
                : fmt::format("{} results of {} are read before they are rounded\n", count, type);
  return text;
}

/// As the keys of Explanation::products: "f32 by int4".
static std::string productKind(const ExplainedStep &step) {
  return step.weights.empty() ? step.precision : step.precision + " by " + step.weights;
}

/// "in bf16: conv1+relu1, conv2", a line for each precision.
static std::string describeProductSteps(const Explanation &explanation, const OutputStyle &style) {
  std::string text;
  for (const auto &[precision, count] : explanation.products) {
    std::vector<std::string> names;
    for (const ExplainedStep &step : explanation.steps)
      if (productKind(step) == precision &&
          std::find(names.begin(), names.end(), shownNodes(step.name, style)) == names.end())
        names.push_back(shownNodes(step.name, style));
    text += fmt::format("in {}: {}\n", precision, listNames(names, ", ", style));
  }
  return text;
}

/// "3 convolutions by Winograd's algorithm: conv1+relu1, conv2, conv3"; the names with -v.
static std::string describeWinograd(const Explanation &explanation, const OutputStyle &style) {
  std::vector<std::string> names;
  for (const ExplainedStep &step : explanation.steps)
    if (step.isWinograd())
      names.push_back(fmt::format("{} ({})", shownNodes(step.name, style), step.way));
  if (names.empty())
    return "";
  return fmt::format("{} convolution{} by Winograd's algorithm{}{}\n", names.size(),
                     names.size() == 1 ? "" : "s", style.verbosity > 0 ? ": " : "",
                     style.verbosity > 0 ? listNames(names, ", ", style) : "");
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
  text += reference + describeProducts(explanation) + describeUnrounded(explanation) +
          describeWinograd(explanation, style);
  if (explanation.choice)
    text += describeChoice(*explanation.choice, style);
  if (style.verbosity > 0) {
    if (!describeProducts(explanation).empty())
      text += describeProductSteps(explanation, style);
    text += describeRefusals(explanation.refusals, style);
  }
  return text;
}

std::string cli::describeReferenceRows(std::span<const ProfileRow> rows, const OutputStyle &style) {
  std::string text;
  for (const ProfileRow &row : rows)
    if (row.reason)
      text += referenceLine(row.nodes, row.kernel, *row.reason, style);
  return text;
}
