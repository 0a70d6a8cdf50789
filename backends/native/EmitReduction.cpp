//===- EmitReduction.cpp - reductions ---------------------------------===//
#include "backends/native/Lowering.h"

using namespace quern::native;

LoweringResult quern::native::lowerReduction(mlir::Operation *op, const LoweringContext &) {
  return LoweringResult::refuse("no native code for " + op->getName().getStringRef().str());
}
