//===- ArtifactModel.cpp - running a model compiled ahead of time ---------===//
#include "api/ArtifactFile.h"
#include "runtime/running/Arena.h"
#include "runtime/running/Budget.h"
#include "runtime/running/ExclusiveRunner.h"
#include "runtime/running/TaskPool.h"
#include "runtime/values/PortOverlap.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

using namespace quern;

namespace {
/// The dims of each input.
using InputDims = std::span<const Tensor::Dims *const>;

/// What the runners of an artefact share.
class Artifact {
public:
  explicit Artifact(std::unique_ptr<ArtifactFile> opened);
  const ArtifactFacts &facts() const { return file->facts; }

  /// The number of the plan for inputs of these dims, which fit the ports. InvalidInput,
  /// with the nearest sizes, when there is none. `sizes` receives those to run it with.
  Expected<size_t> findPlan(InputDims inputDims, std::span<int64_t> sizes) const;

  std::unique_ptr<ArtifactFile> file;
  /// For each plan of the library one with its ports, and nothing else.
  std::vector<Plan> ports;

private:
  /// For each listed size a dimension of an input that has it; none when it is the same
  /// in all plans.
  struct Place {
    size_t input, dim;
  };
  std::vector<std::optional<Place>> places;
};

class ArtifactRunner : public ExclusiveRunner {
public:
  ArtifactRunner(std::shared_ptr<const Artifact> model, const RunnerOptions &options,
                 Arena workspace, TaskPool threads)
      : ExclusiveRunner(options), model(std::move(model)), workspace(std::move(workspace)),
        pool(std::move(threads)), sizes(this->model->facts().sizes.size()),
        inputDims(inputs().size()), inputData(inputs().size()), outputData(outputs().size()) {
    choose(0);
  }

  const std::vector<PortSignature> &inputs() const override { return model->facts().inputs; }
  const std::vector<PortSignature> &outputs() const override { return model->facts().outputs; }
  int threads() const override { return pool.threads(); }
  bool flushesDenormals() const override { return true; }
  std::vector<ProfileRow> profile() const override { return {}; }
  void clearProfile() override {}

private:
  Status compute(ValueList inputs, ValueTargets outputs) override;
  void choose(size_t plan);
  Status bind(ValueList inputs, ValueTargets outputs);
  static void parallelFor(void *runner, int64_t tasks, int64_t grain, quern_task_fn task,
                          void *closure);

  std::shared_ptr<const Artifact> model;
  Arena workspace;
  OutputMemory outputMemory;
  TaskPool pool;
  /// Of the run at hand, kept for the next one: the plan and the sizes that it is for.
  size_t plan = 0;
  std::optional<PortOverlap> overlap;
  std::vector<int64_t> sizes;
  std::vector<const Tensor::Dims *> inputDims;
  std::vector<const void *> inputData;
  std::vector<void *> outputData;
  /// Of the current run.
  Budget *budget = nullptr;
};

class ArtifactModel : public CompiledModel {
public:
  explicit ArtifactModel(std::shared_ptr<const Artifact> model) : model(std::move(model)) {}

  const std::vector<PortSignature> &inputs() const override { return model->facts().inputs; }
  const std::vector<PortSignature> &outputs() const override { return model->facts().outputs; }
  Precision precision() const override { return model->facts().precision; }
  const PrecisionChoice *precisionChoice() const override {
    return model->facts().choice ? &*model->facts().choice : nullptr;
  }
  std::vector<std::vector<Tensor::Dims>> listedInputDims() const override;
  Status planFor(std::span<const Tensor::Dims> inputDims, const Deadline &) const override;

private:
  Expected<std::unique_ptr<Runner>> makeRunner(const RunnerOptions &options) const override;

  std::shared_ptr<const Artifact> model;
};
} // namespace

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

Artifact::Artifact(std::unique_ptr<ArtifactFile> opened) : file(std::move(opened)) {
  for (const ArtifactPlan &plan : facts().plans) {
    Plan &made = ports.emplace_back();
    for (size_t i = 0; i < facts().inputs.size(); ++i)
      made.inputs.push_back({facts().inputs[i].name, facts().inputs[i].dtype, plan.inputDims[i]});
    for (size_t i = 0; i < facts().outputs.size(); ++i)
      made.outputs.push_back(
          {facts().outputs[i].name, facts().outputs[i].dtype, plan.outputDims[i]});
    for (size_t i = 0; i < plan.updates.size(); ++i)
      made.outputs[i].updates = plan.updates[i];
  }
  for (const ListedSize &list : facts().sizes) {
    std::optional<Place> &place = places.emplace_back();
    for (size_t i = 0; i < facts().inputs.size(); ++i) {
      const std::vector<PortDim> &dims = facts().inputs[i].shape.dims();
      auto named = [&](const PortDim &dim) { return dim.symbolName() == list.name; };
      if (auto at = std::find_if(dims.begin(), dims.end(), named); !place && at != dims.end())
        place = {i, static_cast<size_t>(at - dims.begin())};
    }
  }
}

Expected<size_t> Artifact::findPlan(InputDims inputDims, std::span<int64_t> sizes) const {
  const std::vector<ListedSize> &lists = facts().sizes;
  for (size_t i = 0; i < places.size(); ++i)
    sizes[i] = places[i] ? (*inputDims[places[i]->input])[places[i]->dim] : lists[i].sizes.front();
  QUERN_TRY(checkListed(lists, sizes));
  size_t number = 0;
  for (size_t i = 0; i < lists.size(); ++i) {
    const std::vector<int64_t> &list = lists[i].sizes;
    auto at = std::lower_bound(list.begin(), list.end(), sizes[i]);
    number = number * list.size() + static_cast<size_t>(at - list.begin());
  }
  for (size_t i = 0; i < inputDims.size(); ++i)
    if (const PlanPort &port = ports[number].inputs[i]; port.dims != *inputDims[i])
      return invalidInput(fmt::format("input '{}': wanted shape {} for {}, found {}", port.name,
                                      formatDims(port.dims), formatSizes(lists, sizes),
                                      formatDims(*inputDims[i])));
  return number;
}

std::vector<std::vector<Tensor::Dims>> ArtifactModel::listedInputDims() const {
  std::vector<std::vector<Tensor::Dims>> dims;
  for (const ArtifactPlan &plan : model->facts().plans)
    dims.push_back(plan.inputDims);
  return dims;
}

Status ArtifactModel::planFor(std::span<const Tensor::Dims> inputDims, const Deadline &) const {
  QUERN_TRY(checkInputDims(inputs(), inputDims));
  std::vector<const Tensor::Dims *> dims;
  for (const Tensor::Dims &each : inputDims)
    dims.push_back(&each);
  std::vector<int64_t> sizes(model->facts().sizes.size());
  auto plan = model->findPlan(dims, sizes);
  return plan ? Status::ok() : plan.status();
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

/// As the plan's executor says it; which node it was is not known here.
static Status modelStatus(int status) {
  if (status > QUERN_MODEL_REFUSED && status < QUERN_MODEL_BROKEN_BRANCH)
    return trapStatus(status - QUERN_MODEL_REFUSED);
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
  // Between parallel parts whoever watches the run has a turn.
  if (!self.budget->check().isOk())
    return;
  self.pool.parallelFor(tasks, std::max<int64_t>(grain, 1), [&](int64_t begin, int64_t end) {
    if (!self.budget->mustStop())
      task(closure, self.pool.currentWorker(), begin, end);
  });
}

void ArtifactRunner::choose(size_t number) {
  if (overlap && plan == number)
    return;
  plan = number;
  overlap.emplace(model->ports[number]);
}

/// Collects where the tensors lie, and allocates absent outputs.
Status ArtifactRunner::bind(ValueList inputs, ValueTargets outputs) {
  QUERN_TRY(checkInputs(this->inputs(), inputs));
  for (size_t i = 0; i < inputs.size(); ++i)
    inputDims[i] = &inputs.asTensor(i)->dims();
  QUERN_ASSIGN(size_t number, model->findPlan(inputDims, sizes));
  choose(number);
  const Plan &ports = model->ports[number];
  if (outputs.size() != ports.outputs.size())
    return invalidInput(
        fmt::format("wanted {} outputs, found {}", ports.outputs.size(), outputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    QUERN_TRY(checkPortStorage("input", ports.inputs[i].name, *inputs.asTensor(i)));
    inputData[i] = inputs.asTensor(i)->rawData();
  }
  outputMemory.beginRun();
  for (size_t i = 0; i < outputs.size(); ++i) {
    QUERN_TRY(bindOutput(ports.outputs[i], outputs, i, outputMemory, options.limits));
    outputData[i] = outputs.asTensor(i)->mutableRawData();
  }
  return overlap->check(inputs, outputs.list());
}

Status ArtifactRunner::compute(ValueList inputs, ValueTargets outputs) {
  QUERN_TRY(bind(inputs, outputs));
  Budget spent(options.limits, &cancelled);
  QUERN_TRY(spent.check());
  budget = &spent;
  int status = 0;
  pool.enter([&] {
    status = model->file->run(sizes.data(), inputData.data(), outputData.data(), workspace.data(),
                              parallelFor, this);
  });
  budget = nullptr;
  QUERN_TRY(spent.check());
  return modelStatus(status);
}

Expected<std::unique_ptr<Runner>> ArtifactModel::makeRunner(const RunnerOptions &options) const {
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
  QUERN_TRY(file->useWeights());
  return std::shared_ptr<const CompiledModel>(
      std::make_shared<ArtifactModel>(std::make_shared<const Artifact>(std::move(file))));
}
