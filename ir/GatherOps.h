//===- GatherOps.h - elements by index, read and written ------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/GatherOps.h.inc"
