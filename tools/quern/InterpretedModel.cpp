//===- InterpretedModel.cpp - running with the interpreter ----------------===//
#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/ModelState.h"

using namespace quern;
using namespace quern::cli;

namespace {
class InterpreterRunner : public Runner {
public:
  InterpreterRunner(interpreter::ReferenceProgram program, const Limits &limits, bool profiles)
      : program(std::move(program)), limits(limits), profiles(profiles) {}

  Status run(std::span<const Tensor> inputs, std::vector<Tensor> &outputs) override {
    InterruptibleRun interruptible;
    interpreter::RunOptions options;
    options.limits = limits;
    options.cancelled = &InterruptibleRun::flag();
    size_t step = 0;
    if (profiles)
      options.onTiming = [&](const interpreter::OpTiming &timing) { addTime(step++, timing); };
    auto results = program.run(inputs, options);
    if (!results)
      return results.status();
    outputs = results.take();
    return Status::ok();
  }
  int threads() const override { return 1; }
  std::vector<ProfileRow> profile() const override { return rows; }
  void clearProfile() override { rows.clear(); }

private:
  void addTime(size_t step, const interpreter::OpTiming &timing) {
    if (step == rows.size())
      rows.push_back({.nodes = timing.nodeName, .kernel = timing.opName, .reference = true});
    rows[step].addRun(static_cast<int64_t>(timing.milliseconds * 1e6));
  }

  interpreter::ReferenceProgram program;
  Limits limits;
  bool profiles;
  std::vector<ProfileRow> rows;
};
} // namespace

Expected<std::unique_ptr<Runner>> Model::prepareInterpreter(const BackendOptions &options) const {
  mlir::func::FuncOp main = nn::findMain(state->source.module.get());
  QUERN_ASSIGN(interpreter::ReferenceProgram program,
               interpreter::ReferenceProgram::create(main.getBody().front()));
  return std::unique_ptr<Runner>(
      std::make_unique<InterpreterRunner>(std::move(program), state->limits, options.profile));
}
