//===- AotWeightsFile.h - packed weights in a file beside the code --------===//
//
// The file, which code is given by <prefix>_use_weights: 64 bytes that tell it from others,
// then the weights for each CPU.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/aot/AotWeights.h"

#include <array>
#include <cstdint>

namespace llvm {
class GlobalVariable;
class Module;
} // namespace llvm

namespace quern::native {

/// Where the weights for one CPU lie in the file, and what the code makes sure of.
struct WeightsPart {
  int64_t offset = 0;
  /// Of these weights.
  int64_t bytes = 0;
  uint64_t hash = 0;
  /// Of the whole file.
  int64_t fileBytes = 0;
  uint64_t fileHash = 0;
};

/// What is known of the content of bytes. A change of one word always changes it.
class WeightsHash {
public:
  static constexpr size_t kLanes = 8;
  static constexpr uint64_t kFactor = 0x9e3779b97f4a7c15;
  static constexpr int kRotation = 29;
  static uint64_t firstOf(size_t lane) { return kFactor * (lane + 1); }

  WeightsHash();
  /// `bytes` followed by zeros up to a multiple of 64.
  void add(const void *data, size_t bytes);
  uint64_t value() const;

private:
  void addBlock(const unsigned char *block);
  std::array<uint64_t, kLanes> lanes;
};

/// "out/m.weights" for "out/m.so".
std::string weightsPath(const std::string &outputPath);

/// The parts of a file with these weights, one after the other.
std::vector<WeightsPart> placeInFile(std::span<const WeightLayout *const> layouts);

/// Streams the weights that `parts` are the places of.
Status writeWeightsFile(const std::string &path, std::span<const WeightLayout *const> layouts,
                        std::span<const WeightsPart> parts);

/// Adds `int name(const void *data, int64_t bytes)`, which stores the address of the part
/// of a file in memory to `place` when it is this very file; a quern_model_status.
void emitUseWeights(llvm::Module &module, const std::string &name, const WeightsPart &part,
                    llvm::GlobalVariable *place);

} // namespace quern::native
