//===- ByteLookup.h - tables of bytes --------------------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"

namespace quern::native {

/// The entries of the table of 256 bytes at `table` whose numbers are `bytes`, of `lanes` lanes (0:
/// a scalar).
mlir::Value lookUpBytes(KernelBuilder &kb, mlir::Value bytes, mlir::Value table, int64_t lanes);

} // namespace quern::native
