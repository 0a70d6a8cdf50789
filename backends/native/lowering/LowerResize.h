//===- LowerResize.h - resizing -------------------------------------------===//
#pragma once

#include "backends/native/lowering/Lowering.h"
#include "ir/NNDialect.h"

namespace quern::native {

// LowerResize.cpp
LoweringResult lower(nn::ResizeOp op, const LoweringContext &context);

} // namespace quern::native
