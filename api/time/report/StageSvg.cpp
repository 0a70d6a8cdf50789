//===- StageSvg.cpp - what each kind of optimisation brings, drawn --------===//
#include "api/time/report/Plot.h"
#include "api/time/report/Svg.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::timing;

std::string timing::waterfallSvg(const StagedComparison &comparison) {
  constexpr double kWidth = 1120, kLeft = 300, kRight = kWidth - 170, kRow = 28;
  double least = 1e300, most = 0;
  for (const Stage &stage : comparison.stages) {
    least = std::min(least, stage.times.p50);
    most = std::max(most, stage.times.p50);
  }
  if (comparison.stages.size() < 2 || least <= 0)
    return "";
  Axis axis = Axis::logarithmic(least / 2, most, kLeft, kRight);
  std::string body;
  double before = 0;
  for (size_t i = 0; i < comparison.stages.size(); ++i) {
    const Stage &stage = comparison.stages[i];
    double y = kRow * static_cast<double>(i), x = axis.at(stage.times.p50);
    // What it saves over the stage before stands behind it, as an outline.
    if (before > x)
      body += fmt::format("<rect class=\"wire\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" "
                          "height=\"{}\"/>",
                          x, y + 4, before - x, kRow - 8);
    body += fmt::format("<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>"
                        "<rect class=\"compute\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\"/>"
                        "<text x=\"{:.1f}\" y=\"{}\">{}{}</text>",
                        kLeft - 10, y + 18, htmlText(stage.name), kLeft, y + 4, x - kLeft, kRow - 8,
                        std::max(before, x) + 8, y + 18, shownTime(stage.times.p50),
                        i == 0 ? "" : fmt::format(", {:.3g} times as fast", stage.timesAsFast));
    before = x;
  }
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"The time of a run after "
                     "each of {} stages\">{}</svg>",
                     kWidth, kRow * static_cast<double>(comparison.stages.size()),
                     comparison.stages.size(), body);
}
