//===- LowerAttention.h - attention ---------------------------------------===//
#pragma once

#include "backends/native/lowering/Lowering.h"
#include "ir/AttentionOps.h"

namespace quern::native {

LoweringResult lower(nn::AttentionOp op, const LoweringContext &context);

} // namespace quern::native
