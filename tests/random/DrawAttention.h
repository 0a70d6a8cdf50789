//===- DrawAttention.h - what ways to draw attention share ----------------===//
#pragma once

#include "tests/random/ModelDraw.h"

namespace quern::random {

/// A float32 value of small integers whose rank is known: importers need that of attention.
Drawn drawOperand(ModelDraw &draw, const Tensor::Dims &dims);

/// Attention as exporters write it: products, a scale, masks, a softmax, and transposes and
/// reshapes around them; also what only looks like it.
bool drawPrimitiveAttention(ModelDraw &draw);

} // namespace quern::random
