//===- QuantOps.h - from numbers to small ones and back -------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/QuantOps.h.inc"
