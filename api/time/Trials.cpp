//===- Trials.cpp - what may help, tried ----------------------------------===//
#include "api/Turns.h"
#include "api/time/TimeFacts.h"
#include "quern/Progress.h"
#include "quern/SampleInputs.h"
#include "quern/TensorDifference.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

using namespace quern;
using namespace quern::timing;

namespace {
/// From this share of a run on a trial has helped; less is noise.
constexpr double kHelps = 0.05;

/// What outputs may be off by for a trial to be advised, as a share of their largest.
constexpr double kMostError = 0.05;

/// Other options of compiling or running, and what they are called.
struct Trial {
  std::string name;
  CompileOptions compile;
  RunnerOptions session;
};

/// How a trial went.
struct Outcome {
  Statistics usual, tried;
  /// The most that an output differs by, as a share of its largest magnitude.
  double error = 0;

  double savedMs() const { return usual.p50 - tried.p50; }
  bool helps() const { return savedMs() > kHelps * usual.p50; }
  std::string line(const std::string &name) const {
    std::string text =
        fmt::format("{}: {} instead of {}, {:.2f} times as fast", name, shownTime(tried.p50),
                    shownTime(usual.p50), usual.p50 / tried.p50);
    if (error > 0)
      text += fmt::format("; outputs differ by up to {:.2g} % of their largest", 100 * error);
    return text;
  }
};
} // namespace

static Expected<double> largestDifference(Runner &usual, Runner &tried,
                                          std::span<const AnyValue> inputs) {
  QUERN_ASSIGN(std::vector<AnyValue> wanted, usual.run(inputs));
  QUERN_ASSIGN(std::vector<AnyValue> found, tried.run(inputs));
  double largest = 0;
  for (size_t i = 0; i < wanted.size(); ++i)
    largest = std::max(largest, compareValues(wanted[i], found[i], {}).maxOfLargest);
  return largest;
}

/// nullopt where the trial's options are refused: then it is none.
static Expected<std::optional<Outcome>> run(const TimeFacts &facts, const Trial &trial) {
  QUERN_TRY(ProgressScope::check("trying " + trial.name));
  Expected<PreparedRunner> tried =
      prepareRunner(facts.model, facts.inputs, trial.compile, trial.session);
  if (!tried && tried.status().code() == StatusCode::Unsupported)
    return std::optional<Outcome>();
  if (!tried)
    return tried.status();
  QUERN_ASSIGN(std::unique_ptr<Runner> usual, facts.compiled->createRunner(facts.session));
  Outcome outcome;
  QUERN_ASSIGN(outcome.error, largestDifference(*usual, *tried->runner, facts.inputs));
  Runner *runners[] = {usual.get(), tried->runner.get()};
  QUERN_ASSIGN(
      std::vector<Statistics> times,
      timeInTurns(runners, facts.inputs, facts.options.seconds / 2, "trying " + trial.name));
  outcome.usual = times[0];
  outcome.tried = times[1];
  return std::optional(outcome);
}

/// `cause` with what the best of `trials` has saved; nothing is said when none has.
static Status tryAll(TimeFacts &facts, TimeCause cause, std::span<const Trial> trials) {
  cause.isMeasured = true;
  for (const Trial &trial : trials) {
    QUERN_ASSIGN(std::optional<Outcome> outcome, run(facts, trial));
    if (!outcome)
      continue;
    cause.evidence.push_back(outcome->line(trial.name));
    if (outcome->helps() && outcome->error <= kMostError && outcome->savedMs() > cause.savedMs) {
      cause.savedMs = outcome->savedMs();
      cause.advice = trial.name;
    }
  }
  if (cause.savedMs > 0)
    facts.add(std::move(cause));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Other numbers
//===----------------------------------------------------------------------===//

/// The time of steps with a bound, as a share of a run.
static double shareOf(const TimeFacts &facts, StepBound bound) {
  StepSelection steps = selectSteps(
      facts.analysis, [&](const StepTime &step) { return step.bound == bound; },
      [](const StepTime &step) { return step.ms; });
  return steps.ms / std::max(facts.analysis.run.steady.mean, 1e-9);
}

/// Whether products take a part of the run that is worth a trial.
static bool multiplies(const TimeFacts &facts) {
  double ms = 0;
  for (const StepTime &step : facts.analysis.steps)
    if (!step.hasNested && step.row.cost.engine == Engine::Float32 && step.row.cost.flops > 0 &&
        !step.row.reference)
      ms += step.ms;
  bool hasProducts = !facts.analysis.explanation.products.empty();
  return hasProducts && ms > 0.2 * facts.runMs();
}

/// "16", "16 and 32": the bits of the weights, or other factors, of the products.
static std::string factorBits(const TimeFacts &facts) {
  std::set<int> bits;
  for (const ExplainedStep &step : facts.analysis.explanation.steps)
    if (!step.precision.empty()) {
      bool isFloat32 = step.precision == precisionName(Precision::Float32);
      std::optional<DType> weights = parseDType(step.weights), factors = parseDType(step.precision);
      bits.insert(weights     ? dtypeBits(*weights)
                  : isFloat32 ? 32
                  : factors   ? dtypeBits(*factors)
                              : 16);
    }
  return fmt::format("{}", fmt::join(bits, " and "));
}

static Status tryPrecision(TimeFacts &facts) {
  const EnginePeaks &peaks = facts.analysis.rates.peaks;
  if (facts.compile.precision != Precision::Float32 || !multiplies(facts) ||
      peaks.bfloat16 < 1.2 * peaks.float32)
    return Status::ok();
  Trial trial{"--precision bf16", facts.compile, facts.session};
  trial.compile.precision = Precision::BFloat16;
  double compute = shareOf(facts, StepBound::Compute), memory = shareOf(facts, StepBound::Memory);
  bool isCompute = compute >= memory;
  return tryAll(
      facts,
      {.kind = isCompute ? CauseKind::Compute : CauseKind::Memory,
       .title = isCompute
                    ? fmt::format("products in float32: {:.0f} % of a run keep its units busy",
                                  100 * compute)
                    : fmt::format("factors of {} bits: {:.0f} % of a run wait for memory",
                                  factorBits(facts), 100 * memory)},
      std::span(&trial, 1));
}

static Status tryWeights(TimeFacts &facts) {
  double memory = shareOf(facts, StepBound::Memory);
  if (facts.compile.weights != WeightType::Given || memory < 0.1 || !multiplies(facts))
    return Status::ok();
  std::vector<Trial> trials;
  for (WeightType type : {WeightType::Int8, WeightType::Int4}) {
    trials.push_back(
        {fmt::format("--weights {}", weightTypeName(type)), facts.compile, facts.session});
    trials.back().compile.weights = type;
  }
  return tryAll(facts,
                {.kind = CauseKind::Memory,
                 .title = fmt::format("weights of {} bits: {:.0f} % of a run wait for memory",
                                      factorBits(facts), 100 * memory)},
                trials);
}

//===----------------------------------------------------------------------===//
// Other settings
//===----------------------------------------------------------------------===//

static Status trySettings(TimeFacts &facts) {
  if (facts.compile.optLevel < 3) {
    Trial trial{"-O3", facts.compile, facts.session};
    trial.compile.optLevel = 3;
    QUERN_TRY(tryAll(facts,
                     {.kind = CauseKind::Level,
                      .title = fmt::format("compiled with -O{}", facts.compile.optLevel)},
                     std::span(&trial, 1)));
  }
  if (facts.compile.targetCpu == "host")
    return Status::ok();
  Trial trial{"--target-cpu host", facts.compile, facts.session};
  trial.compile.targetCpu = "host";
  return tryAll(facts,
                {.kind = CauseKind::TargetCpu,
                 .title = fmt::format("compiled for the CPU '{}', not for this one",
                                      facts.compile.targetCpu)},
                std::span(&trial, 1));
}

/// How much slower runs are that take subnormal numbers as they are.
static Status trySubnormals(TimeFacts &facts) {
  Trial trial{"subnormal numbers as they are", facts.compile, facts.session};
  trial.session.flushDenormals = !facts.session.flushDenormals;
  QUERN_ASSIGN(std::optional<Outcome> outcome, run(facts, trial));
  if (!outcome)
    return Status::ok();
  const Statistics &flushed = facts.session.flushDenormals ? outcome->usual : outcome->tried;
  const Statistics &kept = facts.session.flushDenormals ? outcome->tried : outcome->usual;
  if (kept.p50 < 1.1 * flushed.p50)
    return Status::ok();
  auto known = std::ranges::find(facts.analysis.causes, CauseKind::Subnormals, &TimeCause::kind);
  if (known == facts.analysis.causes.end()) {
    facts.add({.kind = CauseKind::Subnormals,
               .title = "subnormal numbers in what the model computes",
               .advice = "they come of inputs or weights close to zero"});
    known = std::prev(facts.analysis.causes.end());
  }
  known->isMeasured = true;
  known->savedMs = facts.session.flushDenormals ? 0 : kept.p50 - flushed.p50;
  known->evidence.push_back(
      fmt::format("{} where they are computed with, {} where they are taken for "
                  "zero",
                  shownTime(kept.p50), shownTime(flushed.p50)));
  return Status::ok();
}

/// 1, 2, 4, ... and all.
static std::vector<int> threadNumbers(int usable, int current) {
  std::vector<int> numbers = {current, usable};
  for (int n = 1; n < usable; n *= 2)
    numbers.push_back(n);
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

static Status tryThreads(TimeFacts &facts) {
  TimeAnalysis &analysis = facts.analysis;
  std::vector<int> numbers = threadNumbers(analysis.machine.usableCpus, analysis.run.threads);
  if (numbers.size() < 2)
    return Status::ok();
  QUERN_TRY(ProgressScope::check("trying numbers of threads"));
  std::vector<PreparedRunner> prepared;
  std::vector<Runner *> runners;
  for (int threads : numbers) {
    CompileOptions compile = facts.compile;
    RunnerOptions session = facts.session;
    compile.threads = session.threads = threads;
    QUERN_ASSIGN(PreparedRunner runner, prepareRunner(facts.model, facts.inputs, compile, session));
    prepared.push_back(std::move(runner));
    runners.push_back(prepared.back().runner.get());
  }
  QUERN_ASSIGN(
      std::vector<Statistics> times,
      timeInTurns(runners, facts.inputs, facts.options.seconds, "trying numbers of threads"));
  double current = 0;
  CurvePoint best{0, 1e300};
  for (size_t i = 0; i < numbers.size(); ++i) {
    analysis.threadCurve.push_back({numbers[i], times[i].p50});
    if (numbers[i] == analysis.run.threads)
      current = times[i].p50;
    if (times[i].p50 < best.ms)
      best = analysis.threadCurve.back();
  }
  if (current - best.ms <= kHelps * current)
    return Status::ok();
  TimeCause cause{.kind = CauseKind::Threads,
                  .title =
                      fmt::format("{} thread{}, where {} would be faster", analysis.run.threads,
                                  analysis.run.threads == 1 ? "" : "s", best.at),
                  .advice = fmt::format("--threads {}", best.at),
                  .savedMs = current - best.ms,
                  .isMeasured = true};
  for (const CurvePoint &point : analysis.threadCurve)
    cause.evidence.push_back(fmt::format("--threads {}: {}", point.at, shownTime(point.ms)));
  facts.add(std::move(cause));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Several samples at once
//===----------------------------------------------------------------------===//

/// The symbol that all inputs' first dimensions are; empty when there is none.
static std::string batchSymbol(const Model &model) {
  std::string symbol;
  for (const PortSignature &port : model.inputs()) {
    if (!port.isTensor() || port.shape.rank() == 0 || !port.shape[0].isSymbolic() ||
        (!symbol.empty() && symbol != port.shape[0].symbolName()))
      return "";
    symbol = port.shape[0].symbolName();
  }
  return symbol;
}

/// Inputs like those given, but `size` samples of them.
static Expected<std::vector<AnyValue>> batchOf(const TimeFacts &facts, const std::string &symbol,
                                               int64_t size) {
  std::vector<PortSignature> ports = facts.model.inputs();
  for (size_t i = 0; i < ports.size(); ++i) {
    Tensor::Dims dims = facts.inputs[i].asTensor()->dims();
    for (int64_t d = 0; d < ports[i].shape.rank(); ++d)
      if (ports[i].shape[d].isSymbolic() && ports[i].shape[d].symbolName() == symbol)
        dims[static_cast<size_t>(d)] = size;
    ports[i].shape = PortShape::fromSizes(dims);
  }
  return sampleInputs(ports, /*seed=*/0, facts.compile.limits);
}

static Status tryBatches(TimeFacts &facts) {
  TimeAnalysis &analysis = facts.analysis;
  std::string symbol = batchSymbol(facts.model);
  if (symbol.empty())
    return Status::ok();
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, facts.compiled->createRunner(facts.session));
  Runner *runners[] = {runner.get()};
  constexpr int64_t kMostSamples = 64;
  constexpr double kMostMs = 500;
  for (int64_t size = 1; size <= kMostSamples; size *= 2) {
    QUERN_ASSIGN(std::vector<AnyValue> inputs, batchOf(facts, symbol, size));
    QUERN_TRY(facts.compiled->planForInputs(inputs, facts.compile.limits.deadline));
    QUERN_ASSIGN(std::vector<Statistics> times,
                 timeInTurns(runners, inputs, facts.options.seconds / 8,
                             fmt::format("trying {} samples at once", size)));
    analysis.batchCurve.push_back({size, times[0].p50});
    if (times[0].p50 > kMostMs)
      break;
  }
  int64_t present = facts.inputs[0].asTensor()->dims()[0];
  auto perSample = [](const CurvePoint &point) { return point.ms / double(point.at); };
  auto now = std::ranges::find(analysis.batchCurve, present, &CurvePoint::at);
  auto best = std::ranges::min_element(analysis.batchCurve, {}, perSample);
  if (now == analysis.batchCurve.end() || perSample(*best) > (1 - kHelps) * perSample(*now))
    return Status::ok();
  TimeCause cause{.kind = CauseKind::Batch,
                  .title = fmt::format("{} sample{} in a run", present, present == 1 ? "" : "s"),
                  .advice = fmt::format("run {} samples at once (--dim {}={}), if they come "
                                        "together",
                                        best->at, symbol, best->at),
                  .savedMs = (perSample(*now) - perSample(*best)) * double(present),
                  .isMeasured = true};
  for (const CurvePoint &point : analysis.batchCurve)
    cause.evidence.push_back(fmt::format("{} at once: {}, {} a sample", point.at,
                                         shownTime(point.ms), shownTime(perSample(point))));
  facts.add(std::move(cause));
  return Status::ok();
}

Status timing::tryAlternatives(TimeFacts &facts) {
  QUERN_TRY(trySettings(facts));
  QUERN_TRY(tryPrecision(facts));
  QUERN_TRY(tryWeights(facts));
  QUERN_TRY(trySubnormals(facts));
  QUERN_TRY(tryThreads(facts));
  return tryBatches(facts);
}
