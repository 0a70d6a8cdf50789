//===- SequenceOps.h - sequences and optionals ----------------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/SequenceOps.h.inc"

namespace quern::nn {

/// The type of what is taken out of a sequence or an optional of values of `type`. A
/// symbol in that says nothing: each value of a sequence may have another size.
mlir::Type containedType(mlir::Type type);

} // namespace quern::nn
