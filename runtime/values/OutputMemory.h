//===- OutputMemory.h - memory for results, used again --------------------===//
#pragma once

#include "quern/Limits.h"
#include "quern/Tensor.h"

#include <memory>

namespace quern {

/// Makes the results of a runner's runs, in memory of results that the caller has let go: new
/// memory of megabytes costs a fault for each of its pages. Results may outlive this and be let go
/// in any thread. What is kept is no more than the results of one run take.
class OutputMemory {
public:
  OutputMemory();
  OutputMemory(OutputMemory &&) noexcept = default;
  OutputMemory &operator=(OutputMemory &&) noexcept = default;

  /// To be called before the results of a run are made.
  void beginRun();
  /// As Tensor::allocateUninitialized.
  Expected<Tensor> allocate(DType dtype, const Tensor::Dims &dims, const Limits &limits);

private:
  struct Kept;
  std::shared_ptr<Kept> kept;
  /// Runs whose beginning changes what is kept: the next two after one that made results here.
  int runsToTell = 0;
};

} // namespace quern
