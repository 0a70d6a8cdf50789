//===- LowerGather.h - gathers and scatters -------------------------------===//
#pragma once

#include "backends/native/lowering/Lowering.h"
#include "ir/GatherOps.h"

namespace quern::native {

// LowerGather.cpp; nn.gather is declared in LoweringTable.h.
LoweringResult lower(nn::GatherElementsOp op, const LoweringContext &context);
LoweringResult lower(nn::GatherNDOp op, const LoweringContext &context);
LoweringResult lower(nn::ScatterElementsOp op, const LoweringContext &context);
LoweringResult lower(nn::ScatterNDOp op, const LoweringContext &context);

} // namespace quern::native
