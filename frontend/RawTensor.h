//===- RawTensor.h - the elements of tensors as files have them -----------===//
#pragma once

#include "quern/Limits.h"
#include "quern/Status.h"
#include "quern/Tensor.h"

#include <cstddef>
#include <span>

namespace quern::frontend {

/// Type and dims of a tensor, checked.
struct TensorLayout {
  DType dtype = DType::Undefined;
  Tensor::Dims dims;
  int64_t elements = 0;
  /// Bytes of the elements in raw form (int4 packed two to a byte; 0 for strings).
  int64_t rawBytes = 0;

  /// InvalidModel for dims that are negative or overflow, ResourceLimit for too large ones.
  static Expected<TensorLayout> of(DType dtype, Tensor::Dims dims, const Limits &limits);
};

/// Whether a file has several elements in a byte.
inline bool isPacked(DType dtype) { return dtype != DType::String && dtypeBits(dtype) < 8; }

/// Whether the elements in a file are those of a Tensor, byte for byte.
inline bool hasFormOfFile(DType dtype) {
  return dtype != DType::Bool && dtype != DType::String && dtypeBits(dtype) >= 8;
}

/// The byte of an element in memory of which a file has these low bits: of integers their value.
uint8_t byteOfPacked(DType dtype, unsigned bits);

/// A copy of the elements in `raw`: little-endian, of less than a byte packed, the lowest bits
/// first.
Expected<Tensor> decodeRawTensor(const TensorLayout &layout, std::span<const std::byte> raw,
                                 const Limits &limits);

} // namespace quern::frontend
