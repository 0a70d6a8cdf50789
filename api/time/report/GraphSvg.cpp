//===- GraphSvg.cpp - the steps of a plan, and what they take -------------===//
#include "api/time/report/Plot.h"
#include "api/time/report/Svg.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

using namespace quern;
using namespace quern::timing;

namespace {
/// A row of the picture.
struct Row {
  std::string name, kernel;
  StepBound bound = StepBound::Neither;
  double ms = 0;
  /// The rows whose results it takes.
  std::set<size_t> inputs = {};
};

/// A line from one row to those that take its results, but the next, in a lane at the left.
struct Line {
  size_t from;
  std::vector<size_t> to = {};
  size_t lane = 0;

  size_t length() const { return to.back() - from; }
};

constexpr size_t kMostRows = 1000;
constexpr double kRowHeight = 22, kLaneWidth = 9, kTextWidth = 620;
/// Lines share lanes from here on: more would leave no room for names.
constexpr size_t kMostLanes = 14;

/// The steps that compute nodes, and in which row each node is.
class Rows {
public:
  explicit Rows(const TimeAnalysis &analysis) : analysis(analysis) {
    std::map<size_t, size_t> rowOfStep;
    const Explanation &explanation = analysis.explanation;
    for (size_t s = 0; s < explanation.steps.size(); ++s)
      if (const ExplainedStep &step = explanation.steps[s]; !step.nodes.empty()) {
        rowOfStep[s] = rows.size();
        rows.push_back({step.name, step.kernel});
      }
    for (const ExplainedNode &node : explanation.nodes)
      if (auto row = rowOfStep.find(node.step);
          node.fate == ExplainedNode::Fate::Step && row != rowOfStep.end())
        rowOfNode[node.name] = row->second;
    addTimes();
    addInputs();
  }

  std::vector<Row> rows;

private:
  /// Steps beside those of nodes, such as frames of zeros, count to those that have their names.
  void addTimes() {
    std::map<std::string, Row *> byName;
    for (Row &row : rows)
      byName[row.name] = &row;
    for (const StepTime &step : analysis.steps)
      if (auto row = byName.find(step.row.nodes); row != byName.end() && !step.hasNested) {
        row->second->ms += step.ms;
        if (step.row.kernel == row->second->kernel)
          row->second->bound = step.bound;
      }
  }

  /// Nodes without a step hand on what they take.
  void addInputs() {
    std::vector<std::set<size_t>> sources(analysis.graph.size());
    for (size_t n = 0; n < analysis.graph.size(); ++n) {
      auto row = rowOfNode.find(analysis.graph[n].name);
      std::set<size_t> taken;
      for (size_t input : analysis.graph[n].inputs)
        taken.insert(sources[input].begin(), sources[input].end());
      if (row == rowOfNode.end()) {
        sources[n] = std::move(taken);
        continue;
      }
      taken.erase(row->second);
      rows[row->second].inputs.insert(taken.begin(), taken.end());
      sources[n] = {row->second};
    }
  }

  const TimeAnalysis &analysis;
  std::map<std::string, size_t> rowOfNode;
};

/// Lines that overlap get lanes of their own, the shortest ones those nearest to the rows.
std::vector<Line> layLines(const std::vector<Row> &rows) {
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

std::string timing::graphSvg(const TimeAnalysis &analysis) {
  std::vector<Row> rows = Rows(analysis).rows;
  if (rows.empty() || rows.size() > kMostRows)
    return "";
  std::vector<Line> lines = layLines(rows);
  size_t numLanes = 0;
  double mostMs = 1e-12;
  for (const Line &line : lines)
    numLanes = std::max(numLanes, line.lane + 1);
  for (const Row &row : rows)
    mostMs = std::max(mostMs, row.ms);
  double left = 10 + kLaneWidth * static_cast<double>(numLanes + 1);
  auto middle = [](size_t row) { return kRowHeight * (static_cast<double>(row) + 0.5); };
  std::string body;
  for (const Line &line : lines) {
    double x = left - kLaneWidth * static_cast<double>(line.lane + 1);
    body += fmt::format("<polyline class=\"wire\" points=\"{0},{1} {2},{1} {2},{3}\"/>", left,
                        middle(line.from) + 4, x, middle(line.to.back()) - 4);
    for (size_t to : line.to)
      body += fmt::format("<line class=\"wire\" x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\"/>", x,
                          left, middle(to) - 4);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row &row = rows[i];
    if (row.inputs.contains(i - 1) && i > 0)
      body +=
          fmt::format("<line class=\"wire\" x1=\"{0}\" x2=\"{0}\" y1=\"{1}\" y2=\"{2}\"/>",
                      left + 8, middle(i - 1) + kRowHeight / 2 - 2, middle(i) - kRowHeight / 2 + 2);
    body += fmt::format(
        "<rect class=\"{}\" fill-opacity=\"{:.2f}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" "
        "rx=\"4\"/><text class=\"name\" x=\"{}\" y=\"{}\">{}</text><text class=\"name\" x=\"{}\" "
        "y=\"{}\" "
        "text-anchor=\"end\">{}</text>",
        stepBoundName(row.bound), 0.08 + 0.5 * row.ms / mostMs, left,
        kRowHeight * static_cast<double>(i) + 2, kTextWidth, kRowHeight - 4, left + 16,
        middle(i) + 4, htmlText(shortened(row.name, 64)), left + kTextWidth - 8, middle(i) + 4,
        htmlText(shownTime(row.ms)));
  }
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"The {} steps of the "
                     "fused graph, in their order\">{}</svg>",
                     left + kTextWidth + 10, kRowHeight * static_cast<double>(rows.size()),
                     rows.size(), body);
}
