//===- PreparedRunner.cpp - a model compiled and planned for inputs -------===//
#include "api/PreparedRunner.h"

#include "quern/Statistics.h"

using namespace quern;

Expected<PreparedRunner> quern::prepareRunner(const Model &model, std::span<const AnyValue> inputs,
                                              const CompileOptions &compile,
                                              const RunnerOptions &session) {
  QUERN_TRY(checkInputs(model.inputs(), inputs));
  Stopwatch watch;
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled, model.compile(compile));
  QUERN_TRY(compiled->planForInputs(inputs, compile.limits.deadline));
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, compiled->createRunner(session));
  return PreparedRunner{std::move(runner), watch.milliseconds()};
}
