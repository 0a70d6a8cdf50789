//===- TreeOps.h - decision trees -----------------------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/TreeOps.h.inc"
