//===- LinearAlgebraOps.h - of matrices as such ---------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/LinearAlgebraOps.h.inc"
