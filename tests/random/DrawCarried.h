//===- DrawCarried.h - random loops that hand values on, chains of branches --===//
#pragma once

#include "tests/random/ModelDraw.h"

namespace quern::random {

/// A loop whose carried values shift from place to place.
bool drawShiftingLoop(ModelDraw &draw);
/// Several branches, each of what the one before gives.
bool drawBranchChain(ModelDraw &draw);

} // namespace quern::random
