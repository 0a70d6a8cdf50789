//===- IndexData.h - the tensors that sizes are made of -------------------===//
#pragma once

#include "quern/Tensor.h"

#include <cstdint>
#include <cstring>

namespace quern::plan {

/// Elements of a tensor that sizes are made of; more would be work for the run.
inline constexpr int64_t kMaxIndexElements = 64;

/// Whether sizes, and what decides between them, are of this type.
inline bool isIndexType(DType dtype) {
  return dtype == DType::Int64 || dtype == DType::Int32 || dtype == DType::Bool;
}

/// Whether two tensors of numbers are the same.
inline bool haveSameElements(const Tensor &a, const Tensor &b) {
  return a.dtype() == b.dtype() && a.dims() == b.dims() &&
         (a.numBytes() == 0 ||
          std::memcmp(a.rawData(), b.rawData(), static_cast<size_t>(a.numBytes())) == 0);
}

} // namespace quern::plan
