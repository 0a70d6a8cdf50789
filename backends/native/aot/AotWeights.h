//===- AotWeights.h - packed weights as an object file --------------------===//
#pragma once

#include "backends/native/target/Target.h"
#include "quern/Tensor.h"

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace llvm {
class raw_ostream;
}

namespace quern::native {

/// Where the weights of plans lie in one block of read-only memory.
struct WeightLayout {
  static constexpr int64_t kAlignment = 64;
  /// By where the tensors are now, and how large they are.
  std::map<std::pair<const void *, int64_t>, int64_t> offsets;
  /// The tensors to write, in order of offset; shared storage appears once.
  std::vector<Tensor> tensors;
  int64_t bytes = 0;

  /// Of a tensor that was laid out.
  int64_t offsetOf(const Tensor &tensor) const {
    return offsets.at({tensor.rawData(), tensor.numBytes()});
  }
};

/// Unsupported when code could not address so many bytes as part of the program; in a file
/// there may be more.
Expected<WeightLayout> layOutWeights(std::span<const Tensor> tensors, bool inFile = false);

/// The bytes of the layout.
void writeTensors(llvm::raw_ostream &out, const WeightLayout &layout);

/// Writes an object file for `arch` whose section .rodata.quern holds the weights, as
/// the hidden symbol `symbol`. Streams them: needs no memory of their size.
Status writeWeightsObject(const std::string &path, const WeightLayout &layout,
                          const std::string &symbol, Target::Arch arch);

} // namespace quern::native
