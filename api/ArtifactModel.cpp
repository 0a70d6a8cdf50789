//===- ArtifactModel.cpp - running a model compiled ahead of time ---------===//
#include "api/ArtifactFile.h"
#include "runtime/lib/Arena.h"
#include "runtime/lib/Budget.h"
#include "runtime/lib/PortOverlap.h"
#include "runtime/lib/TaskPool.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

using namespace quern;

namespace {
/// What the runners of an artefact share.
struct Artifact {
  explicit Artifact(std::unique_ptr<ArtifactFile> opened) : file(std::move(opened)) {
    for (const PortSignature &port : file->facts.inputs)
      ports.inputs.push_back({port.name, port.dtype, *port.shape.sizes()});
    for (const PortSignature &port : file->facts.outputs)
      ports.outputs.push_back({port.name, port.dtype, *port.shape.sizes()});
  }
  const ArtifactFacts &facts() const { return file->facts; }

  std::unique_ptr<ArtifactFile> file;
  /// Of a plan the ports, nothing else.
  Plan ports;
};

class ArtifactRunner : public Runner {
public:
  ArtifactRunner(std::shared_ptr<const Artifact> model, const SessionOptions &options,
                 Arena workspace, TaskPool threads)
      : model(std::move(model)), limits(options.limits), workspace(std::move(workspace)),
        pool(std::move(threads)), overlap(this->model->ports),
        inputData(this->model->ports.inputs.size()), outputData(this->model->ports.outputs.size()) {
  }

  using Runner::run;
  Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs) override {
    return runOnce(inputs, outputs);
  }
  Status run(std::span<const AnyValue> inputs, std::span<AnyValue> outputs) override {
    return runOnce(inputs, outputs);
  }
  void setDeadline(const Deadline &deadline) override { limits.deadline = deadline; }
  void cancel() override { cancelled.store(true, std::memory_order_relaxed); }
  const std::vector<PortSignature> &inputs() const override { return model->facts().inputs; }
  const std::vector<PortSignature> &outputs() const override { return model->facts().outputs; }
  int threads() const override { return pool.threads(); }
  std::vector<ProfileRow> profile() const override { return {}; }
  void clearProfile() override {}

private:
  Status runOnce(ValueList inputs, ValueTargets outputs);
  Status runModel(ValueList inputs, ValueTargets outputs);
  Status bind(ValueList inputs, ValueTargets outputs);
  static void parallelFor(void *runner, int64_t tasks, int64_t grain, quern_task_fn task,
                          void *closure);

  std::shared_ptr<const Artifact> model;
  Limits limits;
  Arena workspace;
  TaskPool pool;
  PortOverlap overlap;
  std::vector<const void *> inputData;
  std::vector<void *> outputData;
  /// Of the current run.
  Budget *budget = nullptr;
  std::atomic<bool> running = false;
  std::atomic<bool> cancelled = false;
};

class ArtifactModel : public CompiledModel {
public:
  explicit ArtifactModel(std::shared_ptr<const Artifact> model) : model(std::move(model)) {}

  const std::vector<PortSignature> &inputs() const override { return model->facts().inputs; }
  const std::vector<PortSignature> &outputs() const override { return model->facts().outputs; }
  Status planFor(std::span<const Tensor::Dims> inputDims, const Deadline &) const override {
    return checkInputDims(inputs(), inputDims);
  }
  Expected<std::unique_ptr<Runner>> createRunner(const SessionOptions &options) const override;

private:
  std::shared_ptr<const Artifact> model;
};
} // namespace

/// As the plan's executor says it; which node it was is not known here.
static Status modelStatus(int status) {
  if (status > QUERN_MODEL_REFUSED && status < QUERN_MODEL_BROKEN_BRANCH)
    return refusalStatus(status - QUERN_MODEL_REFUSED);
  switch (status) {
  case QUERN_MODEL_OK:
    return Status::ok();
  case QUERN_MODEL_UNSUPPORTED_CPU:
    return {StatusCode::Incompatible, "this CPU lacks instructions that the code needs"};
  case QUERN_MODEL_BROKEN_BRANCH:
    return invalidInput("a branch was taken in which an op cannot take operands of these sizes");
  case QUERN_MODEL_TOO_MANY_ITERATIONS:
    return resourceLimit("loops took more iterations than the model was compiled for "
                         "(--max-iterations)");
  case QUERN_MODEL_FAILED_STEP:
    return invalidInput("a reference kernel cannot compute with what it was given");
  case QUERN_MODEL_OUT_OF_MEMORY:
    return resourceLimit("there is not the memory that a reference kernel asks for");
  default:
    return internalError(fmt::format("the code of the model returned status {}", status));
  }
}

/// What is left of a run that must stop is not computed: its results are of no use.
void ArtifactRunner::parallelFor(void *runner, int64_t tasks, int64_t grain, quern_task_fn task,
                                 void *closure) {
  auto &self = *static_cast<ArtifactRunner *>(runner);
  self.pool.parallelFor(tasks, std::max<int64_t>(grain, 1), [&](int64_t begin, int64_t end) {
    if (!self.budget->mustStop())
      task(closure, self.pool.currentWorker(), begin, end);
  });
}

/// Collects where the tensors lie, and allocates absent outputs.
Status ArtifactRunner::bind(ValueList inputs, ValueTargets outputs) {
  QUERN_TRY(checkInputs(this->inputs(), inputs));
  const Plan &ports = model->ports;
  if (outputs.size() != ports.outputs.size())
    return invalidInput(
        fmt::format("wanted {} outputs, found {}", ports.outputs.size(), outputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    QUERN_TRY(checkPortStorage("input", ports.inputs[i].name, *inputs.asTensor(i)));
    inputData[i] = inputs.asTensor(i)->rawData();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    QUERN_TRY(bindOutput(ports.outputs[i], outputs, i, limits));
    outputData[i] = outputs.asTensor(i)->mutableRawData();
  }
  return overlap.check(inputs, outputs.list());
}

Status ArtifactRunner::runModel(ValueList inputs, ValueTargets outputs) {
  QUERN_TRY(bind(inputs, outputs));
  Budget spent(limits, &cancelled);
  QUERN_TRY(spent.check());
  budget = &spent;
  int status = 0;
  pool.enter([&] {
    status = model->file->runParallel(inputData.data(), outputData.data(), workspace.data(),
                                      parallelFor, this);
  });
  budget = nullptr;
  QUERN_TRY(spent.check());
  return modelStatus(status);
}

// As Session::run does.
Status ArtifactRunner::runOnce(ValueList inputs, ValueTargets outputs) {
  if (running.exchange(true, std::memory_order_acquire))
    return usageError("the runner is in use by another thread; make one runner per thread");
  Status status = runModel(inputs, outputs);
  if (cancelled.exchange(false, std::memory_order_relaxed) && status.isOk())
    status = Status(StatusCode::Cancelled, "the run was cancelled");
  running.store(false, std::memory_order_release);
  return status;
}

Expected<std::unique_ptr<Runner>> ArtifactModel::createRunner(const SessionOptions &options) const {
  if (options.threads < 0)
    return usageError(fmt::format(
        "the number of threads is {}; wanted 1 or more, or 0 for all CPUs", options.threads));
  if (options.profile)
    return unsupported("an artefact does not measure its steps: there is no profile");
  if (!options.flushDenormals)
    return unsupported("an artefact takes subnormal numbers for zero");
  TaskPool pool(options.threads, options.flushDenormals);
  const ArtifactFacts &facts = model->facts();
  CheckedSize bytes = CheckedSize(facts.workspaceBytes) +
                      CheckedSize(pool.threads() - 1) * CheckedSize(facts.workerBytes);
  auto workspace = Arena::allocate(bytes, options.limits.maxActivationBytes);
  if (!workspace)
    return workspace.status().withContext("workspace");
  return std::unique_ptr<Runner>(
      std::make_unique<ArtifactRunner>(model, options, workspace.take(), std::move(pool)));
}

Expected<std::shared_ptr<const CompiledModel>> quern::loadArtifact(const std::string &path) {
  QUERN_ASSIGN(std::unique_ptr<ArtifactFile> file, ArtifactFile::open(path));
  if (!file->cpuOk())
    return Status(StatusCode::Incompatible,
                  fmt::format("{}: the library was compiled for {}, and this CPU lacks "
                              "instructions that it needs",
                              path, file->facts.targetCpu));
  return std::shared_ptr<const CompiledModel>(
      std::make_shared<ArtifactModel>(std::make_shared<const Artifact>(std::move(file))));
}
