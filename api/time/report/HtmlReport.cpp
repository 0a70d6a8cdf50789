//===- HtmlReport.cpp - an analysis of time as a page ---------------------===//
#include "api/time/report/Plot.h"
#include "api/time/report/ReportTexts.h"
#include "api/time/report/Svg.h"
#include "quern/Reports.h"
#include "quern/Version.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fmt/chrono.h>
#include <fmt/format.h>

using namespace quern;
using namespace quern::timing;

static std::string figure(const std::string &svg, const std::string &caption) {
  return svg.empty()
             ? ""
             : fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", svg, caption);
}

/// As wide as the page, or to be scrolled.
static std::string wideFigure(const std::string &svg, const std::string &caption) {
  std::string text = figure(svg, caption);
  return text.empty() ? text
                      : "<figure class=\"wide\" tabindex=\"0\">" + text.substr(strlen("<figure>"));
}

static std::string headOf(const TimeAnalysis &analysis, const std::string &title) {
  const Statistics &times = analysis.run.steady;
  return fmt::format(
      "<h1>{}</h1>\n<p class=\"facts\">{} a run (median of {}), {} thread{}; {}: {:.0f} "
      "GFLOP/s, "
      "{:.0f} GB/s; Quern {}, {:%Y-%m-%d}</p>\n",
      htmlText(title), shownTime(times.p50), analysis.run.runs, analysis.run.threads,
      analysis.run.threads == 1 ? "" : "s",
      htmlText(analysis.machine.cpuModel.empty() ? "this machine" : analysis.machine.cpuModel),
      analysis.rates.peaks.float32, analysis.rates.readGBps, versionString(),
      fmt::gmtime(std::time(nullptr)));
}

/// What the colours mean.
static std::string keyOfColours(const TimeAnalysis &analysis) {
  std::string text = "<p class=\"key\">";
  for (const auto &[name, meaning, ms] : analysis.shares())
    text += fmt::format("<span><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect class=\"{}\" "
                        "width=\"1\" height=\"1\"/></svg> {}</span> ",
                        name, meaning);
  return text + "</p>\n";
}

static std::string causeItem(const TimeCause &cause, double runMs) {
  std::string text = "<li>" + htmlText(cause.title);
  if (std::string saving = cause.saving(runMs); !saving.empty())
    text += " <span class=\"saved\">" + saving + "</span>";
  text += "\n<ul>";
  for (const std::string &line : cause.evidence)
    text += "<li>" + htmlText(line) + "</li>";
  text += "</ul>";
  if (!cause.advice.empty())
    text += "<span class=\"advice\">" + htmlText(cause.advice) + "</span>";
  return text + "</li>\n";
}

static std::string causesOf(const TimeAnalysis &analysis) {
  std::string text = "<h2>What takes time, and what would help</h2>\n";
  if (analysis.causes.empty())
    return text + "<p>Nothing that costs 2 % of a run.</p>\n";
  text += "<ol class=\"causes\">\n";
  for (const TimeCause &cause : analysis.causes)
    text += causeItem(cause, analysis.run.steady.p50);
  return text + "</ol>\n";
}

static std::string numberCell(double value, const std::string &shown) {
  return fmt::format("<td data-value=\"{:g}\">{}</td>", value, shown);
}

static std::string stepRow(const StepTime &step, size_t number, double mostMs, double allMs) {
  const StepCost &cost = step.row.cost;
  double gflops = step.fastestMs > 0 ? cost.flops / step.fastestMs * 1e-6 : 0;
  double gbps = step.fastestMs > 0 ? cost.bytes() / step.fastestMs * 1e-6 : 0;
  double ofRoof = step.fastestMs > 0 ? 100 * step.roofMs() / step.fastestMs : 0;
  return fmt::format(
      "<tr>{}<td class=\"text\" title=\"{}\">{}</td><td class=\"text\">{}</td>{}{}"
      "<td class=\"bar\" data-value=\"{:g}\">{}</td>{}{}{}<td class=\"text\">{}</td></tr>\n",
      numberCell(double(number), std::to_string(number)), htmlText(step.row.nodes),
      htmlText(step.row.nodes), htmlText(step.row.kernel),
      numberCell(step.ms, fmt::format("{:.4f}", step.ms)),
      numberCell(step.ms, fmt::format("{:.1f}", 100 * step.ms / std::max(allMs, 1e-12))), step.ms,
      barSvg(step.ms / std::max(mostMs, 1e-12), step.bound),
      numberCell(gflops, fmt::format("{:.1f}", gflops)),
      numberCell(gbps, fmt::format("{:.1f}", gbps)),
      numberCell(ofRoof, fmt::format("{:.0f}", ofRoof)),
      step.hasNested ? "nested" : stepBoundName(step.bound));
}

static std::string stepsOf(const TimeAnalysis &analysis) {
  static constexpr std::pair<const char *, const char *> kColumns[] = {
      {"#", ""},    {"nodes", "text"}, {"kernel", "text"}, {"ms", ""},        {"%", ""},
      {"time", ""}, {"GFLOP/s", ""},   {"GB/s", ""},       {"% of roof", ""}, {"bound", "text"}};
  double mostMs = 0;
  for (const StepTime &step : analysis.steps)
    mostMs = std::max(mostMs, step.ms);
  std::string text = fmt::format(
      "<h2>Steps, in their order</h2>\n<label for=\"search\">Search nodes and kernels</label><br>\n"
      "<input id=\"search\" type=\"search\"> <span id=\"count\" role=\"status\">{} steps</span>\n"
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Steps\"><table "
      "id=\"steps\">"
      "<thead><tr>",
      analysis.steps.size());
  for (const auto &[name, kind] : kColumns)
    text += fmt::format("<th scope=\"col\" class=\"{}\"><button type=\"button\">{}</button></th>",
                        kind, name);
  text += "</tr></thead>\n<tbody>\n";
  for (size_t i = 0; i < analysis.steps.size(); ++i)
    text += stepRow(analysis.steps[i], i + 1, mostMs, analysis.stepsMs);
  return text + "</tbody></table></div>\n";
}

static std::string graphOf(const TimeAnalysis &analysis) {
  std::string svg = graphSvg(analysis);
  return svg.empty()
             ? ""
             : "<h2>The graph, as it was fused</h2>\n<details><summary>Show it</summary>\n" +
                   figure(svg, "A row is a step. The stronger its colour, the more of a run "
                               "it takes; lines lead to the steps that take its results.") +
                   "</details>\n";
}

/// Of what was asked for, the last stage.
static std::string errorsOf(const TimeAnalysis &analysis) {
  if (!analysis.stages || analysis.stages->stages.size() < 2)
    return "";
  return figure(
      errorSvg(analysis.stages->stages.back().outputs),
      "How far the numbers of the outputs are from the interpreter's, by how many numbers "
      "of their type lie between. Where large numbers cancel out, small ones are off by "
      "many.");
}

std::string quern::timePage(const TimeAnalysis &analysis, const std::string &title) {
  std::string plots =
      figure(rooflineSvg(analysis),
             "Each dot is a step; its area grows with its time. The lines are "
             "what this machine was measured to do.") +
      figure(curveSvg(analysis.threadCurve, false), "Threads that were tried.") +
      figure(curveSvg(analysis.batchCurve, true), "Samples in a run that were tried.") +
      errorsOf(analysis);
  std::string timeline =
      wideFigure(timelineSvg(analysis), "One run, a lane for each thread. Gaps are time in which a "
                                        "thread waits for others, or for work.");
  std::string stages =
      analysis.stages ? wideFigure(waterfallSvg(*analysis.stages),
                                   "A run from the interpreter, which is there to compare answers "
                                   "with, to all that was asked for; the scale is logarithmic.")
                      : "";
  return fmt::format(
             "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<title>{}: where the time goes</title>\n<style>\n{}</style></head>\n<body><main>\n",
             htmlText(title), kReportStyle) +
         headOf(analysis, title) + "<h2>Where a run goes</h2>\n" + sharesSvg(analysis) +
         keyOfColours(analysis) + causesOf(analysis) +
         "<h2>Against this machine</h2>\n<div class=\"plots\">\n" + plots + "</div>\n" + timeline +
         stages + graphOf(analysis) + stepsOf(analysis) + "</main>\n<script>\n" + kReportScript +
         "</script></body></html>\n";
}
