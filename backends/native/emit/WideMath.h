//===- WideMath.h - logarithm and exponential for float32 results ---------===//
//
// In float64, and exact enough that what is made of them is right to the last
// place when it is rounded to float32.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/FloatBuilder.h"

namespace quern::native {

/// log2 of a float64 that is 0, positive and normal, infinite or NaN, with a
/// relative error of 2^-37.
mlir::Value expandWideLog2(FloatBuilder &b, mlir::Value x);
/// 2^x with a relative error of 2^-29. Results that float32 cannot hold need not
/// be right, but round to 0 or infinity there.
mlir::Value expandWideExp2(FloatBuilder &b, mlir::Value x);

} // namespace quern::native
