//===- GatherChannelsKernel.h - channels of images in blocks, moved -------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"

#include <vector>

namespace quern::native {

/// What shapes the code.
struct GatherChannelsSpec {
  /// How some blocks of the result are made of vectors of the inputs, all of them alike.
  struct Pattern {
    /// The input of each vector.
    std::vector<int64_t> inputs;
    /// Of each lane of the result the lane of all those vectors, side by side; -1: zero.
    std::vector<int64_t> lanes;

    bool operator==(const Pattern &) const = default;
    QUERN_FIELDS(inputs, lanes)
  };
  /// An unsigned integer.
  DType dtype = DType::UInt32;
  /// Channels of a block of each input, and of the result.
  std::vector<int64_t> inputBlocks;
  int64_t block = 0;
  std::vector<Pattern> patterns;

  static constexpr std::string_view kFamily = "gather_channels";
  QUERN_FIELDS(dtype, inputBlocks, block, patterns)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// Images in blocks of channels, pixels as one dimension.
struct BlockedImages {
  StepBuffer buffer;
  int64_t blocks = 0, block = 0;
};

/// Gathers `lanes`, those of all inputs counted one after the other (-1: zero), of `batch` images
/// of `pixels` pixels into blocks of the result. Elements are of any type of 1, 2, 4 or 8 bytes.
LoweredStep gatherChannels(std::vector<BlockedImages> inputs, BlockedImages result, int64_t batch,
                           int64_t pixels, llvm::ArrayRef<int64_t> lanes, DType dtype);

} // namespace quern::native
