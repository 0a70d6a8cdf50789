//===- SignalOps.h - transforms of signals --------------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/SignalOps.h.inc"
