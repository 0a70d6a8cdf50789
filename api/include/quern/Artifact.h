//===- Artifact.h - models compiled ahead of time, loaded -----------------===//
#pragma once

#include "quern/CompiledModel.h"
#include "quern/ListedSize.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace quern {

/// Whether a file begins as libraries do: it is for loadArtifact, not for Model::load.
bool isLibraryFile(const std::string &path);

/// The dims of all ports for some sizes.
struct ArtifactPlan {
  std::vector<Tensor::Dims> inputDims, outputDims;
  /// For each output the input in whose memory it may be made (a cache); none when empty.
  std::vector<std::optional<uint32_t>> updates = {};
};

/// What a library made by Model::compileToArtifact says of itself.
struct ArtifactFacts {
  /// Of the model.
  std::string name;
  /// LLVM's name of the CPU that it was compiled for.
  std::string targetCpu;
  /// What it was asked to compute in.
  Precision precision = Precision::Float32;
  /// Of Precision::Auto.
  std::optional<PrecisionChoice> choice = {};
  int64_t abiVersion = 0;
  /// Of a run in one thread; more for each further one.
  int64_t workspaceBytes = 0, workerBytes = 0;
  std::vector<PortSignature> inputs, outputs;
  /// The dimensions whose sizes vary, and the sizes that there is code for; a plan for each
  /// combination. One plan and no sizes when all are fixed.
  std::vector<ListedSize> sizes;
  std::vector<ArtifactPlan> plans;
  /// Of the file with its weights, which has its name with the suffix .weights; 0 when they
  /// are part of it.
  int64_t weightsBytes = 0;
};

/// Loading a library runs code in it, so a library is trusted as a program is. Before
/// that it is made sure that it is whole and one of ours. InvalidModel when it is not;
/// Incompatible when it is for another processor or of another version of the interface.
Expected<ArtifactFacts> inspectArtifact(const std::string &path);

/// As above, to run: Incompatible, too, when this CPU lacks what the code needs, or when the
/// file with its weights is another one; an Io error when there is none. Memory
/// for a run comes from the runner, and its larger steps are divided among its threads.
/// What an artefact has none of, a profile and subnormal numbers, is Unsupported.
Expected<std::shared_ptr<const CompiledModel>> loadArtifact(const std::string &path);

} // namespace quern
