//===- InterpretedModel.cpp - running with the interpreter ----------------===//
#include "api/ModelState.h"
#include "api/RunCount.h"
#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"
#include "runtime/running/ExclusiveRunner.h"
#include "runtime/running/TraceScope.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;

namespace {
/// What the runners of a model share.
struct Program {
  interpreter::ReferenceProgram program;
  std::vector<PortSignature> inputs;
  std::vector<PortSignature> outputs;
};

class InterpreterRunner : public ExclusiveRunner {
public:
  InterpreterRunner(std::shared_ptr<const Program> model, const RunnerOptions &options)
      : ExclusiveRunner(options), model(std::move(model)) {}

  const std::vector<PortSignature> &inputs() const override { return model->inputs; }
  const std::vector<PortSignature> &outputs() const override { return model->outputs; }
  int threads() const override { return 1; }
  std::vector<ProfileRow> profile() const override { return rows; }
  void clearProfile() override { rows.clear(); }

private:
  Status compute(ValueList inputs, ValueTargets outputs) override;
  void addTime(size_t step, const interpreter::OpTiming &timing);

  std::shared_ptr<const Program> model;
  std::vector<ProfileRow> rows;
};

class InterpretedModel : public CompiledModel {
public:
  explicit InterpretedModel(std::shared_ptr<const Program> program) : program(std::move(program)) {}

  const std::vector<PortSignature> &inputs() const override { return program->inputs; }
  const std::vector<PortSignature> &outputs() const override { return program->outputs; }
  Status planFor(std::span<const Tensor::Dims> inputDims, const Deadline &) const override {
    return checkInputDims(program->inputs, inputDims);
  }

private:
  Expected<std::unique_ptr<Runner>> makeRunner(const RunnerOptions &options) const override {
    return std::unique_ptr<Runner>(std::make_unique<InterpreterRunner>(program, options));
  }

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

Status InterpreterRunner::compute(ValueList inputs, ValueTargets outputs) {
  QUERN_TRY(checkInputs(model->inputs, inputs));
  if (outputs.size() != model->outputs.size())
    return invalidInput(
        fmt::format("wanted {} outputs, found {}", model->outputs.size(), outputs.size()));
  TraceScope span("run", "run");
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

Expected<std::shared_ptr<const CompiledModel>>
quern::compileForInterpreter(const nn::OwnedModule &source) {
  mlir::func::FuncOp main = nn::findMain(*source.module);
  QUERN_ASSIGN(interpreter::ReferenceProgram program,
               interpreter::ReferenceProgram::create(main.getBody().front()));
  auto shared = std::make_shared<const Program>(
      Program{std::move(program), nn::inputSignature(main), nn::outputSignature(main)});
  return std::shared_ptr<const CompiledModel>(std::make_shared<InterpretedModel>(shared));
}
