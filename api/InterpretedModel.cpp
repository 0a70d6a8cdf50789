//===- InterpretedModel.cpp - running with the interpreter ----------------===//
#include "api/ModelState.h"
#include "api/RunCount.h"
#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

using namespace quern;

namespace {
/// What the runners of a model share.
struct Program {
  interpreter::ReferenceProgram program;
  std::vector<PortSignature> inputs;
  std::vector<PortSignature> outputs;
};

class InterpreterRunner : public Runner {
public:
  InterpreterRunner(std::shared_ptr<const Program> model, const SessionOptions &options)
      : model(std::move(model)), options(options) {}

  using Runner::run;
  Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs) override {
    return runOnce(inputs, outputs);
  }
  Status run(std::span<const AnyValue> inputs, std::span<AnyValue> outputs) override {
    return runOnce(inputs, outputs);
  }
  void setDeadline(const Deadline &deadline) override { options.limits.deadline = deadline; }
  void cancel() override { cancelled.store(true, std::memory_order_relaxed); }
  const std::vector<PortSignature> &inputs() const override { return model->inputs; }
  const std::vector<PortSignature> &outputs() const override { return model->outputs; }
  int threads() const override { return 1; }
  std::vector<ProfileRow> profile() const override { return rows; }
  void clearProfile() override { rows.clear(); }

private:
  Status runOnce(ValueList inputs, ValueTargets outputs);
  Status runProgram(ValueList inputs, ValueTargets outputs);
  void addTime(size_t step, const interpreter::OpTiming &timing);

  std::shared_ptr<const Program> model;
  SessionOptions options;
  std::vector<ProfileRow> rows;
  std::atomic<bool> running = false;
  std::atomic<bool> cancelled = false;
};

class InterpretedModel : public CompiledModel {
public:
  explicit InterpretedModel(std::shared_ptr<const Program> program) : program(std::move(program)) {}

  const std::vector<PortSignature> &inputs() const override { return program->inputs; }
  const std::vector<PortSignature> &outputs() const override { return program->outputs; }
  Status planFor(std::span<const Tensor::Dims> inputDims, const Deadline &) const override {
    return checkInputDims(program->inputs, inputDims);
  }
  Expected<std::unique_ptr<Runner>> createRunner(const SessionOptions &options) const override {
    if (options.threads < 0)
      return usageError(fmt::format(
          "the number of threads is {}; wanted 1 or more, or 0 for all CPUs", options.threads));
    return std::unique_ptr<Runner>(std::make_unique<InterpreterRunner>(program, options));
  }

private:
  std::shared_ptr<const Program> program;
};
} // namespace

static void copyElements(const Tensor &from, Tensor &to) {
  if (from.dtype() == DType::String)
    std::ranges::copy(from.elementsAs<std::string>(), to.mutableData<std::string>());
  else
    std::copy_n(static_cast<const std::byte *>(from.rawData()), from.numBytes(),
                static_cast<std::byte *>(to.mutableRawData()));
}

void InterpreterRunner::addTime(size_t step, const interpreter::OpTiming &timing) {
  if (step == rows.size())
    rows.push_back({.nodes = timing.nodeName, .kernel = timing.opName, .reference = true});
  rows[step].addRun(static_cast<int64_t>(timing.milliseconds * 1e6));
}

/// The tensor in whose storage output `i` is wanted; null when any will do.
static Tensor *givenStorage(ValueTargets outputs, size_t i) {
  Tensor *tensor = outputs.asTensor(i);
  return tensor && tensor->isPresent() ? tensor : nullptr;
}

Status InterpreterRunner::runProgram(ValueList inputs, ValueTargets outputs) {
  QUERN_TRY(checkInputs(model->inputs, inputs));
  if (outputs.size() != model->outputs.size())
    return invalidInput(
        fmt::format("wanted {} outputs, found {}", model->outputs.size(), outputs.size()));
  interpreter::RunOptions run;
  run.limits = options.limits;
  run.cancelled = &cancelled;
  size_t step = 0;
  // A run of a large model takes minutes; the watcher's answer is heard by the budget.
  RunCount count("interpreting: ", fmt::format(" of {} ops", model->program.stepCount()));
  run.onTiming = [&](const interpreter::OpTiming &timing) {
    if (options.profile)
      addTime(step++, timing);
    (void)count.add();
  };
  Budget budget(run.limits, run.cancelled);
  QUERN_ASSIGN(std::vector<AnyValue> results, model->program.run({inputs, budget}, run));
  for (size_t i = 0; i < results.size(); ++i) {
    const Tensor *given = givenStorage(outputs, i), *wanted = results[i].asTensor();
    if (given && (!wanted || given->dtype() != wanted->dtype() || given->dims() != wanted->dims()))
      return invalidInput(fmt::format("output '{}': wanted {}, found {}", model->outputs[i].name,
                                      results[i].describe(), given->describe()));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (Tensor *given = givenStorage(outputs, i))
      copyElements(*results[i].asTensor(), *given);
    else
      QUERN_TRY(outputs.set(i, std::move(results[i]))
                    .withContext("output '" + model->outputs[i].name + "'"));
  }
  return Status::ok();
}

// As Session::run does.
Status InterpreterRunner::runOnce(ValueList inputs, ValueTargets outputs) {
  if (running.exchange(true, std::memory_order_acquire))
    return usageError("the runner is in use by another thread; make one runner per thread");
  Status status = runProgram(inputs, outputs);
  if (cancelled.exchange(false, std::memory_order_relaxed) && status.isOk())
    status = Status(StatusCode::Cancelled, "the run was cancelled");
  running.store(false, std::memory_order_release);
  return status;
}

Expected<std::shared_ptr<const CompiledModel>>
quern::compileForInterpreter(const nn::OwnedModule &source) {
  mlir::func::FuncOp main = nn::findMain(*source.module);
  QUERN_ASSIGN(interpreter::ReferenceProgram program,
               interpreter::ReferenceProgram::create(main.getBody().front()));
  auto shared = std::make_shared<const Program>(
      Program{std::move(program), nn::inputSignature(main), nn::outputSignature(main)});
  return std::shared_ptr<const CompiledModel>(std::make_shared<InterpretedModel>(shared));
}
