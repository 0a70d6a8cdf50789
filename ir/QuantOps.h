//===- QuantOps.h - from numbers to small ones and back -------------------===//
#pragma once

#include "ir/NNDialect.h"

#define GET_OP_CLASSES
#include "ir/QuantOps.h.inc"

namespace quern::nn {

/// The entries of a table of nn.byte_lookup.
inline constexpr int64_t kByteTableSize = 256;

/// Whether operand `i` of an elementwise op is read at other places than its result is written.
inline bool isTable(mlir::Operation *op, unsigned i) {
  return i == 1 && mlir::isa<ByteLookupOp>(op);
}

} // namespace quern::nn
