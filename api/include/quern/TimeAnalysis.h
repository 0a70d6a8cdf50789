//===- TimeAnalysis.h - why a prediction takes the time it takes ----------===//
//
// Measures a model, holds each step against what this machine can do, tries what may help, and
// ranks the causes by what they cost.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Benchmark.h"
#include "quern/Compare.h"
#include "quern/MachineRates.h"
#include "quern/Model.h"
#include "quern/Trace.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// "29.8 ms", "6.51 us", "1.2 s".
std::string shownTime(double milliseconds);

/// What holds a step up.
enum class StepBound {
  Reference, ///< it has no native code
  Moves,     ///< it computes nothing: elements are copied, padded or arranged otherwise
  Compute,   ///< it uses the arithmetic units at kNearRoof of their peak or better
  Memory,    ///< memory gives it its bytes at kNearRoof of the measured rate or faster
  Neither,   ///< it is further from both
};
/// "reference", "moves", "compute", "memory", "neither".
std::string_view stepBoundName(StepBound bound);

/// A step of the plan, and what the machine would need for it at least.
struct StepTime {
  /// The share of a peak from which on a step counts as bound by it.
  static constexpr double kNearRoof = 0.75;

  ProfileRow row;
  /// Branches or bodies that it runs follow as steps of their own; its time is theirs.
  bool hasNested = false;
  /// Milliseconds of a run on average, and of the fastest.
  double ms = 0, fastestMs = 0;
  /// Milliseconds that the units need for its operations, and memory for its bytes, at the rates
  /// that were measured with all threads of the run; 0 where nothing is known.
  double computeMs = 0, memoryMs = 0;
  StepBound bound = StepBound::Neither;

  double roofMs() const { return computeMs > memoryMs ? computeMs : memoryMs; }
  /// What the fastest run took beyond both.
  double lostMs() const { return fastestMs > roofMs() ? fastestMs - roofMs() : 0; }
};

enum class CauseKind {
  Reference,    ///< steps without native code
  Moves,        ///< steps that only move elements
  Memory,       ///< steps that wait for memory
  Compute,      ///< steps that keep the arithmetic units busy
  Distance,     ///< steps far from what the machine can do
  Refusals,     ///< what the compiler did not do, and where
  Overhead,     ///< the time of a run outside its steps
  Threads,      ///< more, or fewer, threads would be faster
  Parallelism,  ///< steps with less work than threads
  Batch,        ///< samples in one run cost less each
  NewSizes,     ///< each new size of the inputs is planned for
  Start,        ///< loading, compiling, and the first run
  TargetCpu,    ///< code for another CPU than this
  Level,        ///< less than all optimisations
  Subnormals,   ///< numbers that processors are slow with
  Zeros,        ///< weights that are zero
  Duplicates,   ///< weights that are there more than once
  InputWeights, ///< weights that are given with each run
  Machine,      ///< what else slows this machine
};
/// "reference", "moves", ...
std::string_view causeKindName(CauseKind kind);

/// Something that makes a run, or the start, take longer than it must.
struct TimeCause {
  CauseKind kind;
  /// "7 steps wait for memory".
  std::string title;
  /// What was measured or found, a line each.
  std::vector<std::string> evidence = {};
  /// What to do about it, where there is something: a flag or an edit.
  std::string advice = {};
  /// Milliseconds of a run that the advice would save; of a cause that counts once (isOnce), of
  /// that one time. 0 when nothing can be said.
  double savedMs = 0;
  /// The saving was measured by doing what the advice says, not estimated.
  bool isMeasured = false;
  bool isOnce = false;

  /// "up to 1.2 ms (13 %) less", "0.4 s, once", of runs of so many milliseconds; empty when nothing
  /// can be said.
  std::string saving(double runMs) const;
};

/// A part of a run.
struct TimeShare {
  /// That of its steps; "overhead" is what is outside of them.
  std::string_view name;
  /// "memory, near its rate".
  std::string_view meaning;
  double ms = 0;
};

/// The time of a run with another number of threads or samples.
struct CurvePoint {
  int64_t at = 0;
  double ms = 0;
};

struct TimeAnalysis {
  Benchmark run;
  Machine machine;
  MachineRates rates;
  Explanation explanation;
  /// The model's nodes; the explanation says in which steps they are.
  std::vector<ModelNode> graph;
  /// In the order of the plan; nested ones follow those whose time has theirs.
  std::vector<StepTime> steps;
  /// Of those that are not nested, on average of a run.
  double stepsMs = 0;
  /// The first is the one that costs most; those that count once are last.
  std::vector<TimeCause> causes;
  /// Median times of whole runs, of what was tried.
  std::vector<CurvePoint> threadCurve, batchCurve;
  /// What each thread did in one run; nothing where another recording was on.
  std::vector<TraceSpan> timeline;
  /// Where it was asked for: what each kind of optimisation brings.
  std::optional<StagedComparison> stages;
  /// False when it was ended early: what is there was measured.
  bool isComplete = true;

  /// Of a run, outside of its steps: by the means or by the fastest of each, whichever is less, for
  /// other work disturbs the means, and the fastest steps are those of several runs.
  double overheadMs() const;
  /// Where a run goes: a part for each bound, whether it has steps or not, and what is outside of
  /// them.
  std::vector<TimeShare> shares() const;
  /// The share of a run in which the machine is used as well as kNearRoof.
  double shareNearRoof() const;
};

struct TimeAnalysisOptions {
  /// Of the profile; trials take about as long again.
  double seconds = 1;
  /// Whether to measure what would help: other precisions, numbers of threads, batch sizes.
  bool tries = true;
  /// Whether to go from the interpreter to all optimisations, too (compareStages), which takes a
  /// run of the interpreter at least.
  bool stages = false;
  /// Of loading the model, for the causes at the start; 0 where it is not known.
  double loadMs = 0;
  /// Of this machine with the threads of the run; both are found out when they are not given.
  std::optional<MachineRates> rates = {};
  std::optional<Machine> machine = {};
};

/// Compiles, measures and explains. A cause is one from 2 % of a run on. An error is that of
/// compiling or running; a watcher (quern/Progress.h) that ends the work gets what was measured
/// until then, once there is a profile.
Expected<TimeAnalysis> analyzeTime(const Model &model, std::span<const AnyValue> inputs,
                                   const CompileOptions &compile = {},
                                   const RunnerOptions &session = {},
                                   const TimeAnalysisOptions &options = {});

} // namespace quern
