//===- LowerVision.h - sampling and pooling regions -----------------------===//
#pragma once

#include "backends/native/lowering/Lowering.h"
#include "ir/VisionOps.h"

namespace quern::native {

// LowerVision.cpp
LoweringResult lower(nn::GridSampleOp op, const LoweringContext &context);
LoweringResult lower(nn::RoiPoolOp op, const LoweringContext &context);

} // namespace quern::native
