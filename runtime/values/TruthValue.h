//===- TruthValue.h - truth values of untrusted data ----------------------===//
#pragma once

#include "quern/Tensor.h"

#include <cstdint>

namespace quern {

/// Element `i` of a tensor of truth values. They are read as bytes: those of a file or of a
/// caller may be neither 0 nor 1, which is no bool of C++.
inline bool truthValue(const Tensor &tensor, int64_t i = 0) {
  return static_cast<const uint8_t *>(tensor.rawData())[i] != 0;
}

} // namespace quern
