//===- RandomOps.h - random numbers ---------------------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/RandomOps.h.inc"
