//===- NativeModel.cpp - what the native backend makes of a model ---------===//
#include "api/ModelState.h"
#include "backends/native/aot/AotCompiler.h"
#include "backends/native/aot/AotWeightsFile.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "quern/CacheFolder.h"
#include "quern/OutputGuard.h"
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

/// With a folder for kernels, where they are to be kept and can be.
static native::NativeOptions nativeOptions(const CompileOptions &options) {
  native::NativeOptions result(options);
  if (options.kernelCache)
    if (Expected<std::string> folder = kernelFolder())
      result.kernelFolder = folder.take();
  return result;
}

Expected<std::shared_ptr<const CompiledModel>>
quern::compileToNative(nn::OwnedModule source, const CompileOptions &options,
                       std::span<const std::string> files) {
  QUERN_TRY(prepare(options, files));
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled,
               native::compileForJit(std::move(source), nativeOptions(options)));
  return compiled;
}

//===----------------------------------------------------------------------===//
// Output and what there is to say: each works on a copy of the module
//===----------------------------------------------------------------------===//

Expected<Explanation> Model::explainPlan(const CompileOptions &options,
                                         std::span<const Tensor::Dims> inputDims) const {
  QUERN_TRY(checkInputDims(inputs(), inputDims));
  QUERN_TRY(prepare(options, files()));
  QUERN_ASSIGN(nn::OwnedModule copy, state->copyModule());
  return native::explainPlan(*copy.module, options, inputDims);
}

Expected<Explanation> Model::explainWithoutSizes(const CompileOptions &options) const {
  QUERN_TRY(prepare(options, files()));
  QUERN_ASSIGN(nn::OwnedModule copy, state->copyModule());
  return native::explainGraph(*copy.module, options);
}

Expected<std::string> Model::textOfPhase(const CompileOptions &options,
                                         const std::string &phase) const {
  std::optional<passes::Phase> last = passes::parsePhase(phase);
  if (!last)
    return usageError(fmt::format("there is no phase '{}'; the phases are imported, simplified, "
                                  "laid-out, fused, kernels, llvm, object",
                                  phase));
  QUERN_TRY(prepare(options, files()));
  QUERN_ASSIGN(nn::OwnedModule copy, state->copyModule());
  return native::compileToPhase(*copy.module, *last, options);
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

Status Model::compileToArtifact(const CompileOptions &options, const ArtifactOptions &artifact,
                                ArtifactSummary *summary) const {
  FileGuard guard;
  QUERN_TRY(guardModelFiles(files(), guard));
  QUERN_TRY(guardArtifact(options, artifact, guard));
  ArtifactSummary found;
  bool isFolder = artifact.outputPath.ends_with(".c-test");
  QUERN_TRY(isFolder ? state->writeTestFolder(options, artifact, found)
                     : state->writeArtifact(options, artifact, found));
  found.bytes = bytesAt(artifact.outputPath);
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
  QUERN_TRY(native::compileToArtifact(*copy.module, {nativeOptions(options), artifact}, &summary));
  return Status::ok();
}
