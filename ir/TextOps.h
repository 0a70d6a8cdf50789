//===- TextOps.h - tensors of strings -------------------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/TextOps.h.inc"
