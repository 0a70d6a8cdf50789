//===- ImageOps.h - images in files ---------------------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/ImageOps.h.inc"
