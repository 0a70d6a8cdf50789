//===- Sessions.cpp - running, comparing and measuring for C --------------===//
#include "api/c/Objects.h"
#include "quern/Benchmark.h"
#include "quern/Compare.h"
#include "quern/RandomSeed.h"
#include "quern/Reports.h"

#include <fmt/format.h>

#include <cmath>

using namespace quern;
using namespace quern::c;

Expected<RunnerOptions> c::readSessionOptions(const quern_session_options *given) {
  QUERN_ASSIGN(quern_session_options options, readOptions(given, "session options"));
  RunnerOptions result;
  result.threads = options.threads;
  result.flushDenormals = options.keep_subnormal == 0;
  result.profile = options.profile != 0;
  QUERN_ASSIGN(result.limits, readLimits(&options.limits));
  return result;
}

quern_status quern_session_create(const quern_executable *executable,
                                  const quern_session_options *options, quern_session **session) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(session, "session"));
    QUERN_ASSIGN(ExecutableObject * object, objectOf<ExecutableObject>(executable));
    QUERN_ASSIGN(RunnerOptions known, readSessionOptions(options));
    QUERN_ASSIGN(std::unique_ptr<Runner> runner, object->model->createRunner(known));
    return giveHandle(std::make_unique<SessionObject>(SessionObject{std::move(runner)}), session);
  });
}

void quern_session_release(quern_session *session) { releaseObject<SessionObject>(session); }

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// The values of those that are there, absent ones for the rest.
static Expected<std::vector<AnyValue>> readOutputs(quern_value *const *outputs, size_t count) {
  QUERN_TRY(requireArray(outputs, count, "outputs"));
  std::vector<AnyValue> values(count);
  for (size_t i = 0; i < count; ++i) {
    if (!outputs[i])
      continue;
    auto object = objectOf<ValueObject>(outputs[i]);
    if (!object)
      return object.status().withContext(fmt::format("outputs[{}]", i));
    values[i] = (*object)->value;
  }
  return values;
}

/// All or none, so that nothing is lost after an error.
static Status giveOutputs(std::vector<AnyValue> values, quern_value **outputs) {
  std::vector<quern_value *> made(values.size());
  Status status;
  for (size_t i = 0; i < values.size() && status.isOk(); ++i)
    if (!outputs[i])
      status = giveValue(values[i], &made[i]);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!status.isOk())
      quern_value_release(made[i]);
    else if (outputs[i])
      (*objectOf<ValueObject>(outputs[i]))->value = std::move(values[i]);
    else
      outputs[i] = made[i];
  }
  return status;
}

quern_status quern_session_run(quern_session *session, const quern_value *const *inputs,
                               size_t input_count, quern_value **outputs, size_t output_count) {
  return guarded([&]() -> Status {
    QUERN_ASSIGN(SessionObject * object, objectOf<SessionObject>(session));
    QUERN_ASSIGN(std::vector<AnyValue> given, readValues(inputs, input_count, "inputs"));
    QUERN_ASSIGN(std::vector<AnyValue> results, readOutputs(outputs, output_count));
    QUERN_TRY(object->runner->run(given, results));
    return giveOutputs(std::move(results), outputs);
  });
}

// A signal handler may call it: it allocates nothing unless it fails.
quern_status quern_session_cancel(quern_session *session) {
  auto *object = static_cast<SessionObject *>(findObject(HandleKind::Session, session));
  if (!object)
    return reportFixed(StatusCode::Usage, session ? "the session was released, or is something else"
                                                  : "the session is NULL");
  object->runner->cancel();
  return QUERN_STATUS_OK;
}

quern_status quern_session_set_time(quern_session *session, double seconds) {
  return guarded([&]() -> Status {
    QUERN_ASSIGN(SessionObject * object, objectOf<SessionObject>(session));
    QUERN_ASSIGN(Deadline deadline, readSeconds(seconds));
    object->runner->setDeadline(deadline);
    return Status::ok();
  });
}

quern_status quern_session_threads(const quern_session *session, int32_t *threads) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(threads, "threads"));
    QUERN_ASSIGN(SessionObject * object, objectOf<SessionObject>(session));
    *threads = object->runner->threads();
    return Status::ok();
  });
}

quern_status quern_session_profile(const quern_session *session, quern_text **json) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(json, "json"));
    QUERN_ASSIGN(SessionObject * object, objectOf<SessionObject>(session));
    return giveText(profileReport(object->runner->profile()), json);
  });
}

quern_status quern_session_clear_profile(quern_session *session) {
  return guarded([&]() -> Status {
    QUERN_ASSIGN(SessionObject * object, objectOf<SessionObject>(session));
    object->runner->clearProfile();
    return Status::ok();
  });
}

void quern_seed_random_ops(uint64_t seed) { seedRandomOps(seed); }

//===----------------------------------------------------------------------===//
// Comparing and measuring
//===----------------------------------------------------------------------===//

static Expected<CompareOptions> readCompareOptions(const quern_compare_options &given) {
  CompareOptions options;
  if (given.relative != 0 || given.absolute != 0)
    options.tolerance = Tolerance{.relative = given.relative, .absolute = given.absolute};
  if (!(given.relative >= 0) || !(given.absolute >= 0))
    return usageError("a tolerance is below 0");
  if (std::isnan(given.seconds))
    return usageError("the time to measure is no number");
  if (given.seconds != 0)
    options.seconds = given.seconds;
  options.seed = given.seed;
  return options;
}

quern_status quern_compare(const quern_model *model, const quern_value *const *inputs,
                           size_t input_count, const quern_compare_options *options,
                           quern_comparison *comparison, quern_output_difference *differences,
                           size_t output_count) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(comparison, "comparison"));
    QUERN_ASSIGN(ModelObject * object, objectOf<ModelObject>(model));
    QUERN_ASSIGN(quern_compare_options known, readOptions(options, "compare options"));
    if (differences && output_count != object->outputs.size())
      return usageError(fmt::format("the model has {} outputs, found room for {}",
                                    object->outputs.size(), output_count));
    QUERN_ASSIGN(std::vector<AnyValue> given, readValues(inputs, input_count, "inputs"));
    QUERN_ASSIGN(CompileOptions compile, readCompileOptions(known.compile));
    QUERN_ASSIGN(RunnerOptions session, readSessionOptions(known.session));
    QUERN_ASSIGN(CompareOptions how, readCompareOptions(known));
    QUERN_ASSIGN(Comparison found, compare(object->model, given, compile, session, how));
    *comparison = {.passes = found.passes(),
                   .threads = found.threads,
                   .compile_ms = found.compileMs,
                   .interpreter_ms = found.reference.p50,
                   .compiled_ms = found.compiled.p50,
                   .speedup = found.speedup()};
    for (size_t i = 0; differences && i < found.outputs.size(); ++i) {
      const TensorDifference &difference = found.outputs[i].difference;
      differences[i] = {difference.maxAbsolute, difference.maxRelative,
                        difference.incomparable.empty() ? difference.mismatches : -1,
                        difference.passes()};
    }
    // For quern_last_error only: that they differ is the answer, no error.
    report(found.verdict());
    return Status::ok();
  });
}

quern_status quern_session_benchmark(quern_session *session, const quern_value *const *inputs,
                                     size_t input_count, const quern_benchmark_options *options,
                                     quern_measurement *measurement) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(measurement, "measurement"));
    QUERN_ASSIGN(SessionObject * object, objectOf<SessionObject>(session));
    QUERN_ASSIGN(quern_benchmark_options known, readOptions(options, "benchmark options"));
    QUERN_ASSIGN(std::vector<AnyValue> given, readValues(inputs, input_count, "inputs"));
    if (!(known.seconds >= 0) || known.runs < 0)
      return usageError("the time or the number of runs to measure is below 0");
    BenchmarkOptions how;
    if (known.seconds > 0)
      how.seconds = known.seconds;
    how.runs = known.runs;
    if (known.warmup != 0)
      how.warmup = std::max<int64_t>(known.warmup, 0);
    QUERN_ASSIGN(Benchmark found, benchmark(*object->runner, given, how));
    const Statistics &steady = found.steady;
    *measurement = {.first_run_ms = found.firstRunMs,
                    .min_ms = steady.min,
                    .mean_ms = steady.mean,
                    .deviation_ms = steady.standardDeviation,
                    .p50_ms = steady.p50,
                    .p90_ms = steady.p90,
                    .p99_ms = steady.p99,
                    .runs = found.runs,
                    .threads = found.threads,
                    .peak_rss_mb = found.peakRssMb};
    return Status::ok();
  });
}
