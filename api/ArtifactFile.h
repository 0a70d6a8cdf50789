//===- ArtifactFile.h - a library in this process -------------------------===//
#pragma once

#include "quern/Artifact.h"
#include "quern/model_abi.h"
#include "runtime/system/MappedFile.h"

namespace quern {

/// A model's library, loaded until this goes away. Its numbers have been checked.
class ArtifactFile {
public:
  static Expected<std::unique_ptr<ArtifactFile>> open(const std::string &path);
  ~ArtifactFile();
  ArtifactFile(const ArtifactFile &) = delete;
  ArtifactFile &operator=(const ArtifactFile &) = delete;

  const std::string path;
  ArtifactFacts facts;
  /// Maps the file of weights, when there is to be one, for as long as this is there.
  Status useWeights();

  int (*cpuOk)() = nullptr;
  /// Calls the model's run function, of a plan with `sizes`.
  int run(const int64_t *sizes, const void *const *inputs, void *const *outputs, void *workspace,
          quern_parallel_for_fn parallelFor, void *context) const;

private:
  explicit ArtifactFile(std::string path) : path(std::move(path)) {}
  Status checkFile() const;
  Status load();
  Status findFunctions();

  FileDescriptor descriptor;
  void *library = nullptr;
  void *runParallel = nullptr;
  std::shared_ptr<const MappedFile> weights;
};

} // namespace quern
