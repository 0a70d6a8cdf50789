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
/// integer and floating types). The tensor borrows from `owner` when the
/// elements are aligned and in row-major order. InvalidInput says what is wrong.
Expected<Tensor> parseNpy(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                          const Limits &limits = {});

/// The header that precedes the elements of `tensor` in a .npy file;
/// Unsupported for types that NumPy has not.
Expected<std::string> npyHeader(const Tensor &tensor);

} // namespace quern::cli
