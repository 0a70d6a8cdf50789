//===- ElementTypes.h - the types that kernels compute in -----------------===//
#pragma once

#include "quern/DType.h"

namespace quern::native {

/// Whether kernels compute in this float type; half types are widened (see the trait
/// WideFloatsOnly).
inline bool isWideFloat(DType dtype) { return dtype == DType::Float32 || dtype == DType::Float64; }

/// Whether kernels compute in this type: wide floats and integers.
inline bool isArithmetic(DType dtype) {
  return isWideFloat(dtype) || isSignedInteger(dtype) || isUnsignedInteger(dtype);
}

} // namespace quern::native
