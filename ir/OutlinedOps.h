//===- OutlinedOps.h - what is left where bodies were ---------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/OutlinedOps.h.inc"
