//===- NativeModel.cpp - what verbs ask of the native backend -------------===//
#include "backends/native/aot/AotCompiler.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "runtime/plan/Plan.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/ModelState.h"

#include <filesystem>

using namespace quern;
using namespace quern::cli;

namespace {
class NativeRunner : public Runner {
public:
  explicit NativeRunner(Session session) : session(std::move(session)) {}

  Status run(std::span<const Tensor> inputs, std::vector<Tensor> &outputs) override {
    outputs.resize(session.executable().outputs().size());
    InterruptibleRun interruptible(&session);
    return session.run(inputs, outputs);
  }
  int threads() const override { return session.threads(); }
  std::vector<ProfileRow> profile() const override { return session.profile(); }
  void clearProfile() override { session.clearProfile(); }

private:
  Session session;
};
} // namespace

static Expected<native::CompileOptions> compileOptions(const BackendOptions &options,
                                                       const Limits &limits) {
  if (!options.dumpPhasesTo.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options.dumpPhasesTo, error);
    if (error)
      return ioError("cannot make folder '" + options.dumpPhasesTo + "': " + error.message());
  }
  native::CompileOptions result;
  result.limits = limits;
  result.targetCpu = options.targetCpu;
  result.optLevel = options.optLevel;
  result.compileThreads = options.threads;
  result.dumpPhasesTo = options.dumpPhasesTo;
  return result;
}

Expected<std::unique_ptr<Runner>> Model::prepareNative(const BackendOptions &options,
                                                       std::span<const Tensor> inputs) const {
  QUERN_ASSIGN(native::CompileOptions compile, compileOptions(options, state->limits));
  QUERN_ASSIGN(nn::OwnedModule source, nn::copyModule(*state->source.module));
  QUERN_ASSIGN(std::shared_ptr<Executable> executable,
               native::compileForJit(std::move(source), compile));
  std::vector<Tensor::Dims> dims;
  for (const Tensor &input : inputs)
    dims.push_back(input.dims());
  QUERN_TRY(executable->planFor(dims, state->limits.deadline).status());
  QUERN_ASSIGN(Session session, Session::create(executable, {.threads = options.threads,
                                                             .profile = options.profile,
                                                             .limits = state->limits}));
  return std::unique_ptr<Runner>(std::make_unique<NativeRunner>(std::move(session)));
}

Expected<std::vector<StepSummary>> Model::planSteps(const BackendOptions &options,
                                                    std::span<const Tensor::Dims> inputDims) const {
  QUERN_ASSIGN(native::CompileOptions compile, compileOptions(options, state->limits));
  auto module = state->cloneModule();
  passes::InputSizes sizes;
  for (size_t i = 0; i < inputDims.size(); ++i)
    sizes.shapes[inputPorts[i].name] = inputDims[i];
  QUERN_TRY(passes::specializeInputs(nn::findMain(*module), sizes));
  QUERN_ASSIGN(native::CompiledGraph graph, native::compileGraph(*module, compile));
  std::vector<StepSummary> steps;
  for (size_t i = 0; i < graph.plan.plan.steps.size(); ++i) {
    const PlanStep &step = graph.plan.plan.steps[i];
    bool isNative = step.as<KernelStep>() != nullptr;
    steps.push_back({step.nodes, step.kernel, isNative, graph.plan.refusals[i], false});
  }
  return steps;
}

Expected<std::vector<StepSummary>> Model::checkWithoutSizes(const BackendOptions &options) const {
  QUERN_ASSIGN(native::CompileOptions compile, compileOptions(options, state->limits));
  auto module = state->cloneModule();
  QUERN_ASSIGN(std::vector<native::OpSupport> ops, native::checkGraph(*module, compile));
  std::vector<StepSummary> steps;
  for (native::OpSupport &op : ops)
    steps.push_back(
        {std::move(op.nodes), std::move(op.op), op.native, std::move(op.refusal), op.needsSizes});
  return steps;
}

Expected<std::string> Model::textOfPhase(const BackendOptions &options,
                                         const std::string &phase) const {
  QUERN_ASSIGN(native::CompileOptions compile, compileOptions(options, state->limits));
  std::optional<passes::Phase> last = passes::parsePhase(phase);
  if (!last)
    return usageError("there is no phase '" + phase +
                      "'; the phases are imported, simplified, laid-out, fused, kernels, llvm, "
                      "object");
  auto module = state->cloneModule();
  return native::compileToPhase(*module, *last, compile);
}

std::string cli::defaultPrefix(const ArtifactOptions &artifact) {
  return native::symbolPrefix(artifact.outputPath);
}

Status Model::compileToArtifact(const BackendOptions &options,
                                const ArtifactOptions &artifact) const {
  QUERN_ASSIGN(native::CompileOptions compile, compileOptions(options, state->limits));
  native::AotOptions aot{compile, artifact.outputPath, artifact.headerPath, artifact.prefix};
  auto module = state->cloneModule();
  return native::compileToArtifact(*module, aot);
}
