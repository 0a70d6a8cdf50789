//===- Svg.cpp - pictures of an analysis ----------------------------------===//
#include "api/time/report/Svg.h"

#include "api/time/report/Plot.h"
#include "api/time/report/ReportTexts.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace quern;
using namespace quern::timing;

namespace {
struct Dot {
  const StepTime *step;
  /// Operations per byte, and 10^9 of them a second.
  double intensity, rate;
};

std::vector<Dot> dotsOf(const TimeAnalysis &analysis) {
  std::vector<Dot> dots;
  for (const StepTime &step : analysis.steps) {
    const StepCost &cost = step.row.cost;
    if (!step.hasNested && cost.flops > 0 && cost.bytes() > 0 && step.fastestMs > 0)
      dots.push_back({&step, cost.flops / cost.bytes(), cost.flops / step.fastestMs * 1e-6});
  }
  // The largest first, so that none hides another.
  std::sort(dots.begin(), dots.end(), [](const Dot &a, const Dot &b) {
    return std::pair(-a.step->ms, a.step) < std::pair(-b.step->ms, b.step);
  });
  return dots;
}
} // namespace

/// The roof of memory, and of each engine that a dot is of.
static void drawRoofs(Plot &plot, const std::vector<Dot> &dots, const MachineRates &rates) {
  for (Engine engine : {Engine::Float32, Engine::BFloat16, Engine::Int8}) {
    double peak = rates.peaks.of(engine), slope = rates.readGBps;
    bool isUsed = std::any_of(dots.begin(), dots.end(),
                              [&](const Dot &dot) { return dot.step->row.cost.engine == engine; });
    if (!isUsed || peak <= 0 || slope <= 0)
      continue;
    double from = std::max(plot.x.least(), plot.y.least() / slope);
    double ridge = std::clamp(peak / slope, from, plot.x.most());
    plot.body += fmt::format(
        "<polyline class=\"roof\" points=\"{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}\"/>"
        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{} {:.0f}</text>",
        plot.x.at(from), plot.y.at(from * slope), plot.x.at(ridge), plot.y.at(peak), plot.x.end(),
        plot.y.at(peak), plot.x.end() - 4, plot.y.at(peak) - 5, engineName(engine), peak);
  }
}

std::string timing::rooflineSvg(const TimeAnalysis &analysis) {
  std::vector<Dot> dots = dotsOf(analysis);
  if (dots.empty())
    return "";
  double leastX = 1e300, mostX = 0, leastY = 1e300, mostY = 0, mostMs = 0;
  for (const Dot &dot : dots) {
    double peak = analysis.rates.peaks.of(dot.step->row.cost.engine);
    leastX = std::min(leastX, dot.intensity);
    mostX =
        std::max(mostX, std::max(dot.intensity, peak / std::max(analysis.rates.readGBps, 1e-9)));
    leastY = std::min(leastY, dot.rate);
    mostY = std::max(mostY, std::max(dot.rate, peak));
    mostMs = std::max(mostMs, dot.step->ms);
  }
  // Steps of no rate at all would make the others small.
  leastY = std::max(leastY, mostY * 1e-5);
  leastX = std::max(leastX, mostX * 1e-5);
  Plot plot{Axis::logarithmic(leastX, mostX, Plot::kLeft, Plot::kRight),
            Axis::logarithmic(leastY, mostY, Plot::kBottom, Plot::kTop)};
  plot.drawAxes("operations per byte", "GFLOP/s");
  drawRoofs(plot, dots, analysis.rates);
  for (const Dot &dot : dots)
    plot.body += fmt::format(
        "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill-opacity=\"0.75\">"
        "<title>{}: {}, {:.3g} GFLOP/s</title></circle>",
        stepBoundName(dot.step->bound), plot.x.at(dot.intensity), plot.y.at(dot.rate),
        3 + 7 * std::sqrt(dot.step->ms / std::max(mostMs, 1e-12)), htmlText(dot.step->row.nodes),
        shownTime(dot.step->ms), dot.rate);
  return plot.svg(fmt::format("Roofline with a dot for each of {} steps", dots.size()));
}

std::string timing::sharesSvg(const TimeAnalysis &analysis) {
  std::vector<TimeShare> shares = analysis.shares();
  double all = 0, at = 0;
  for (const TimeShare &share : shares)
    all += share.ms;
  std::string body, label = "Where a run goes:";
  for (const auto &[name, meaning, part] : shares) {
    if (part <= 0)
      continue;
    double width = 1000 * part / all;
    body += fmt::format("<rect class=\"{0}\" x=\"{1:.1f}\" y=\"0\" width=\"{2:.1f}\" height=\"36\">"
                        "<title>{0}: {3:.3g} ms, {4:.0f} %</title></rect>",
                        name, at, width, part, 100 * part / all);
    label += fmt::format(" {} {:.0f} %,", name, 100 * part / all);
    at += width;
  }
  label.back() = '.';
  return fmt::format("<svg viewBox=\"0 0 1000 36\" role=\"img\" aria-label=\"{}\">{}</svg>", label,
                     body);
}

std::string timing::curveSvg(const std::vector<CurvePoint> &curve, bool divides) {
  auto shown = [&](const CurvePoint &p) { return divides ? p.ms / double(p.at) : p.ms; };
  double most = 0;
  std::vector<double> numbers;
  for (const CurvePoint &point : curve) {
    most = std::max(most, shown(point));
    numbers.push_back(double(point.at));
  }
  if (curve.size() < 2 || most <= 0)
    return "";
  Plot plot{Axis::ordinal(std::move(numbers), Plot::kLeft, Plot::kRight),
            Axis::linear(1.1 * most, Plot::kBottom, Plot::kTop)};
  plot.drawAxes(divides ? "samples in a run" : "threads", divides ? "ms a sample" : "ms a run");
  std::string points;
  for (const CurvePoint &point : curve) {
    double x = plot.x.at(double(point.at)), y = plot.y.at(shown(point));
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    plot.body += fmt::format("<circle class=\"compute\" cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"4\"/>"
                             "<text x=\"{0:.1f}\" y=\"{2:.1f}\" text-anchor=\"{4}\">{3:.3g}</text>",
                             x, y, y - 9, shown(point),
                             // Beside the numbers of the axis.
                             &point == &curve.front() ? "start" : "middle");
  }
  plot.body += "<polyline class=\"curve\" points=\"" + points + "\"/>";
  return plot.svg(divides ? "Milliseconds of a sample, by samples in a run"
                          : "Milliseconds of a run, by threads");
}

std::string timing::standalone(const std::string &svg) {
  constexpr std::string_view kName = "<svg";
  size_t begin = svg.find('>');
  if (svg.empty())
    return svg;
  return fmt::format("{} xmlns=\"http://www.w3.org/2000/svg\"{}<style>{}</style>"
                     "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>{}\n",
                     kName, svg.substr(kName.size(), begin + 1 - kName.size()), kReportStyle,
                     svg.substr(begin + 1));
}

std::string timing::barSvg(double share, StepBound bound) {
  return fmt::format(
      "<svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
      "<rect class=\"{}\" width=\"{:.1f}\" height=\"10\"/></svg>",
      stepBoundName(bound), 100 * std::clamp(share, 0.0, 1.0));
}
