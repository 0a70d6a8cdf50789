//===- ArtifactFile.h - a library in this process -------------------------===//
#pragma once

#include "quern/Artifact.h"
#include "quern/model_abi.h"

#include <optional>

namespace quern {

/// A file in memory.
class WeightsMapping {
public:
  static Expected<WeightsMapping> open(const std::string &path);
  WeightsMapping(WeightsMapping &&other) noexcept;
  WeightsMapping &operator=(WeightsMapping &&) = delete;
  ~WeightsMapping();

  const void *data() const { return address; }
  size_t bytes() const { return size; }

private:
  WeightsMapping(void *address, size_t size) : address(address), size(size) {}
  void *address;
  size_t size;
};

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

  int descriptor = -1;
  void *library = nullptr;
  void *runParallel = nullptr;
  std::optional<WeightsMapping> weights;
};

} // namespace quern
