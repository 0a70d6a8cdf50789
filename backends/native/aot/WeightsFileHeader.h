//===- WeightsFileHeader.h - what a file of weights begins with -----------===//
#pragma once

#include <cstdint>

namespace quern::native {

/// Numbers are little-endian.
struct WeightsFileHeader {
  /// "QUERNWTS".
  static constexpr uint64_t kMagic = 0x5354574e52455551;
  static constexpr uint64_t kVersion = 1;
  uint64_t magic, version, bytes, hash, zeros[4];
};

} // namespace quern::native
