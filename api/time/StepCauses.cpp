//===- StepCauses.cpp - steps that take longer than the machine must ------===//
#include "api/time/TimeFacts.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <set>

using namespace quern;
using namespace quern::timing;

/// Of the fastest run: others are disturbed by whatever else this machine does.
static double fastestMs(const StepTime &step) { return step.fastestMs; }

static void findReferenceSteps(TimeFacts &facts) {
  StepSelection slow = selectSteps(
      facts.analysis, [](const StepTime &step) { return step.bound == StepBound::Reference; },
      [](const StepTime &step) { return step.lostMs(); });
  if (!facts.matters(slow.ms))
    return;
  facts.add({.kind = CauseKind::Reference,
             .title = countOf(slow.steps.size(), "step") + " without native code",
             .evidence = slow.lines([](const StepTime &step) {
               return fmt::format("{}: {}", shownTime(step.fastestMs),
                                  step.row.reason ? step.row.reason->text : "runs for reference");
             }),
             .advice = "compute these nodes another way before exporting, or outside of the model",
             .savedMs = slow.ms});
}

static void findMoves(TimeFacts &facts) {
  StepSelection moves = selectSteps(
      facts.analysis, [](const StepTime &step) { return step.bound == StepBound::Moves; },
      fastestMs);
  if (!facts.matters(moves.ms))
    return;
  // What no problem demands, kernels have wanted.
  auto isOwn = [](const StepTime &step) { return step.row.cost.bytes() == 0; };
  auto says = [&](const StepTime &step) {
    return isOwn(step) ? shownTime(step.fastestMs) + ", as the next kernel wants it"
                       : fmt::format("{} for {:.3g} MB", shownTime(step.fastestMs),
                                     step.row.cost.bytes() * 1e-6);
  };
  double ofModel = 0;
  for (const StepTime *step : moves.steps)
    ofModel += isOwn(*step) ? 0 : step->fastestMs;
  facts.add({.kind = CauseKind::Moves,
             .title = countOf(moves.steps.size(), "step") + " only to move elements",
             .evidence = moves.lines(says),
             .advice = ofModel > 0
                           ? "export without the transposes, gathers and copies there, where "
                             "the model allows it"
                           : "",
             .savedMs = moves.ms});
}

static void findDistantSteps(TimeFacts &facts) {
  // Of other code nobody expects what this machine can do, and trials say what that costs.
  if (facts.compile.targetCpu != "host" || facts.compile.optLevel < 3)
    return;
  StepSelection distant = selectSteps(
      facts.analysis, [](const StepTime &step) { return step.bound == StepBound::Neither; },
      [](const StepTime &step) { return step.lostMs(); });
  if (!facts.matters(distant.ms))
    return;
  auto says = [](const StepTime &step) {
    return fmt::format("{}, of which the machine needs {}", shownTime(step.fastestMs),
                       shownTime(step.roofMs()));
  };
  facts.add({.kind = CauseKind::Distance,
             .title = fmt::format("{} below {:.0f} % of what the machine can do",
                                  countOf(distant.steps.size(), "step"), 100 * StepTime::kNearRoof),
             .evidence = distant.lines(says),
             .advice =
                 "larger batches make short steps pay; tuning (quern tune) may find faster ways to "
                 "compute them",
             .savedMs = distant.ms});
}

/// A step that is cut in fewer parts than there are threads.
static void findNarrowSteps(TimeFacts &facts) {
  int threads = facts.analysis.run.threads;
  auto idle = [&](const StepTime &step) {
    double parts = static_cast<double>(std::max<int64_t>(step.row.tasks, 1));
    return step.fastestMs * (1 - parts / threads);
  };
  // Shorter ones take as long as telling another thread.
  constexpr double kWorthSharingMs = 0.02;
  StepSelection narrow = selectSteps(
      facts.analysis,
      [&](const StepTime &step) {
        return step.row.tasks < threads && step.fastestMs >= kWorthSharingMs;
      },
      idle);
  if (threads == 1 || !facts.matters(narrow.ms))
    return;
  facts.add({.kind = CauseKind::Parallelism,
             .title = fmt::format("{} with less than a part for each of {} threads",
                                  countOf(narrow.steps.size(), "step"), threads),
             .evidence = narrow.lines([](const StepTime &step) {
               return fmt::format("{}, {}", shownTime(step.fastestMs),
                                  countOf(static_cast<size_t>(step.row.tasks), "part"));
             }),
             .advice = "run several samples side by side, each on one thread",
             .savedMs = narrow.ms});
}

static std::string_view refusedWhat(Refusal::Kind kind) {
  static constexpr std::string_view kWords[] = {"folding", "raising",  "blocks", "precision",
                                                "fusion",  "in place", "update"};
  return kWords[static_cast<size_t>(kind)];
}

namespace {
/// What refusals cost at most: the step that a node has for itself, where it would have been a part
/// of the one before.
class RefusalCosts {
public:
  explicit RefusalCosts(const TimeAnalysis &analysis) {
    for (const StepTime &step : analysis.steps)
      if (!step.hasNested)
        msOfStep[step.row.nodes] += step.fastestMs;
    for (const ExplainedStep &step : analysis.explanation.steps)
      if (!step.nodes.empty())
        stepThatBegins[step.nodes.front()] = step.name;
  }
  /// 0 where the node has become a part of another step all the same. Each step counts once.
  double cost(const Refusal &refusal) {
    if (refusal.reason.nodes.empty())
      return 0;
    auto step = stepThatBegins.find(refusal.reason.nodes.back());
    if (step == stepThatBegins.end() || !counted.insert(step->second).second)
      return 0;
    // Writing elsewhere costs a part of what the step does.
    return msOfStep[step->second] / (refusal.kind == Refusal::Kind::Update ? 3 : 1);
  }

private:
  std::map<std::string, double> msOfStep;
  std::map<std::string, std::string> stepThatBegins;
  std::set<std::string> counted;
};
} // namespace

static void findRefusals(TimeFacts &facts) {
  RefusalCosts costs(facts.analysis);
  std::vector<std::pair<double, std::string>> found;
  double total = 0;
  for (const Refusal &refusal : facts.analysis.explanation.refusals) {
    // Another place for a result costs nothing by itself, and what a lower precision brings the
    // trials say.
    if (refusal.kind == Refusal::Kind::InPlace || refusal.kind == Refusal::Kind::Precision)
      continue;
    double ms = costs.cost(refusal);
    if (ms <= 0)
      continue;
    total += ms;
    found.emplace_back(ms, fmt::format("{} of {}: {}; up to {}", refusedWhat(refusal.kind),
                                       fmt::join(refusal.reason.nodes, " and "),
                                       refusal.reason.text, shownTime(ms)));
  }
  if (!facts.matters(total))
    return;
  std::sort(found.begin(), found.end(), std::greater<>());
  TimeCause cause{.kind = CauseKind::Refusals,
                  .title = countOf(found.size(), "optimisation") + " the model did not allow",
                  .advice = "where a value is used twice or computed too late, give each use its "
                            "own node",
                  .savedMs = total};
  constexpr size_t kMost = 5;
  for (const auto &[ms, line] : std::span(found).first(std::min(kMost, found.size())))
    cause.evidence.push_back(line);
  if (found.size() > kMost)
    cause.evidence.push_back(fmt::format("and {} more: quern check -v", found.size() - kMost));
  facts.add(std::move(cause));
}

void timing::findStepCauses(TimeFacts &facts) {
  findReferenceSteps(facts);
  findMoves(facts);
  findDistantSteps(facts);
  findNarrowSteps(facts);
  findRefusals(facts);
}
