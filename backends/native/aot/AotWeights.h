//===- AotWeights.h - packed weights as an object file --------------------===//
#pragma once

#include "backends/native/codegen/Target.h"
#include "runtime/plan/Plan.h"

#include <string>
#include <vector>

namespace quern::native {

/// Where the weights of a plan lie in one block of read-only memory.
struct WeightLayout {
  static constexpr int64_t kAlignment = 64;
  /// The offset of each tensor of Plan::weights; -1 when no kernel uses it.
  std::vector<int64_t> offsets;
  /// The tensors to write, in order of offset; shared storage appears once.
  std::vector<Tensor> tensors;
  int64_t bytes = 0;
};

/// Unsupported when code could not address so many bytes.
Expected<WeightLayout> layOutWeights(const Plan &plan);

/// Writes an object file for `arch` whose section .rodata.quern holds the weights, as
/// the hidden symbol `symbol`. Streams them: needs no memory of their size.
Status writeWeightsObject(const std::string &path, const WeightLayout &layout,
                          const std::string &symbol, Target::Arch arch);

} // namespace quern::native
