//===- VisionOps.h - images between pixels and under regions --------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/VisionOps.h.inc"
