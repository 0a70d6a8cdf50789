//===- IndexData.h - the tensors that sizes are made of -------------------===//
#pragma once

#include "quern/DType.h"

#include <cstdint>

namespace quern::plan {

/// Elements of a tensor that sizes are made of; more would be work for the run.
inline constexpr int64_t kMaxIndexElements = 64;

/// Whether sizes, and what decides between them, are of this type.
inline bool isIndexType(DType dtype) {
  return dtype == DType::Int64 || dtype == DType::Int32 || dtype == DType::Bool;
}

} // namespace quern::plan
