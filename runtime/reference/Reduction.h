//===- Reduction.h - kernels of the reduction family ----------------------===//
//
// The family's table is in EvalReduction.cpp; this is its kernel that lives in
// another file.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/reference/Evaluator.h"

namespace quern::reference {

// EvalTopK.cpp
Expected<std::vector<Tensor>> evalTopK(const OpCall &call);

} // namespace quern::reference
