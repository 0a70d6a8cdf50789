//===- ChosenPrecision.cpp - what --precision auto has come to, for people ---===//
#include "tools/quern/ChosenPrecision.h"

#include "quern/EscapedText.h"
#include "quern/Precision.h"
#include "tools/quern/NodeNames.h"

#include <cmath>
#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;

std::string cli::summarizeChoice(const PrecisionChoice &choice) {
  if (choice.layers.empty())
    return "no product or convolution has native code of a lower precision that pays";
  std::string text = fmt::format(
      "{} of {} products and convolutions that it pays for in {}; outputs are off by {:.2g} % of "
      "their largest magnitude, the bound is {:g} %",
      choice.numLowered(), choice.layers.size(), precisionName(Precision::BFloat16),
      100 * choice.error, 100 * choice.maxError);
  if (!choice.refusal.empty())
    text += "; " + choice.refusal;
  if (choice.isOnRandomInputs)
    text += "; measured on random inputs";
  return escapeText(text, TextPlace::Line);
}

std::string cli::describeChoice(const PrecisionChoice &choice, const OutputStyle &style) {
  std::string text = "precision auto: " + summarizeChoice(choice) + "\n";
  if (choice.refusal.empty() || style.verbosity <= 0)
    return text;
  Table table({"layer", "precision", "alone % of largest", "saves us"});
  for (const PrecisionLayer &layer : choice.layers)
    table.addRow(
        {shownNodes(layer.node, style),
         std::string(precisionName(layer.isLowered ? Precision::BFloat16 : Precision::Float32)),
         std::isnan(layer.error) ? "-" : fmt::format("{:.2g}", 100 * layer.error),
         fmt::format("{:.1f}", layer.nanosecondsSaved * 1e-3)});
  return text + table.str();
}
