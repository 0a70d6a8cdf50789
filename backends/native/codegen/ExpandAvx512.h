//===- ExpandAvx512.h - math ops by instructions of AVX-512 ---------------===//
#pragma once

#include "mlir/IR/Operation.h"

namespace quern::native {

/// A float32 math op that AVX-512 computes in fewer instructions than other vectors, in pieces of
/// 16 lanes: scalars and tails have the bits of full vectors. Null when `op` is none.
mlir::Value expandByAvx512(mlir::Operation *op);

/// x times the normal distribution function, in the same pieces, before `at`; null when `x` has no
/// such.
mlir::Value expandGeluByAvx512(mlir::Operation *at, mlir::Value x);

/// The same of the sigmoid; of 12 bits where it `isRounded` to bfloat16.
mlir::Value expandSigmoidByAvx512(mlir::Operation *at, mlir::Value x, bool isRounded);

} // namespace quern::native
