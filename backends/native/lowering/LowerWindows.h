//===- LowerWindows.h - what sums windows up ------------------------------===//
#pragma once

#include "backends/native/lowering/Lowering.h"
#include "ir/VisionOps.h"

namespace quern::native {

// LowerConvTranspose.cpp
LoweringResult lower(nn::ConvTransposeOp op, const LoweringContext &context);
LoweringResult lower(nn::Col2ImOp op, const LoweringContext &context);

} // namespace quern::native
