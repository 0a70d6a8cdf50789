//===- LowerVision.h - sampling -------------------------------------------===//
#pragma once

#include "backends/native/lowering/Lowering.h"
#include "ir/VisionOps.h"

namespace quern::native {

// LowerVision.cpp
LoweringResult lower(nn::GridSampleOp op, const LoweringContext &context);

} // namespace quern::native
