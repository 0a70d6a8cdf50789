//===- NativeModel.cpp - what the native backend makes of a model ---------===//
#include "api/ModelState.h"
#include "api/compare/PlantedError.h"
#include "backends/native/aot/AotCompiler.h"
#include "backends/native/aot/AotWeightsFile.h"
#include "backends/native/lowering/TuningTable.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "quern/CacheFolder.h"
#include "quern/OutputGuard.h"
#include "quern/Reports.h"
#include "quern/SampleInputs.h"
#include "runtime/plan/Plan.h"

#include <fmt/format.h>

#include <filesystem>

using namespace quern;

/// Checks the options, and makes the folder for dumps, when there is to be one; they replace
/// none of `files`, the model's.
static Status prepare(const CompileOptions &options, std::span<const std::string> files) {
  QUERN_TRY(checkOptions(options));
  if (options.dumpPhasesTo.empty())
    return Status::ok();
  FileGuard guard;
  QUERN_TRY(guardModelFiles(files, guard));
  QUERN_TRY(guardDumps(options.dumpPhasesTo, guard));
  std::error_code error;
  std::filesystem::create_directories(options.dumpPhasesTo, error);
  if (error)
    return ioError(
        fmt::format("cannot make folder '{}': {}", options.dumpPhasesTo, error.message()));
  return Status::ok();
}

/// With the ways that were measured, where they were.
static native::NativeOptions withWays(const CompileOptions &options) {
  native::NativeOptions result(options);
  if (options.tuning)
    result.ways = std::make_shared<const native::TuningTable>(options.tuning->ways);
  return result;
}

/// And with a folder for kernels, where they are to be kept and can be.
static native::NativeOptions nativeOptions(const CompileOptions &options) {
  native::NativeOptions result = withWays(options);
  if (options.kernelCache)
    if (Expected<std::string> folder = kernelFolder())
      result.kernelFolder = folder.take();
  return result;
}

Expected<std::shared_ptr<const CompiledModel>>
quern::compileToNative(nn::OwnedModule source, const CompileOptions &options,
                       std::span<const std::string> files,
                       std::shared_ptr<plan::StepObserver> observer) {
  QUERN_TRY(prepare(options, files));
  native::NativeOptions how = nativeOptions(options);
  plantGraphError(nn::findMain(*source.module));
  if (std::shared_ptr<plan::StepObserver> error = plantedError())
    how.observers.push_back(std::move(error));
  if (observer)
    how.observers.push_back(std::move(observer));
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled,
               native::compileForJit(std::move(source), how));
  return compiled;
}

//===----------------------------------------------------------------------===//
// Output and what there is to say: each works on a copy of the module
//===----------------------------------------------------------------------===//

static Explanation withChoiceOf(const CompileOptions &options, Explanation explanation) {
  if (options.choice)
    explanation.choice = *options.choice;
  return explanation;
}

Expected<Explanation> Model::explainPlan(const CompileOptions &options,
                                         std::span<const Tensor::Dims> inputDims) const {
  QUERN_TRY(checkInputDims(inputs(), inputDims));
  QUERN_TRY(prepare(options, files()));
  QUERN_ASSIGN(CompileOptions settled, withChoice(options, inputDims));
  QUERN_ASSIGN(nn::OwnedModule copy, state->copyModule());
  QUERN_ASSIGN(Explanation explanation,
               native::explainPlan(*copy.module, withWays(settled), inputDims));
  return withChoiceOf(settled, std::move(explanation));
}

Expected<std::vector<KernelCode>> Model::codeOfNode(const CompileOptions &options,
                                                    std::span<const Tensor::Dims> inputDims,
                                                    const std::string &node) const {
  QUERN_TRY(checkInputDims(inputs(), inputDims));
  QUERN_TRY(prepare(options, files()));
  QUERN_ASSIGN(CompileOptions settled, withChoice(options, inputDims));
  QUERN_ASSIGN(nn::OwnedModule copy, state->copyModule());
  return native::codeOfNode(*copy.module, withWays(settled), inputDims, node);
}

Expected<Explanation> Model::explainWithoutSizes(const CompileOptions &options) const {
  QUERN_TRY(prepare(options, files()));
  QUERN_ASSIGN(CompileOptions settled, withChoice(options));
  QUERN_ASSIGN(nn::OwnedModule copy, state->copyModule());
  QUERN_ASSIGN(Explanation explanation, native::explainGraph(*copy.module, withWays(settled)));
  return withChoiceOf(settled, std::move(explanation));
}

Expected<std::string> Model::textOfPhase(const CompileOptions &options,
                                         const std::string &phase) const {
  std::optional<passes::Phase> last = passes::parsePhase(phase);
  if (!last)
    return usageError(fmt::format("there is no phase '{}'; the phases are imported, simplified, "
                                  "laid-out, fused, kernels, llvm, object",
                                  phase));
  QUERN_TRY(prepare(options, files()));
  QUERN_ASSIGN(CompileOptions settled, withChoice(options));
  QUERN_ASSIGN(nn::OwnedModule copy, state->copyModule());
  return native::compileToPhase(*copy.module, *last, withWays(settled));
}

std::string quern::symbolPrefix(const std::string &outputPath) {
  return native::symbolPrefix(outputPath);
}

/// Of a file, or of all in a folder.
static int64_t bytesAt(const std::string &path) {
  std::error_code error;
  auto sizeOf = [&](const std::filesystem::path &file) {
    auto size = std::filesystem::file_size(file, error);
    return error ? 0 : static_cast<int64_t>(size);
  };
  if (!std::filesystem::is_directory(path, error))
    return sizeOf(path);
  int64_t bytes = 0;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error))
    bytes += sizeOf(entry->path());
  return bytes;
}

/// Of CPUs that get code of their own, the one whose layers are measured: the first that multiplies
/// bfloat16, for the others lower none.
static Expected<std::string> measuredCpu(const CompileOptions &options,
                                         const ArtifactOptions &artifact) {
  for (const std::string &cpu : artifact.targetCpus) {
    QUERN_ASSIGN(native::Target target, native::resolveTarget(cpu, options.targetTriple));
    if (target.has(native::Isa::Bf16Dot))
      return cpu;
  }
  return artifact.targetCpus.empty() ? options.targetCpu : artifact.targetCpus.front();
}

/// The sizes that inputs have by default, and of listed ones the first.
static std::vector<Tensor::Dims> firstDims(std::span<const PortSignature> inputs,
                                           const ArtifactOptions &artifact) {
  std::vector<Tensor::Dims> dims = defaultDims(inputs);
  for (size_t i = 0; i < inputs.size(); ++i)
    for (size_t d = 0; d < dims[i].size(); ++d)
      for (const ListedSize &list : artifact.listedSizes)
        if (inputs[i].shape[static_cast<int64_t>(d)].symbolName() == list.name &&
            !list.sizes.empty())
          dims[i][d] = list.sizes.front();
  return dims;
}

Expected<CompileOptions> Model::withChoiceFor(const CompileOptions &options,
                                              const ArtifactOptions &artifact) const {
  QUERN_TRY(checkOptions(options));
  if (options.tuneSeconds && artifact.targetCpus.size() > 1)
    return usageError("ways are measured on this machine: a file for several CPUs cannot be tuned");
  if (options.precision != Precision::Auto && !options.tuneSeconds)
    return options;
  CompileOptions measured = options;
  QUERN_ASSIGN(measured.targetCpu, measuredCpu(options, artifact));
  QUERN_ASSIGN(measured, withChoice(measured, firstDims(inputs(), artifact)));
  measured.targetCpu = options.targetCpu;
  return measured;
}

Status Model::compileToArtifact(const CompileOptions &options, const ArtifactOptions &artifact,
                                ArtifactSummary *summary) const {
  FileGuard guard;
  QUERN_TRY(guardModelFiles(files(), guard));
  QUERN_TRY(guardArtifact(options, artifact, guard));
  ArtifactSummary found;
  bool isFolder = artifact.outputPath.ends_with(".c-test");
  QUERN_ASSIGN(CompileOptions settled, withChoiceFor(options, artifact));
  QUERN_TRY(isFolder ? state->writeTestFolder(settled, artifact, found)
                     : state->writeArtifact(settled, artifact, found));
  found.bytes = bytesAt(artifact.outputPath);
  if (settled.choice)
    found.choice = *settled.choice;
  if (artifact.weightsInFile && !isFolder)
    found.bytes += bytesAt(native::weightsPath(artifact.outputPath));
  if (summary)
    *summary = std::move(found);
  return Status::ok();
}

Status Model::State::writeArtifact(const CompileOptions &options, const ArtifactOptions &artifact,
                                   ArtifactSummary &summary) {
  QUERN_TRY(prepare(options, files));
  QUERN_ASSIGN(nn::OwnedModule copy, copyModule());
  std::string choice = options.choice ? choiceReport(*options.choice) : "";
  QUERN_TRY(native::compileToArtifact(*copy.module, {nativeOptions(options), artifact, choice},
                                      &summary));
  return Status::ok();
}
