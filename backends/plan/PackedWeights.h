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
  /// ones in parallel.
  Expected<std::vector<Tensor>> pack(const std::vector<const StepBuffer *> &buffers,
                                     const Deadline &deadline = {});

private:
  int threads;
  std::mutex mutex;
  /// By pack key. A key holds the address of its source, which therefore lives as
  /// long as the entry.
  struct PackedTensor {
    Tensor source, result;
  };
  std::map<std::string, PackedTensor> packed;
};

} // namespace quern::plan
