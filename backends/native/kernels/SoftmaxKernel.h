//===- SoftmaxKernel.h - softmax along the middle of [outer, length, inner] ==//
#pragma once

#include "backends/native/kernels/ReduceKernel.h"

namespace quern::native {

/// What shapes the code of a softmax. Buffers: input, result, then the epilogue's operands, which
/// are of full size or single elements.
struct SoftmaxSpec {
  DType dtype = DType::Float32;
  /// The logarithm of the softmax.
  bool logarithm = false;
  /// inner is 1: elements of a row are contiguous.
  bool contiguous = true;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "softmax";
  QUERN_FIELDS(dtype, logarithm, contiguous, epilogue)
  std::string name() const {
    return (logarithm ? "log_softmax" : "softmax") + epilogue.program.label();
  }
  /// Exponentials wait in the result, where that has room for them, or in scratch memory.
  bool needsScratch() const { return !logarithm && !epilogue.program.ops.empty(); }
  void emit(KernelBuilder &kb) const;
};
/// The step but for the buffers of the epilogue's operands.
LoweredStep makeSoftmax(const SoftmaxSpec &spec, const RowShape &shape, StepBuffer input,
                        StepBuffer result);
/// The most scratch memory of a row, or of the columns that are computed at a time.
constexpr int64_t kMostSoftmaxScratch = 1 << 20;
int64_t bytesOfSoftmaxScratch(const SoftmaxSpec &spec, const RowShape &shape, const Target &target);

/// What shapes the code of an arg max or min. Buffers: input, result (int64).
struct ArgSpec {
  DType dtype = DType::Float32;
  bool wantMax = true;
  /// Of equal extremes the last one counts.
  bool lastOfEqual = false;
  bool contiguous = true;

  static constexpr std::string_view kFamily = "arg";
  QUERN_FIELDS(dtype, wantMax, lastOfEqual, contiguous)
  std::string name() const { return wantMax ? "arg_max" : "arg_min"; }
  void emit(KernelBuilder &kb) const;
};
LoweredStep makeArg(const ArgSpec &spec, const RowShape &shape, StepBuffer input,
                    StepBuffer result);

} // namespace quern::native
