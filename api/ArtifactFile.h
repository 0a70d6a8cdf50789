//===- ArtifactFile.h - a library in this process -------------------------===//
#pragma once

#include "quern/Artifact.h"
#include "quern/model_abi.h"

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
  int (*cpuOk)() = nullptr;
  /// Calls the model's run function, of a plan with `sizes`.
  int run(const int64_t *sizes, const void *const *inputs, void *const *outputs, void *workspace,
          quern_parallel_for_fn parallelFor, void *context) const;

private:
  explicit ArtifactFile(std::string path) : path(std::move(path)) {}
  Status checkFile() const;
  Status load();
  Status findFunctions();

  int descriptor = -1;
  void *library = nullptr;
  void *runParallel = nullptr;
};

} // namespace quern
