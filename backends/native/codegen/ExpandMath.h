//===- ExpandMath.h - math ops to polynomials -----------------------------===//
#pragma once

#include "backends/native/target/Target.h"

#include "mlir/Pass/Pass.h"

#include <memory>

namespace quern::native {

/// Replaces float32 math ops that no target has an instruction for (exp, log, pow,
/// tanh, erf, ...) on scalars and vectors by polynomials of at most 3 ulp error;
/// what it leaves becomes libm calls. The target outlives the pass.
std::unique_ptr<mlir::Pass> createExpandMathPass(const Target &target);

} // namespace quern::native
