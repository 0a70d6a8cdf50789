//===- CumulateKernel.h - running sums and products -----------------------===//
#pragma once

#include "backends/native/kernels/ReduceKernel.h"

namespace quern::native {

/// What shapes the code. Floats of 32 and 64 bits run in float64, half types in float32.
struct CumulateSpec {
  DType dtype = DType::Float32;
  /// A sum, or a product.
  bool isSum = true;
  /// Of the elements before each; from the end.
  bool exclusive = false, reverse = false;
  /// inner is 1: elements of a row are contiguous.
  bool contiguous = true;
  /// Where only the run knows the axis: the rank of the tensor, and the type of the number.
  int64_t openRank = 0;
  DType axisType = DType::Undefined;

  static constexpr std::string_view kFamily = "cumulate";
  QUERN_FIELDS(dtype, isSum, exclusive, reverse, contiguous, openRank, axisType)
  std::string name() const { return "cumulate"; }
  void emit(KernelBuilder &kb) const;
};

/// The step that runs along the middle of [outer, length, inner], none of which is 0.
LoweredStep makeCumulate(const CumulateSpec &spec, const RowShape &shape, StepBuffer input,
                         StepBuffer result);

/// The step that reads the axis, counted from either end; one task. It refuses an axis that
/// there is not.
LoweredStep makeCumulateAlong(const CumulateSpec &spec, llvm::ArrayRef<int64_t> sizes,
                              StepBuffer input, StepBuffer axis, StepBuffer result);

} // namespace quern::native
