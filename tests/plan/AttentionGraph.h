//===- AttentionGraph.h - attention of any sizes --------------------------===//
#pragma once

#include "tests/plan/Graph.h"

namespace quern::test {

/// Attention without projections on [batch, length, 8], its sizes computed as exporters
/// do, and a residual that a product has an epilogue for at some sizes only.
Graph attentionOfOpenSizes();

} // namespace quern::test
