//===- LabelOps.h - labels, and maps from labels to values ----------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/LabelOps.h.inc"
