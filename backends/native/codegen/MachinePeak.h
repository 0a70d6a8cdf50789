//===- MachinePeak.h - what this machine can do, measured -----------------===//
#pragma once

#include "backends/native/codegen/Jit.h"
#include "backends/native/target/Target.h"
#include "quern/StepCost.h"

#include <array>
#include <memory>
#include <vector>

namespace quern::native {

/// Independent chains of multiply-adds in registers, or in tiles, as kernels for products of
/// `engine` have them, in code generated for a target (which this machine must be able to run). Any
/// number of threads may run one at once.
class ProductChains {
public:
  struct alignas(64) CacheLine {
    std::array<uint32_t, 16> words;
  };

  static Expected<ProductChains> create(const Target &target, Engine engine);
  /// A short run, of 2 ms at most, in the calling thread; how many operations it did.
  Expected<double> run() const;

private:
  std::shared_ptr<Jit> jit;
  KernelFunction kernel = nullptr;
  /// Of one step of all chains; steps of a run.
  int64_t operations = 0, iterations = 0;
  std::vector<CacheLine> factors;
};

/// The multiply-add rates of one core, each the best of a few short runs; about 20 ms for each.
Expected<EnginePeaks> measurePeaks(const Target &target);

} // namespace quern::native
