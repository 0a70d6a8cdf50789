//===- FenceHalf.h - keep half types out of arithmetic --------------------===//
#pragma once

#include "mlir/Pass/Pass.h"

#include <memory>

namespace quern::native {

/// Puts a fence behind every extension of float16 that LLVM's optimizer does not
/// look through. Without it a comparison of two extended numbers becomes one of
/// float16, which x86 has no vectors for: lanes are then taken one by one.
std::unique_ptr<mlir::Pass> createFenceHalfPass();

} // namespace quern::native
