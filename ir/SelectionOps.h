//===- SelectionOps.h - which boxes, which values ----------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/SelectionOps.h.inc"
