//===- SettingCauses.cpp - what calls and the machine cost ----------------===//
#include "api/time/TimeFacts.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::timing;

static void findOverhead(TimeFacts &facts) {
  double ms = facts.analysis.overheadMs();
  if (!facts.matters(ms))
    return;
  facts.add({.kind = CauseKind::Overhead,
             .title = "calls: time of a run outside of its steps",
             .evidence = {fmt::format("{} of {}", shownTime(ms),
                                      shownTime(facts.analysis.run.steady.min))},
             .advice = "give the same output tensors to each run, and several samples at once",
             .savedMs = ms});
}

/// Each is a line of `quern doctor`, too.
static void findMachineCauses(TimeFacts &facts) {
  const TimeAnalysis &analysis = facts.analysis;
  TimeCause cause{.kind = CauseKind::Machine, .title = "this machine"};
  cause.evidence = findMachineWarnings(analysis.machine, describeHostCpu(), analysis.rates);
  if (std::optional<int> quota = analysis.machine.quotaCpus;
      quota && *quota < analysis.run.threads) {
    // More threads than the quota are stopped for the rest of each period.
    cause.savedMs = analysis.run.steady.mean * (1 - double(*quota) / analysis.run.threads);
    cause.advice = fmt::format("--threads {}: more are stopped by the cgroup's quota", *quota);
  }
  if (!cause.evidence.empty())
    facts.add(std::move(cause));
}

void timing::findSettingCauses(TimeFacts &facts) {
  findOverhead(facts);
  findMachineCauses(facts);
}
