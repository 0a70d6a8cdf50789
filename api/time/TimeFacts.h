//===- TimeFacts.h - what causes of slowness are told from ----------------===//
#pragma once

#include "api/PreparedRunner.h"
#include "quern/TimeAnalysis.h"

#include <functional>

namespace quern::timing {

/// What was asked, and what is known so far.
struct TimeFacts {
  const Model &model;
  std::span<const AnyValue> inputs;
  const CompileOptions &compile;
  const RunnerOptions &session;
  const TimeAnalysisOptions &options;
  TimeAnalysis &analysis;
  /// The model as `compile` says.
  std::shared_ptr<const CompiledModel> compiled = {};

  /// The time of a run that everything is held against.
  double runMs() const { return analysis.run.steady.p50; }
  /// Whether it is worth a word: 2 % of a run.
  bool matters(double ms) const { return ms >= 0.02 * runMs(); }
  void add(TimeCause cause) { analysis.causes.push_back(std::move(cause)); }
};

/// Steps of `analysis` for which `holds`, the longest first, with the sum of `cost` of each.
struct StepSelection {
  std::vector<const StepTime *> steps;
  double ms = 0;

  /// "conv1+relu1 (dot_14x32_relu): 1.25 ms, 72 % of peak", the first few, and how many more.
  std::vector<std::string> lines(const std::function<std::string(const StepTime &)> &says) const;
};
StepSelection selectSteps(const TimeAnalysis &analysis,
                          const std::function<bool(const StepTime &)> &holds,
                          const std::function<double(const StepTime &)> &cost);

/// "1 step", "7 steps".
std::string countOf(size_t number, std::string_view one);

/// Steps: without native code, moves, far from the machine's rates; what was refused.
void findStepCauses(TimeFacts &facts);
/// The options of the call, and the machine.
void findSettingCauses(TimeFacts &facts);
/// What is in weights, and weights among the inputs.
void findWeightCauses(TimeFacts &facts);
/// Loading, compiling, planning for a new size, calls.
Status findStartCauses(TimeFacts &facts);
/// Precisions, small weights, threads, batches: each is tried in turn with what there is.
Status tryAlternatives(TimeFacts &facts);

} // namespace quern::timing
