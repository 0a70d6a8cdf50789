//===- TopKKernel.h - the largest or smallest elements of rows ------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"

namespace quern::native {

/// What shapes the code.
struct TopKSpec {
  DType dtype = DType::Float32;
  bool largest = true;

  static constexpr std::string_view kFamily = "topk";
  QUERN_FIELDS(dtype, largest)
  std::string name() const { return "topk"; }
  void emit(KernelBuilder &kb) const;
};

struct TopKShape {
  int64_t rows, length, count;
};

/// The numbers of elements are counted in 32 bits.
constexpr int64_t kMaxTopKLength = (int64_t{1} << 32) - 1;

/// The step that finds the first `count` elements of each row, in order, and their numbers
/// (int64). NaN is the largest, equal elements come in the order of the row. The length is
/// at most kMaxTopKLength; neither it nor the count is 0.
LoweredStep selectTopK(const TopKSpec &spec, const TopKShape &shape, StepBuffer input,
                       StepBuffer values, StepBuffer indices);

} // namespace quern::native
