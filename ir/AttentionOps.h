//===- AttentionOps.h - attention -----------------------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/AttentionOps.h.inc"
