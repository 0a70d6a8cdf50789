//===- AnalyzeTime.cpp - why a prediction takes the time it takes ---------===//
#include "api/time/TimeFacts.h"

#include "quern/Progress.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <tuple>

using namespace quern;
using namespace quern::timing;

std::string quern::shownTime(double milliseconds) {
  if (milliseconds >= 1000)
    return fmt::format("{:.3g} s", milliseconds / 1000);
  return milliseconds >= 0.0999 ? fmt::format("{:.3g} ms", milliseconds)
                                : fmt::format("{:.3g} us", milliseconds * 1000);
}

std::string_view quern::stepBoundName(StepBound bound) {
  static constexpr std::array<std::string_view, 5> kNames = {"reference", "moves", "compute",
                                                             "memory", "neither"};
  return kNames[static_cast<size_t>(bound)];
}

std::string_view quern::causeKindName(CauseKind kind) {
  static constexpr std::array<std::string_view, 19> kNames = {
      "reference", "moves",      "memory",        "compute",     "distance",
      "refusals",  "overhead",   "threads",       "parallelism", "batch",
      "new-sizes", "start",      "target-cpu",    "level",       "subnormals",
      "zeros",     "duplicates", "input-weights", "machine"};
  return kNames[static_cast<size_t>(kind)];
}

double TimeAnalysis::shareNearRoof() const {
  double near = 0;
  for (const StepTime &step : steps)
    if (!step.hasNested && (step.bound == StepBound::Compute || step.bound == StepBound::Memory))
      near += step.ms;
  return near / std::max(run.steady.mean, 1e-9);
}

std::string TimeCause::saving(double runMs) const {
  if (savedMs <= 0)
    return "";
  if (isOnce)
    return shownTime(savedMs) + ", once";
  return fmt::format("{}{} ({:.0f} %) less", isMeasured ? "" : "up to ", shownTime(savedMs),
                     100 * savedMs / std::max(runMs, 1e-9));
}

std::vector<TimeShare> TimeAnalysis::shares() const {
  static constexpr std::pair<StepBound, const char *> kMeanings[] = {
      {StepBound::Compute, "arithmetic, near its peak"},
      {StepBound::Memory, "memory, near its rate"},
      {StepBound::Neither, "steps further from both"},
      {StepBound::Moves, "moving elements"},
      {StepBound::Reference, "steps without native code"}};
  std::vector<TimeShare> result;
  for (const auto &[bound, meaning] : kMeanings) {
    TimeShare &share = result.emplace_back(stepBoundName(bound), meaning);
    for (const StepTime &step : steps)
      share.ms += step.bound == bound && !step.hasNested ? step.ms : 0;
  }
  result.emplace_back("overhead", "outside of steps", overheadMs());
  return result;
}

double TimeAnalysis::overheadMs() const {
  double fastest = 0;
  for (const StepTime &step : steps)
    fastest += step.row.depth == 0 ? step.fastestMs : 0;
  return std::max(std::min(run.steady.min - fastest, run.steady.mean - stepsMs), 0.0);
}

std::string timing::countOf(size_t number, std::string_view one) {
  return fmt::format("{} {}{}", number, one, number == 1 ? "" : "s");
}

static StepBound boundOf(const StepTime &step) {
  if (step.row.reference)
    return StepBound::Reference;
  if (step.row.cost.flops == 0 && !step.hasNested)
    return StepBound::Moves;
  double near = StepTime::kNearRoof * step.fastestMs;
  if (step.computeMs >= near && step.computeMs >= step.memoryMs)
    return StepBound::Compute;
  return step.memoryMs >= near ? StepBound::Memory : StepBound::Neither;
}

static StepTime timeOf(const ProfileRow &row, bool hasNested, const MachineRates &rates) {
  StepTime step{.row = row, .hasNested = hasNested};
  step.ms = row.runs ? static_cast<double>(row.nanoseconds) * 1e-6 / double(row.runs) : 0;
  step.fastestMs = static_cast<double>(row.fastestNanoseconds) * 1e-6;
  if (double peak = rates.peaks.of(row.cost.engine); peak > 0)
    step.computeMs = row.cost.flops / peak * 1e-6;
  if (rates.readGBps > 0)
    step.memoryMs = row.cost.bytes() / rates.readGBps * 1e-6;
  step.bound = boundOf(step);
  return step;
}

StepSelection timing::selectSteps(const TimeAnalysis &analysis,
                                  const std::function<bool(const StepTime &)> &holds,
                                  const std::function<double(const StepTime &)> &cost) {
  StepSelection selection;
  for (const StepTime &step : analysis.steps)
    if (!step.hasNested && holds(step)) {
      selection.steps.push_back(&step);
      selection.ms += cost(step);
    }
  std::sort(selection.steps.begin(), selection.steps.end(),
            [&](const StepTime *a, const StepTime *b) {
              return std::pair(-cost(*a), a) < std::pair(-cost(*b), b);
            });
  return selection;
}

std::vector<std::string>
StepSelection::lines(const std::function<std::string(const StepTime &)> &says) const {
  constexpr size_t kMost = 5;
  std::vector<std::string> result;
  for (const StepTime *step : std::span(steps).first(std::min(kMost, steps.size())))
    result.push_back(fmt::format("{} ({}): {}", step->row.nodes, step->row.kernel, says(*step)));
  if (steps.size() > kMost)
    result.push_back(fmt::format("and {} more", steps.size() - kMost));
  return result;
}

static Status measureRates(const TimeFacts &facts, int threads) {
  TimeAnalysis &analysis = facts.analysis;
  analysis.machine = facts.options.machine.value_or(describeMachine());
  if (facts.options.rates) {
    analysis.rates = *facts.options.rates;
    return Status::ok();
  }
  int cpus = describeMachine().affinityCpus;
  QUERN_ASSIGN(analysis.rates, measureMachine(std::min(threads, cpus)));
  return Status::ok();
}

/// One run as its threads saw it.
static Status recordRun(const TimeFacts &facts, Runner &runner) {
  Expected<TraceRecorder> recorder = TraceRecorder::begin();
  if (!recorder)
    return Status::ok();
  std::vector<AnyValue> outputs(runner.outputs().size());
  QUERN_TRY(runner.run(facts.inputs, outputs));
  facts.analysis.timeline = recorder->end().spans;
  return Status::ok();
}

/// The profile of runs, held against the machine: that first, for runs may be cancelled.
static Status measure(const TimeFacts &facts, double compileMs) {
  TimeAnalysis &analysis = facts.analysis;
  RunnerOptions session = facts.session;
  session.profile = true;
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, facts.compiled->createRunner(session));
  QUERN_TRY(measureRates(facts, runner->threads()));
  QUERN_ASSIGN(analysis.run, benchmark(*runner, facts.inputs,
                                       {.seconds = facts.options.seconds, .keepsCancelled = true}));
  analysis.run.compileMs = compileMs;
  analysis.run.peaks = analysis.rates.peaks;
  const std::vector<ProfileRow> &rows = analysis.run.profile;
  for (size_t i = 0; i < rows.size(); ++i) {
    bool hasNested = i + 1 < rows.size() && rows[i + 1].depth > rows[i].depth;
    analysis.steps.push_back(timeOf(rows[i], hasNested, analysis.rates));
    analysis.stepsMs += rows[i].depth == 0 ? analysis.steps.back().ms : 0;
  }
  return analysis.run.isComplete ? recordRun(facts, *runner) : Status::ok();
}

static Status explain(const TimeFacts &facts) {
  CompileOptions options = facts.compile;
  options.dumpPhasesTo.clear(); // done already
  facts.analysis.graph = facts.model.graph();
  QUERN_ASSIGN(facts.analysis.explanation, facts.model.explainPlan(options, dimsOf(facts.inputs)));
  return Status::ok();
}

static Status findCauses(TimeFacts &facts) {
  QUERN_TRY(explain(facts));
  findStepCauses(facts);
  findSettingCauses(facts);
  findWeightCauses(facts);
  QUERN_TRY(findStartCauses(facts));
  if (facts.options.tries)
    QUERN_TRY(tryAlternatives(facts));
  if (!facts.options.stages)
    return Status::ok();
  QUERN_ASSIGN(facts.analysis.stages,
               compareStages(facts.model, facts.inputs, facts.compile, facts.session,
                             {.seconds = facts.options.seconds, .keepsCancelled = true}));
  return facts.analysis.stages->isComplete
             ? Status::ok()
             : Status(StatusCode::Cancelled, "ended while stages were measured");
}

static void rank(std::vector<TimeCause> &causes) {
  std::sort(causes.begin(), causes.end(), [](const TimeCause &a, const TimeCause &b) {
    return std::tuple(a.isOnce, -a.savedMs, a.kind) < std::tuple(b.isOnce, -b.savedMs, b.kind);
  });
}

Expected<TimeAnalysis> quern::analyzeTime(const Model &model, std::span<const AnyValue> inputs,
                                          const CompileOptions &compile,
                                          const RunnerOptions &session,
                                          const TimeAnalysisOptions &options) {
  if (compile.backend != Backend::Native)
    return usageError("the interpreter's time says nothing of native code's");
  QUERN_TRY(checkInputs(model.inputs(), inputs));
  TimeAnalysis analysis;
  TimeFacts facts{model, inputs, compile, session, options, analysis};
  Stopwatch watch;
  QUERN_ASSIGN(facts.compiled, model.compile(compile));
  QUERN_TRY(facts.compiled->planForInputs(inputs, compile.limits.deadline));
  QUERN_TRY(measure(facts, watch.milliseconds()));
  Status found = analysis.run.isComplete
                     ? findCauses(facts)
                     : Status(StatusCode::Cancelled, "ended while it was measured");
  if (!found.isOk() && found.code() != StatusCode::Cancelled)
    return found;
  analysis.isComplete = found.isOk();
  rank(analysis.causes);
  return analysis;
}
