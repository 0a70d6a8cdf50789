//===- Strides.h - distances between elements of row-major tensors --------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// Distances in elements between neighbours along each dimension of a row-major tensor.
/// `Sizes` is any vector of int64_t.
template <typename Sizes = std::vector<int64_t>>
Sizes rowMajorStrides(std::span<const int64_t> dims) {
  Sizes strides(dims.size());
  int64_t stride = 1;
  for (size_t d = dims.size(); d-- > 0;) {
    strides[d] = stride;
    // Only those of an empty tensor can overflow, and they are never used.
    if (__builtin_mul_overflow(stride, dims[d], &stride))
      stride = 0;
  }
  return strides;
}

} // namespace quern
