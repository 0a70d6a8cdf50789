//===- StepGraph.cpp - the steps of a plan as a graph ---------------------===//
#include "api/time/report/StepGraph.h"

#include <algorithm>

using namespace quern;
using namespace quern::timing;

/// Steps beside those of nodes, such as frames of zeros, count to those that have their names.
static void addTimes(StepGraph &graph, const TimeAnalysis &analysis) {
  std::map<std::string, StepNode *> byName;
  for (StepNode &row : graph.rows)
    byName[row.name] = &row;
  for (const StepTime &step : analysis.steps)
    if (auto row = byName.find(step.row.nodes); row != byName.end() && !step.hasNested) {
      row->second->ms += step.ms;
      if (step.row.kernel == row->second->kernel)
        row->second->bound = step.bound;
    }
}

/// Nodes without a step hand on what they take.
static void addInputs(StepGraph &graph, const std::vector<ModelNode> &nodes) {
  std::vector<std::set<size_t>> sources(nodes.size());
  for (size_t n = 0; n < nodes.size(); ++n) {
    auto row = graph.rowOfNode.find(nodes[n].name);
    std::set<size_t> taken;
    for (size_t input : nodes[n].inputs)
      taken.insert(sources[input].begin(), sources[input].end());
    if (row == graph.rowOfNode.end()) {
      sources[n] = std::move(taken);
      continue;
    }
    taken.erase(row->second);
    graph.rows[row->second].inputs.insert(taken.begin(), taken.end());
    sources[n] = {row->second};
  }
}

StepGraph StepGraph::of(const TimeAnalysis &analysis) {
  StepGraph graph;
  std::map<size_t, size_t> rowOfStep;
  const Explanation &explanation = analysis.explanation;
  for (size_t s = 0; s < explanation.steps.size(); ++s)
    if (const ExplainedStep &step = explanation.steps[s]; !step.nodes.empty()) {
      rowOfStep[s] = graph.rows.size();
      graph.rows.push_back({step.name, step.kernel, step.nodes});
    }
  for (const ExplainedNode &node : explanation.nodes)
    if (auto row = rowOfStep.find(node.step);
        node.fate == ExplainedNode::Fate::Step && row != rowOfStep.end())
      graph.rowOfNode[node.name] = row->second;
  graph.steps = graph.rows.size();
  addTimes(graph, analysis);
  addInputs(graph, analysis.graph);
  return graph;
}

//===----------------------------------------------------------------------===//
// Repeated blocks
//===----------------------------------------------------------------------===//

static bool areAlike(const StepNode &a, const StepNode &b) {
  return a.kernel == b.kernel && a.inputs.size() == b.inputs.size();
}

/// How many times the `length` rows from `first` on follow each other.
static size_t timesFrom(const std::vector<StepNode> &rows, size_t first, size_t length) {
  size_t end = first + length;
  while (end < rows.size() && areAlike(rows[end], rows[end - length]))
    ++end;
  return (end - first) / length;
}

/// The block from `first` on that hides most rows; of one time where none repeats.
static RepeatedBlock largestBlock(const std::vector<StepNode> &rows, size_t first) {
  constexpr size_t kLongest = 200, kLeastHidden = 4;
  RepeatedBlock best{first, 1, 1};
  size_t mostHidden = kLeastHidden - 1;
  for (size_t length = 2; length <= std::min(kLongest, (rows.size() - first) / 2); ++length) {
    size_t times = timesFrom(rows, first, length), hidden = (times - 1) * length;
    if (hidden > mostHidden) {
      best = {first, length, times};
      mostHidden = hidden;
    }
  }
  return best;
}

void StepGraph::collapseBlocks() {
  std::vector<StepNode> shown;
  std::vector<size_t> places(rows.size());
  for (size_t i = 0; i < rows.size();) {
    RepeatedBlock block = largestBlock(rows, i);
    size_t place = shown.size();
    for (size_t k = 0; k < block.rows * block.times; ++k) {
      places[i + k] = place + k % block.rows;
      if (k < block.rows)
        shown.push_back(rows[i + k]);
      else
        shown[places[i + k]].ms += rows[i + k].ms;
    }
    i += block.rows * block.times;
    if (block.times > 1)
      blocks.push_back({place, block.rows, block.times});
  }
  for (StepNode &row : shown)
    row.inputs.clear();
  // What goes from one time to the next would lead back.
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t input : rows[i].inputs)
      if (places[input] < places[i])
        shown[places[i]].inputs.insert(places[input]);
  for (auto &[node, row] : rowOfNode)
    row = places[row];
  rows = std::move(shown);
}
