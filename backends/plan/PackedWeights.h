//===- PackedWeights.h - constants as kernels read them -------------------===//
#pragma once

#include "backends/plan/LoweredStep.h"
#include "runtime/running/OncePerKey.h"

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
  using Take = std::function<void(const StepBuffer &, Tensor)>;
  Status packMissing(std::vector<const StepBuffer *> missing, const Deadline &deadline,
                     const Take &take);
  Status packShared(const std::vector<const StepBuffer *> &buffers, const Deadline &deadline);

  int threads;
  /// By pack key, and by the key of the weight for those that are not packed.
  OncePerKey<Tensor> packed;
};

} // namespace quern::plan
