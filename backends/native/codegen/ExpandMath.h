//===- ExpandMath.h - math ops to polynomials -----------------------------===//
#pragma once

#include "mlir/Pass/Pass.h"

#include <memory>

namespace quern::native {

/// Replaces float32 math ops that x86 has no instruction for (exp, log, pow,
/// tanh, erf, ...) on scalars and vectors by polynomials of at most 3 ulp error;
/// what it leaves becomes libm calls.
std::unique_ptr<mlir::Pass> createExpandMathPass();

} // namespace quern::native
