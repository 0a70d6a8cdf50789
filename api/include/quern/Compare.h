//===- Compare.h - whether two runners agree, and which is faster ---------===//
#pragma once

#include "quern/Model.h"
#include "quern/Statistics.h"
#include "quern/TensorDifference.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern {

struct CompareOptions {
  /// Without one, that of the precision which the compiled one computes in; of runners alone
  /// nobody can tell, and it is float32's.
  std::optional<Tolerance> tolerance = {};
  /// How long to measure; both run once at least.
  double seconds = 2;
  /// The compiled one without Winograd's algorithm, where that is to be told, too; it has the same
  /// outputs.
  Runner *withoutWinograd = nullptr;
  /// Of nodes that draw at random: both draw the same numbers.
  uint64_t seed = 0;
  /// When runs are cancelled, what was measured until then is the result, if anything was.
  bool keepsCancelled = false;
};

struct OutputComparison {
  std::string name;
  TensorDifference difference = {};
  /// The compiled one agrees only with the reference run as it runs itself, with subnormal
  /// numbers taken for zero: that changes this output.
  bool flushMatters = false;
  /// That of CompareOptions::withoutWinograd.
  std::optional<TensorDifference> withoutWinograd = {};
};

struct Comparison {
  Tolerance tolerance;
  std::vector<OutputComparison> outputs;
  /// Milliseconds of a run.
  Statistics reference, compiled;
  /// Threads of the compiled one.
  int threads = 0;
  /// Of compiling and planning for these inputs; 0 where the caller did that.
  double compileMs = 0;
  /// False when runs were cancelled: the times are of those before.
  bool isComplete = true;

  /// By the medians.
  double speedup() const;
  bool passes() const { return verdict().isOk(); }
  /// AccuracyMismatch that names the outputs, unless all are within the tolerance.
  Status verdict() const;
};

/// Runs both on the same inputs, compares what they give, and times them in turn, so
/// that what else the machine does meets both alike. An error of either is the result.
/// What differs is compared again under the floating-point mode of the compiled one.
Expected<Comparison> compare(Runner &reference, Runner &compiled, std::span<const AnyValue> inputs,
                             const CompareOptions &options = {});

/// The model run in one of the ways that lead from the interpreter to all optimisations.
struct Stage {
  /// "interpreter", "-O0: op by op", ...
  std::string name;
  /// Milliseconds of a run, and how many times as fast it is as the stage before, in turn with
  /// which it was timed: 1 of the first.
  Statistics times;
  double timesAsFast = 1;
  double compileMs = 0;
  /// Against the interpreter; none of the interpreter itself.
  std::vector<OutputComparison> outputs = {};
};

struct StagedComparison {
  /// The interpreter first, what was asked for last.
  std::vector<Stage> stages;
  /// Of the last stage; those before have that of float32.
  Tolerance tolerance;
  /// False when runs were cancelled: the stages are those before.
  bool isComplete = true;

  /// AccuracyMismatch that names stage and outputs, unless all are within their tolerance.
  Status verdict() const;
};

/// Adds one kind of optimisation after the other, from the interpreter to what `compile` and
/// `session` say: native code, folding, fusion, layouts, threads, precision, small weights, tuning.
/// Each stage is timed in turn with the one before, so at most two are in memory.
Expected<StagedComparison> compareStages(const Model &model, std::span<const AnyValue> inputs,
                                         const CompileOptions &compile = {},
                                         const RunnerOptions &session = {},
                                         const CompareOptions &options = {});

/// The interpreter with what `compile` makes of the model.
Expected<Comparison> compare(const Model &model, std::span<const AnyValue> inputs,
                             const CompileOptions &compile = {}, const RunnerOptions &session = {},
                             const CompareOptions &options = {});

} // namespace quern
