//===- RowDotKernel.h - products of rows with a vector or a few -----------===//
//
// A matrix by one vector, or a few: lanes are neighbours along k, for so few columns would leave
// most lanes of a tile of columns empty. The sums of as many results as a vector has lanes are put
// together in the end, as a vector of neighbouring results.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/EpilogueLoads.h"

namespace quern::native {

/// What shapes the code. Buffers: the matrix, the vectors, the result, the epilogue's operands.
/// Of one vector these are read as of the only column: in full, or as scalars.
struct RowDotSpec {
  DType dtype = DType::Float32;
  /// How many vectors: at most mostColumns.
  int64_t columns = 1;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "row_dots";
  QUERN_FIELDS(dtype, columns, epilogue)
  std::string name() const;
  void emit(KernelBuilder &kb) const;

  static int64_t mostColumns(const Target &target, DType dtype);
  /// Rows whose sums fill whole vectors of results.
  int64_t rowsOfRound(const Target &target) const;
  /// Rows whose sums grow together: they hide the latency of the multiply-add, and they and their
  /// addresses fit the registers. They divide rowsOfRound.
  int64_t rowsAtOnce(const Target &target) const;
};

/// The run-time dims. A task is as many rows as a vector has lanes.
struct RowDotDims {
  int64_t rows = 1, depth = 1, rowStride = 1;
  /// Between the vectors.
  int64_t columnStride = 0;
};

} // namespace quern::native
