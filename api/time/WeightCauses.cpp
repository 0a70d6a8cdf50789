//===- WeightCauses.cpp - what weights make slow, or larger than they must be ===//
#include "api/time/TimeFacts.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::timing;

namespace {
constexpr size_t kMostLines = 5;

/// Lines of the first few.
void addLine(TimeCause &cause, size_t &count, std::string line) {
  if (++count <= kMostLines)
    cause.evidence.push_back(std::move(line));
}

void addCount(TimeCause &cause, size_t count) {
  if (count > kMostLines)
    cause.evidence.push_back(fmt::format("and {} more", count - kMostLines));
}
} // namespace

/// The time of the step that computes a node; 0 where none does.
static double stepMsOf(const TimeAnalysis &analysis, const std::string &node) {
  for (const ExplainedNode &each : analysis.explanation.nodes)
    if (each.name == node && each.fate == ExplainedNode::Fate::Step)
      for (const StepTime &step : analysis.steps)
        if (step.row.nodes == analysis.explanation.steps[each.step].name &&
            step.row.kernel == analysis.explanation.steps[each.step].kernel)
          return step.fastestMs;
  return 0;
}

static void findZeros(TimeFacts &facts, std::span<const WeightFinding> weights) {
  TimeCause cause{.kind = CauseKind::Zeros,
                  .title = "filters and columns that are all zero",
                  .advice = "prune them from the model: remove the filters, and what reads them"};
  size_t count = 0;
  for (const WeightFinding &weight : weights) {
    if (weight.zeroSlices == 0)
      continue;
    double share = double(weight.zeroSlices) / double(weight.slices);
    double ms = share * stepMsOf(facts.analysis, weight.node);
    cause.savedMs += ms;
    addLine(cause, count,
            fmt::format("{}: {} of {}, {}", weight.node, weight.zeroSlices, weight.slices,
                        shownTime(ms)));
  }
  addCount(cause, count);
  if (count > 0 && facts.matters(cause.savedMs))
    facts.add(std::move(cause));
}

static void findDuplicates(TimeFacts &facts, std::span<const WeightFinding> weights) {
  TimeCause cause{.kind = CauseKind::Duplicates, .title = ""};
  size_t count = 0;
  int64_t bytes = 0, all = 0;
  for (const WeightFinding &weight : weights) {
    all += weight.bytes();
    if (weight.sameAs.empty())
      continue;
    bytes += weight.bytes();
    addLine(cause, count,
            fmt::format("{} has the elements of {}: {:.3g} MB", weight.node, weight.sameAs,
                        double(weight.bytes()) * 1e-6));
  }
  addCount(cause, count);
  cause.title = fmt::format("weights that are there twice: {:.3g} MB of {:.3g} MB",
                            double(bytes) * 1e-6, double(all) * 1e-6);
  cause.advice = "export them as one initializer: it costs memory and loading, not time of runs";
  cause.isOnce = true;
  if (bytes * 50 > all)
    facts.add(std::move(cause));
}

static void findSubnormals(TimeFacts &facts, std::span<const WeightFinding> weights) {
  TimeCause cause{.kind = CauseKind::Subnormals, .title = "subnormal numbers in weights"};
  size_t count = 0;
  for (const WeightFinding &weight : weights)
    if (weight.subnormals > 0)
      addLine(cause, count,
              fmt::format("{}: {} of {} elements are below 1.2e-38", weight.node, weight.subnormals,
                          weight.elements));
  addCount(cause, count);
  cause.advice = facts.session.flushDenormals
                     ? "runs of Quern take them for zero; elsewhere set such weights to zero"
                     : "let runs take them for zero, or set such weights to zero";
  if (count > 0)
    facts.add(std::move(cause));
}

static void findInputWeights(TimeFacts &facts) {
  TimeCause cause{.kind = CauseKind::InputWeights,
                  .title = "weights that are given with each run",
                  .advice = "make them initializers: what is constant is packed once"};
  size_t count = 0;
  for (const auto &[input, node] : facts.model.inputsUsedAsWeights()) {
    double ms = stepMsOf(facts.analysis, node);
    cause.savedMs += ms / 3; // packing, and a layout that does not suit
    addLine(cause, count,
            fmt::format("input '{}' is the second factor of {} ({})", input, node, shownTime(ms)));
  }
  addCount(cause, count);
  if (count > 0)
    facts.add(std::move(cause));
}

void timing::findWeightCauses(TimeFacts &facts) {
  std::vector<WeightFinding> weights = facts.model.scanWeights();
  findZeros(facts, weights);
  findDuplicates(facts, weights);
  findSubnormals(facts, weights);
  findInputWeights(facts);
}
