//===- RecurrentOps.h - recurrent networks --------------------------------===//
#pragma once

#include "ir/NNDialect.h"
#include "runtime/reference/Recurrent.h"

#define GET_OP_CLASSES
#include "ir/RecurrentOps.h.inc"
