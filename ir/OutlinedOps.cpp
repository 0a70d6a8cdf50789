//===- OutlinedOps.cpp - what is left where bodies were -------------------===//
#include "ir/OutlinedOps.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

#define GET_OP_CLASSES
#include "ir/OutlinedOps.cpp.inc"
