//===- ModelState.h - the MLIR side of a model ----------------------------===//
#pragma once

#include "ir/OwnedModule.h"
#include "quern/Model.h"
#include "quern/TensorDifference.h"

#include <mutex>

namespace quern::native {
class Staging;
}
namespace quern::plan {
class StepObserver;
}

namespace quern {

struct Model::State {
  explicit State(nn::OwnedModule source) : source(std::move(source)) {}
  /// Gives the inputs the sizes asked for.
  static Expected<std::unique_ptr<State>> create(nn::OwnedModule source, const InputSizes &sizes);

  /// For who changes the module or works on it for long; weights are not copied.
  Expected<nn::OwnedModule> copyModule() {
    std::lock_guard lock(mutex);
    return nn::copyModule(*source.module);
  }

  /// Model::compileToArtifact, of a file and of FOLDER.c-test.
  Status writeArtifact(const CompileOptions &options, const ArtifactOptions &artifact,
                       ArtifactSummary &summary);
  Status writeTestFolder(const CompileOptions &options, const ArtifactOptions &artifact,
                         ArtifactSummary &summary);
  /// Writes all files of such a folder; `summary` is that of the object file.
  Status fillTestFolder(const CompileOptions &options, const ArtifactOptions &artifact,
                        const native::Staging &folder, ArtifactSummary &summary);
  /// What results of code for one of these CPUs may be off by.
  Expected<Tolerance> toleranceOn(const CompileOptions &options, std::span<const std::string> cpus);
  /// Writes inputs, and what the interpreter gives for them, for the first and the last
  /// combination of listed sizes, whose numbers are `plans`.
  Status writeTestCases(const ArtifactOptions &artifact, const native::Staging &folder,
                        const Limits &limits, std::vector<size_t> &plans);

  /// For `source`: reading a module, too, may make something in its context.
  std::mutex mutex;
  nn::OwnedModule source;
  std::vector<PortSignature> inputs;
  std::vector<PortSignature> outputs;
  /// Those that it was loaded from.
  std::vector<std::string> files;
};

/// Usage error when the options make no sense on any machine.
Status checkOptions(const CompileOptions &options);
/// A program of reference kernels for the graph of `source`; see InterpretedModel.cpp.
Expected<std::shared_ptr<const CompiledModel>> compileForInterpreter(const nn::OwnedModule &source);
/// Native code for the graph of a model in these files, with who looks at what its steps compute;
/// see NativeModel.cpp.
Expected<std::shared_ptr<const CompiledModel>>
compileToNative(nn::OwnedModule source, const CompileOptions &options,
                std::span<const std::string> files,
                std::shared_ptr<plan::StepObserver> observer = nullptr);

} // namespace quern
