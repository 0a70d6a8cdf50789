//===- Npy.h - NumPy's array format ---------------------------------------===//
#pragma once

#include "quern/Limits.h"
#include "quern/Tensor.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace quern::cli {

/// Reads the bytes of a .npy file (version 1, 2 or 3; little-endian bool,
/// integer, floating and Unicode types). The tensor borrows from `owner` when the
/// elements are aligned and in row-major order. InvalidInput says what is wrong.
Expected<Tensor> parseNpy(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                          const Limits &limits = {});

/// A tensor as a .npy file: a header, then the bytes of `elements`.
struct NpyArray {
  std::string header;
  Tensor elements;
  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte *>(elements.rawData()),
            static_cast<size_t>(elements.numBytes())};
  }
};

/// The type that NumPy knows an element type by: its bits where NumPy has not the type
/// itself, and int8 or uint8 for integers of less than a byte.
DType storedAs(DType dtype);

/// Strings become NumPy's fixed-width Unicode, trailing zero characters lost as
/// always there, all else what storedAs says.
Expected<NpyArray> toNpy(const Tensor &tensor);

} // namespace quern::cli
