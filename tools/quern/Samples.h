//===- Samples.h - many inputs for a model --------------------------------===//
#pragma once

#include "tools/quern/InputTensors.h"

namespace quern::cli {

/// Where inputs for calibration come from.
struct SampleOptions {
  /// A folder, a file, or "random".
  std::string data;
  /// How many are taken; 0: all there are, of random ones kRandomSamples.
  int64_t count = 0;
  bool cast = false;
  uint64_t seed = 0;
};

inline constexpr int64_t kRandomSamples = 16;

/// The inputs in a folder, in the order of their names: each .npz, .npy or .pb file and each
/// folder with input_0.pb is what `quern run --input` takes; or those of one such file; or random
/// ones. `guard` is told of the files.
Expected<std::vector<std::vector<AnyValue>>> readSamples(std::span<const PortSignature> ports,
                                                         const SampleOptions &options,
                                                         const OutputStyle &style,
                                                         const Limits &limits, FileGuard &guard);

} // namespace quern::cli
