//===- RowDotKernel.h - products of rows with one vector ------------------===//
//
// A matrix by a vector: lanes are neighbours along k, for a column of one element would leave all
// lanes but one of a tile of columns empty. The sums of as many rows as a vector has lanes are put
// together in the end, as a vector of neighbouring results.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/EpilogueLoads.h"

namespace quern::native {

/// What shapes the code. Buffers: the matrix, the vector, the result, the epilogue's operands,
/// which are read as of the only column: in full, or as scalars.
struct RowDotSpec {
  DType dtype = DType::Float32;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "row_dots";
  QUERN_FIELDS(dtype, epilogue)
  std::string name() const { return "row_dots" + epilogue.program.label(); }
  void emit(KernelBuilder &kb) const;
};

/// The run-time dims. A task is as many rows as a vector has lanes.
struct RowDotDims {
  int64_t rows = 1, depth = 1, rowStride = 1;
};

} // namespace quern::native
