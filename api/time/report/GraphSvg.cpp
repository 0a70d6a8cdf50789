//===- GraphSvg.cpp - the steps of a plan, and what they take -------------===//
#include "api/time/report/Plot.h"
#include "api/time/report/StepGraph.h"
#include "api/time/report/Svg.h"
#include "quern/Reports.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

using namespace quern;
using namespace quern::timing;

namespace {
/// A line from one row to those that take its results, but the next, in a lane at the left.
struct Line {
  size_t from;
  std::vector<size_t> to = {};
  size_t lane = 0;

  size_t length() const { return to.back() - from; }
};

constexpr size_t kMostRows = 1000;
constexpr double kRowHeight = 22, kLaneWidth = 9, kTextWidth = 620, kBlockWidth = 90;
/// Lines share lanes from here on: more would leave no room for names.
constexpr size_t kMostLanes = 14;

/// Lines that overlap get lanes of their own, the shortest ones those nearest to the rows.
std::vector<Line> layLines(const std::vector<StepNode> &rows) {
  std::map<size_t, Line> bySource;
  for (size_t to = 0; to < rows.size(); ++to)
    for (size_t from : rows[to].inputs)
      if (from + 1 < to) {
        Line &line = bySource.try_emplace(from, Line{from}).first->second;
        line.to.push_back(to);
      }
  std::vector<Line> lines;
  for (auto &[from, line] : bySource)
    lines.push_back(std::move(line));
  std::sort(lines.begin(), lines.end(), [](const Line &a, const Line &b) {
    return std::pair(a.length(), a.from) < std::pair(b.length(), b.from);
  });
  std::vector<std::vector<const Line *>> lanes;
  for (Line &line : lines) {
    auto isFree = [&](const std::vector<const Line *> &lane) {
      return std::ranges::none_of(lane, [&](const Line *other) {
        return line.from < other->to.back() && other->from < line.to.back();
      });
    };
    auto lane = std::ranges::find_if(lanes, isFree);
    if (lane == lanes.end() && lanes.size() < kMostLanes)
      lane = lanes.emplace(lanes.end());
    line.lane = lane == lanes.end() ? kMostLanes - 1 : size_t(lane - lanes.begin());
    lanes[line.lane].push_back(&line);
  }
  return lines;
}

/// As many characters as fit, without the middle.
std::string shortened(const std::string &text, size_t most) {
  if (text.size() <= most)
    return text;
  return text.substr(0, most / 2) + "..." + text.substr(text.size() - (most / 2 - 3));
}
} // namespace

static double middle(size_t row) { return kRowHeight * (static_cast<double>(row) + 0.5); }

static std::string drawLines(const std::vector<Line> &lines, double left) {
  std::string body;
  for (const Line &line : lines) {
    double x = left - kLaneWidth * static_cast<double>(line.lane + 1);
    body += fmt::format("<polyline class=\"wire\" points=\"{0},{1} {2},{1} {2},{3}\"/>", left,
                        middle(line.from) + 4, x, middle(line.to.back()) - 4);
    for (size_t to : line.to)
      body += fmt::format("<line class=\"wire\" x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\"/>", x,
                          left, middle(to) - 4);
  }
  return body;
}

static std::string drawRow(const std::vector<StepNode> &rows, size_t i, double left,
                           double mostMs) {
  const StepNode &row = rows[i];
  std::string body;
  if (i > 0 && row.inputs.contains(i - 1))
    body +=
        fmt::format("<line class=\"wire\" x1=\"{0}\" x2=\"{0}\" y1=\"{1}\" y2=\"{2}\"/>", left + 8,
                    middle(i - 1) + kRowHeight / 2 - 2, middle(i) - kRowHeight / 2 + 2);
  std::string nodes = htmlText(fmt::format("{}", fmt::join(row.nodes, " + ")));
  return body +
         fmt::format(
             "<rect class=\"{}\" fill-opacity=\"{:.2f}\" x=\"{}\" y=\"{}\" width=\"{}\" "
             "height=\"{}\" rx=\"4\"><title>{}: {}</title></rect><text class=\"name\" x=\"{}\" "
             "y=\"{}\">{}</text><text class=\"name\" x=\"{}\" y=\"{}\" "
             "text-anchor=\"end\">{}</text>",
             stepBoundName(row.bound), 0.08 + 0.5 * row.ms / mostMs, left,
             kRowHeight * static_cast<double>(i) + 2, kTextWidth, kRowHeight - 4, nodes,
             htmlText(row.kernel), left + 16, middle(i) + 4,
             htmlText(shortened(fmt::format("{}", fmt::join(row.nodes, " + ")), 64)),
             left + kTextWidth - 8, middle(i) + 4, htmlText(shownTime(row.ms)));
}

/// At the right of a block that stands for several.
static std::string drawBlock(const RepeatedBlock &block, double right) {
  double top = middle(block.first) - kRowHeight / 2 + 4,
         bottom = middle(block.first + block.rows - 1) + kRowHeight / 2 - 4;
  return fmt::format("<polyline class=\"wire\" points=\"{0},{2} {1},{2} {1},{3} {0},{3}\"/>"
                     "<text class=\"name\" x=\"{4}\" y=\"{5}\">{6} times</text>",
                     right, right + 8, top, bottom, right + 14, (top + bottom) / 2 + 4,
                     block.times);
}

std::string timing::graphSvg(const TimeAnalysis &analysis) {
  StepGraph graph = StepGraph::of(analysis);
  graph.collapseBlocks();
  const std::vector<StepNode> &rows = graph.rows;
  if (rows.empty() || rows.size() > kMostRows)
    return "";
  std::vector<Line> lines = layLines(rows);
  size_t numLanes = 0;
  double mostMs = 1e-12;
  for (const Line &line : lines)
    numLanes = std::max(numLanes, line.lane + 1);
  for (const StepNode &row : rows)
    mostMs = std::max(mostMs, row.ms);
  double left = 10 + kLaneWidth * static_cast<double>(numLanes + 1);
  double width = left + kTextWidth + (graph.blocks.empty() ? 10 : kBlockWidth);
  std::string body = drawLines(lines, left);
  for (size_t i = 0; i < rows.size(); ++i)
    body += drawRow(rows, i, left, mostMs);
  for (const RepeatedBlock &block : graph.blocks)
    body += drawBlock(block, left + kTextWidth + 4);
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" "
                     "aria-label=\"The {} steps of the fused graph, in their order\">{}</svg>",
                     width, kRowHeight * static_cast<double>(rows.size()), graph.steps, body);
}

std::string quern::graphPicture(const TimeAnalysis &analysis) {
  return timing::standalone(timing::graphSvg(analysis));
}
