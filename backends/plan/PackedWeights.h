//===- PackedWeights.h - constants as kernels read them -------------------===//
#pragma once

#include "backends/plan/LoweredStep.h"
#include "quern/Deadline.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace quern::plan {

/// The packed weights that all plans of an executable share. Thread-safe.
class PackedWeights {
public:
  /// `threads` pack at a time; 0: all there are.
  explicit PackedWeights(int threads) : threads(threads) {}

  /// The packed tensors of `buffers` (of kind Weights), in order; packs missing
  /// ones in parallel. A source is let go as soon as it is packed.
  Expected<std::vector<Tensor>> pack(const std::vector<const StepBuffer *> &buffers,
                                     const Deadline &deadline = {});
  /// A weight as it is, aligned for its type: where it lies, or in one copy for all
  /// plans.
  Expected<Tensor> unpacked(const nn::WeightSource &weight);

private:
  Status packMissing(std::vector<size_t> missing, const std::vector<const StepBuffer *> &buffers,
                     std::vector<Tensor> &results, const Deadline &deadline);

  int threads;
  std::mutex mutex;
  /// By pack key, and by the key of the weight for those that are not packed.
  std::map<std::string, Tensor> packed;
};

} // namespace quern::plan
