//===- DataMovement.h - kernels of the data movement family ---------------===//
//
// The family's table is in EvalDataMovement.cpp; these are its kernels that
// live in other files.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/reference/Evaluator.h"

namespace quern::reference {

/// An error when a rank that comes from data exceeds the limit.
Status checkRank(size_t rank, const Budget &budget);

// EvalCast.cpp
Expected<std::vector<Tensor>> evalCast(const OpCall &call);

// EvalResize.cpp
Expected<std::vector<Tensor>> evalResize(const OpCall &call);

// EvalShape.cpp
Expected<std::vector<Tensor>> evalFlatten(const OpCall &call);
Expected<std::vector<Tensor>> evalRange(const OpCall &call);
Expected<std::vector<Tensor>> evalNonZero(const OpCall &call);
Expected<std::vector<Tensor>> evalReshape(const OpCall &call);
Expected<std::vector<Tensor>> evalShape(const OpCall &call);
Expected<std::vector<Tensor>> evalSqueeze(const OpCall &call);
Expected<std::vector<Tensor>> evalUnsqueeze(const OpCall &call);

} // namespace quern::reference
