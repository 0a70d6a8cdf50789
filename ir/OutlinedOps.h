//===- OutlinedOps.h - what stands for bodies -----------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/OutlinedOps.h.inc"
