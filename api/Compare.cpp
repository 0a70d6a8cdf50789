//===- Compare.cpp - whether two runners agree, and which is faster -------===//
#include "quern/Compare.h"

#include "api/ComparedRuns.h"
#include "api/PreparedRunner.h"
#include "api/RunCount.h"
#include "quern/RandomSeed.h"
#include "runtime/running/FloatEnvironment.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;

double Comparison::speedup() const { return reference.p50 / std::max(compiled.p50, 1e-6); }

Status Comparison::verdict() const {
  std::vector<std::string> failures;
  for (const auto &[name, difference, flushMatters, withoutWinograd] : outputs)
    if (!difference.passes())
      failures.push_back(
          difference.incomparable.empty()
              ? fmt::format("output '{}': {} elements differ", name, difference.mismatches)
              : fmt::format("output '{}': {}", name, difference.incomparable));
  if (failures.empty())
    return Status::ok();
  return Status(
      StatusCode::AccuracyMismatch,
      fmt::format("native code and interpreter do not agree: {}", fmt::join(failures, "; ")));
}

static Status timedRun(Runner &runner, std::span<const AnyValue> inputs,
                       std::span<AnyValue> outputs, SampleSet &samples) {
  Stopwatch watch;
  QUERN_TRY(runner.run(inputs, outputs));
  samples.add(watch.milliseconds());
  return Status::ok();
}

/// The compiled one runs several times a turn: it is the faster one by far.
static Status measure(Runner &reference, Runner &compiled, std::span<const AnyValue> inputs,
                      const CompareOptions &options, Comparison &result) {
  constexpr int kCompiledRunsPerTurn = 5;
  SampleSet referenceMs, compiledMs;
  std::vector<AnyValue> outputs(compiled.outputs().size());
  Stopwatch total;
  RunCount count("comparing: turn ", "");
  auto takeTurn = [&]() -> Status {
    QUERN_TRY(count.add());
    QUERN_TRY(timedRun(reference, inputs, outputs, referenceMs));
    outputs.assign(outputs.size(), {});
    for (int i = 0; i < kCompiledRunsPerTurn; ++i)
      QUERN_TRY(timedRun(compiled, inputs, outputs, compiledMs));
    outputs.assign(outputs.size(), {});
    return Status::ok();
  };
  do {
    Status status = takeTurn();
    result.isComplete = !isEndedEarly(status, options.keepsCancelled, compiledMs.count());
    if (result.isComplete)
      QUERN_TRY(status);
  } while (result.isComplete && total.milliseconds() < options.seconds * 1e3);
  result.reference = referenceMs.summarize();
  result.compiled = compiledMs.summarize();
  return Status::ok();
}

/// What is left of the differences where no convolution goes by Winograd's algorithm.
static Status compareDirect(Runner &direct, std::span<const AnyValue> inputs,
                            std::span<const AnyValue> wanted, uint64_t seed, Comparison &result) {
  std::vector<AnyValue> found(wanted.size());
  seedRandomOps(seed);
  QUERN_TRY(direct.run(inputs, found));
  for (size_t i = 0; i < wanted.size(); ++i)
    result.outputs[i].withoutWinograd = compareValues(wanted[i], found[i], result.tolerance);
  return Status::ok();
}

/// Ops are not continuous: a tree that asks for x <= 1e-40 goes another way where 1e-40 is 0.
/// So outputs that differ are compared with what the reference gives in the same
/// mode. Not all of them: what was folded when compiling was computed with subnormals.
static Status compareFlushed(Runner &reference, std::span<const AnyValue> inputs,
                             std::span<const AnyValue> found, uint64_t seed, Comparison &result) {
  std::vector<OutputComparison> &outputs = result.outputs;
  std::vector<AnyValue> wanted(found.size());
  seedRandomOps(seed);
  {
    FloatEnvironment environment(/*flushSubnormals=*/true);
    QUERN_TRY(reference.run(inputs, wanted));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].difference.passes())
      continue;
    TensorDifference flushed = compareValues(wanted[i], found[i], result.tolerance);
    outputs[i].flushMatters = flushed.passes();
    if (flushed.passes())
      outputs[i].difference = flushed;
  }
  return Status::ok();
}

Status quern::addDifferences(Runner &reference, Runner &compiled, std::span<const AnyValue> inputs,
                             std::span<const AnyValue> wanted, uint64_t seed, Comparison &result) {
  std::vector<AnyValue> found(wanted.size());
  seedRandomOps(seed);
  QUERN_TRY(compiled.run(inputs, found));
  for (size_t i = 0; i < wanted.size(); ++i)
    result.outputs.push_back(
        {compiled.outputs()[i].name, compareValues(wanted[i], found[i], result.tolerance)});
  if (result.passes() || !compiled.flushesDenormals() || reference.flushesDenormals())
    return Status::ok();
  return compareFlushed(reference, inputs, found, seed, result);
}

Expected<Comparison> quern::compare(Runner &reference, Runner &compiled,
                                    std::span<const AnyValue> inputs,
                                    const CompareOptions &options) {
  if (reference.outputs().size() != compiled.outputs().size())
    return usageError(fmt::format("cannot compare a model with {} outputs with one with {}",
                                  reference.outputs().size(), compiled.outputs().size()));
  Comparison result;
  result.threads = compiled.threads();
  result.tolerance = options.tolerance.value_or(Tolerance());
  std::vector<AnyValue> wanted(reference.outputs().size());
  seedRandomOps(options.seed);
  QUERN_TRY(reference.run(inputs, wanted));
  QUERN_TRY(addDifferences(reference, compiled, inputs, wanted, options.seed, result));
  if (options.withoutWinograd)
    QUERN_TRY(compareDirect(*options.withoutWinograd, inputs, wanted, options.seed, result));
  wanted.clear();
  QUERN_TRY(measure(reference, compiled, inputs, options, result));
  return result;
}

Expected<CompileOptions> quern::settledOptions(const Model &model, std::span<const AnyValue> inputs,
                                               const CompileOptions &compile) {
  CompileOptions settled = compile;
  if (settled.samples.empty())
    settled.samples.assign(inputs.begin(), inputs.end());
  return model.withChoice(settled);
}

Tolerance quern::toleranceFor(const Model &model, const CompileOptions &settled) {
  Expected<Explanation> explanation = model.explainWithoutSizes(settled);
  return toleranceOf(
      settled.precision,
      (explanation && explanation->multipliesBytes()) || settled.weights != WeightType::Given,
      settled.choice.get(), explanation ? explanation->unroundedType() : DType::Undefined);
}

Expected<Comparison> quern::compare(const Model &model, std::span<const AnyValue> inputs,
                                    const CompileOptions &compile, const RunnerOptions &session,
                                    const CompareOptions &options) {
  QUERN_ASSIGN(CompileOptions native, settledOptions(model, inputs, compile));
  QUERN_ASSIGN(PreparedRunner reference,
               prepareRunner(model, inputs, compile.interpreted(), session));
  QUERN_ASSIGN(PreparedRunner compiled, prepareRunner(model, inputs, native, session));
  CompareOptions how = options;
  if (!how.tolerance)
    how.tolerance = toleranceFor(model, native);
  PreparedRunner direct;
  if (Expected<Explanation> explanation = model.explainPlan(native, dimsOf(inputs));
      explanation && explanation->usesWinograd()) {
    native.winograd = WinogradUse::Off;
    QUERN_ASSIGN(direct, prepareRunner(model, inputs, native, session));
    how.withoutWinograd = direct.runner.get();
  }
  QUERN_ASSIGN(Comparison result, quern::compare(*reference.runner, *compiled.runner, inputs, how));
  result.compileMs = compiled.milliseconds;
  return result;
}
