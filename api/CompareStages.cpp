//===- CompareStages.cpp - what each kind of optimisation brings ----------===//
#include "api/ComparedRuns.h"
#include "api/PreparedRunner.h"
#include "api/RunCount.h"
#include "api/Turns.h"
#include "quern/Machine.h"
#include "quern/RandomSeed.h"

#include <fmt/format.h>

using namespace quern;

namespace {
struct StageOptions {
  std::string name;
  CompileOptions compile;
  RunnerOptions session;
};
} // namespace

/// Native code alone on one thread, then what each level adds, and so on up to what was asked for.
static std::vector<StageOptions> nativeStages(const CompileOptions &compile,
                                              const RunnerOptions &session, int threads) {
  static constexpr const char *kLevels[] = {"-O0: op by op", "-O1: folding, raising", "-O2: fusion",
                                            "-O3: layouts, ways"};
  CompileOptions options = compile.asGiven();
  RunnerOptions run = session;
  options.threads = run.threads = 1;
  std::vector<StageOptions> stages;
  for (int level = 0; level <= compile.optLevel; ++level) {
    options.optLevel = level;
    stages.push_back({kLevels[level], options, run});
  }
  options.threads = compile.threads;
  run.threads = session.threads;
  if (threads > 1)
    stages.push_back({fmt::format("{} threads", threads), options, run});
  options.precision = compile.precision;
  options.maxError = compile.maxError;
  options.choice = compile.choice;
  if (compile.precision != Precision::Float32)
    stages.push_back({fmt::format("precision {}", precisionName(compile.precision)), options, run});
  options.weights = compile.weights;
  if (compile.weights != WeightType::Given)
    stages.push_back({fmt::format("weights {}", weightTypeName(compile.weights)), options, run});
  if (compile.tuning)
    stages.push_back({"tuned ways", compile, run});
  return stages;
}

namespace {
/// Goes from stage to stage; the one before is kept for turns with the next.
class StageRuns {
public:
  StageRuns(const Model &model, std::span<const AnyValue> inputs, const CompareOptions &options)
      : model(model), inputs(inputs), options(options) {}

  /// Runs the interpreter: what all others are compared with.
  Expected<Stage> begin(const CompileOptions &compile, const RunnerOptions &session) {
    QUERN_ASSIGN(PreparedRunner prepared,
                 prepareRunner(model, inputs, compile.interpreted(), session));
    reference = std::move(prepared.runner);
    wanted.resize(reference->outputs().size());
    seedRandomOps(options.seed);
    Stopwatch watch;
    QUERN_TRY(reference->run(inputs, wanted));
    SampleSet samples;
    samples.add(watch.milliseconds());
    // It is slow: as many runs as there is time for.
    std::vector<AnyValue> outputs(wanted.size());
    while (watch.milliseconds() < options.seconds * 1e3) {
      Stopwatch run;
      QUERN_TRY(reference->run(inputs, outputs));
      samples.add(run.milliseconds());
    }
    before = samples.summarize();
    return Stage{.name = "interpreter", .times = before};
  }

  Expected<Stage> next(const StageOptions &asked, const Tolerance &tolerance) {
    QUERN_ASSIGN(PreparedRunner prepared,
                 prepareRunner(model, inputs, asked.compile, asked.session));
    Comparison compared;
    compared.tolerance = tolerance;
    QUERN_TRY(addDifferences(*reference, *prepared.runner, inputs, wanted, options.seed, compared));
    std::vector<Runner *> runners = {prepared.runner.get()};
    if (current)
      runners.push_back(current.get());
    QUERN_ASSIGN(std::vector<Statistics> times,
                 timeInTurns(runners, inputs, options.seconds, asked.name));
    double usual = (current ? times[1] : before).p50;
    current = std::move(prepared.runner);
    return Stage{.name = asked.name,
                 .times = times[0],
                 .timesAsFast = usual / std::max(times[0].p50, 1e-9),
                 .compileMs = prepared.milliseconds,
                 .outputs = std::move(compared.outputs)};
  }

private:
  const Model &model;
  std::span<const AnyValue> inputs;
  CompareOptions options;
  std::unique_ptr<Runner> reference, current;
  std::vector<AnyValue> wanted;
  Statistics before;
};
} // namespace

Expected<StagedComparison> quern::compareStages(const Model &model,
                                                std::span<const AnyValue> inputs,
                                                const CompileOptions &compile,
                                                const RunnerOptions &session,
                                                const CompareOptions &options) {
  QUERN_ASSIGN(CompileOptions settled, settledOptions(model, inputs, compile));
  int threads = session.threads ? session.threads : describeMachine().usableCpus;
  std::vector<StageOptions> stages = nativeStages(settled, session, threads);
  CompareOptions share = options;
  share.seconds /= static_cast<double>(stages.size() + 1);
  StagedComparison result;
  result.tolerance = options.tolerance.value_or(toleranceFor(model, settled));
  Tolerance before = options.tolerance.value_or(toleranceFor(model, settled.asGiven()));
  StageRuns runs(model, inputs, share);
  QUERN_ASSIGN(Stage first, runs.begin(compile, session));
  result.stages.push_back(std::move(first));
  for (const StageOptions &stage : stages) {
    bool isLowered =
        stage.compile.precision != Precision::Float32 || stage.compile.weights != WeightType::Given;
    Expected<Stage> next = runs.next(stage, isLowered ? result.tolerance : before);
    result.isComplete =
        !isEndedEarly(next.status(), options.keepsCancelled, int64_t(result.stages.size()));
    if (!result.isComplete)
      break;
    QUERN_TRY(next.status());
    result.stages.push_back(next.take());
  }
  return result;
}

Status StagedComparison::verdict() const {
  for (const Stage &stage : stages) {
    Comparison compared;
    compared.outputs = stage.outputs;
    QUERN_TRY(compared.verdict().withContext(stage.name));
  }
  return Status::ok();
}
