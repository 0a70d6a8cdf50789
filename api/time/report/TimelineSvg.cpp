//===- TimelineSvg.cpp - what each thread did in one run ------------------===//
#include "api/time/report/Plot.h"
#include "api/time/report/Svg.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

using namespace quern;
using namespace quern::timing;

namespace {
/// A thread's part of a step.
struct Part {
  const TraceSpan *step;
  int lane;
  int64_t begin, end;
};

constexpr double kWidth = 1120, kLeft = 80, kLane = 30, kTop = 6, kBelow = 26;
} // namespace

/// Steps whose tasks threads took have a part for each of them; others are their thread's.
static std::vector<Part> partsOf(const std::vector<TraceSpan> &spans) {
  std::vector<const TraceSpan *> steps;
  for (const TraceSpan &span : spans)
    if (span.category == "step")
      steps.push_back(&span);
  std::ranges::sort(steps, {}, [](const TraceSpan *step) { return step->begin; });
  std::map<std::pair<const TraceSpan *, int>, Part> parts;
  for (const TraceSpan &span : spans) {
    if (span.category != "tasks")
      continue;
    auto after = std::ranges::upper_bound(steps, span.begin, {}, &TraceSpan::begin);
    if (after == steps.begin() || (*std::prev(after))->end < span.end)
      continue;
    const TraceSpan *step = *std::prev(after);
    Part &part = parts.try_emplace({step, span.thread}, Part{step, span.thread, span.begin, 0})
                     .first->second;
    part.begin = std::min(part.begin, span.begin);
    part.end = std::max(part.end, span.end);
  }
  std::vector<Part> result;
  for (const auto &[key, part] : parts)
    result.push_back(part);
  for (const TraceSpan *step : steps) {
    auto isOf = [&](const Part &part) { return part.step == step; };
    if (std::ranges::none_of(result, isOf))
      result.push_back({step, step->thread, step->begin, step->end});
  }
  return result;
}

std::string timing::timelineSvg(const TimeAnalysis &analysis) {
  constexpr size_t kMostParts = 4000;
  const std::vector<TraceSpan> &spans = analysis.timeline;
  auto run = std::ranges::find(spans, "run", &TraceSpan::category);
  std::vector<Part> parts = partsOf(spans);
  if (run == spans.end() || run->end <= run->begin || parts.empty() || parts.size() > kMostParts)
    return "";
  std::map<std::pair<std::string, std::string>, StepBound> bounds;
  for (const StepTime &step : analysis.steps)
    bounds[{step.row.nodes, step.row.kernel}] = step.bound;
  int lanes = 0;
  for (const Part &part : parts)
    lanes = std::max(lanes, part.lane + 1);
  double length = static_cast<double>(run->end - run->begin);
  auto at = [&](int64_t time) {
    return kLeft + (kWidth - kLeft - 10) * static_cast<double>(time - run->begin) / length;
  };
  std::string body;
  for (int lane = 0; lane < lanes; ++lane)
    body += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", kLeft - 8,
                        kTop + kLane * (lane + 0.6),
                        lane == 0 ? "main thread" : fmt::format("worker {}", lane));
  for (const Part &part : parts)
    body += fmt::format("<rect class=\"{}\" fill-opacity=\"0.8\" x=\"{:.2f}\" y=\"{}\" "
                        "width=\"{:.2f}\" height=\"{}\"><title>{}: {}</title></rect>",
                        stepBoundName(bounds[{part.step->nodes, part.step->name}]), at(part.begin),
                        kTop + kLane * part.lane + 3, std::max(at(part.end) - at(part.begin), 0.2),
                        kLane - 6, htmlText(part.step->nodes),
                        shownTime(static_cast<double>(part.end - part.begin) * 1e-6));
  double bottom = kTop + kLane * lanes;
  for (int quarter = 0; quarter <= 4; ++quarter) {
    double x = kLeft + (kWidth - kLeft - 10) * quarter / 4;
    body += fmt::format("<line class=\"axis\" x1=\"{0}\" x2=\"{0}\" y1=\"{1}\" y2=\"{2}\"/>"
                        "<text x=\"{0}\" y=\"{3}\" text-anchor=\"{4}\">{5}</text>",
                        x, kTop, bottom + 4, bottom + 18,
                        quarter == 0   ? "start"
                        : quarter == 4 ? "end"
                                       : "middle",
                        quarter == 0 ? "0" : shownTime(length * quarter / 4 * 1e-6));
  }
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"What {} threads did in "
                     "one run of {}\">{}</svg>",
                     kWidth, bottom + kBelow, lanes, shownTime(length * 1e-6), body);
}
