//===- Vision.h - kernels of the vision family ----------------------------===//
//
// The family's table is in EvalVision.cpp; here is what its files share.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/reference/Evaluator.h"

namespace quern::reference {

// EvalGridSample.cpp
Expected<std::vector<Tensor>> evalGridSample(const OpCall &call);
// EvalRoiPool.cpp
Expected<std::vector<Tensor>> evalRoiPool(const OpCall &call);

} // namespace quern::reference
