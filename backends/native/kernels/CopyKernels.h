//===- CopyKernels.h - strided copies -------------------------------------===//
#pragma once

#include "backends/native/kernels/MapKernel.h"

namespace quern::native {

/// What shapes the code of a transposition by tiles.
struct TransposeSpec {
  /// An unsigned integer.
  DType bits = DType::UInt32;
  int64_t outerRank = 0;

  static constexpr std::string_view kFamily = "transpose";
  QUERN_FIELDS(bits, outerRank)
  std::string name() const { return "transpose"; }
  void emit(KernelBuilder &kb) const;
};

/// One side of a copy. Strides are in elements.
struct CopySide {
  StepBuffer buffer;
  Sizes strides;
};

/// Appends the steps that copy elements of `dtype` over an index space: a map
/// when source and target are contiguous along the same dimension, otherwise a
/// transposition by square tiles in registers. Elements are moved as bits.
/// `lasting` as in MapProblem.
void appendCopy(const Sizes &sizes, DType dtype, CopySide from, CopySide to,
                std::vector<LoweredStep> &steps, llvm::ArrayRef<bool> lasting = {});

/// Appends the step that stores the one element in `value` all over `to`.
void appendFill(const Sizes &sizes, DType dtype, StepBuffer value, CopySide to,
                std::vector<LoweredStep> &steps);

/// Whether elements of `dtype` can be moved as bits.
bool isMovable(DType dtype);
/// Whether elements of `dtype` are numbers that kernels compute with, if in float32.
bool isComputable(DType dtype);
/// The unsigned integer type as wide as such elements: copies of equally wide ones are
/// one kernel.
DType bitsOf(DType dtype);

} // namespace quern::native
