//===- ReduceKernel.h - reductions of [outer, length, inner] --------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/EpilogueLoads.h"
#include "backends/native/kernels/RowReduction.h"
#include "runtime/reference/Enumerations.h"

namespace quern::native {

/// A tensor seen as [outer, length, inner], to work along its middle.
struct RowShape {
  int64_t outer = 1, length = 1, inner = 1;
};

/// What shapes the code of a reduction. Buffers: input, result, the epilogue's operands, then the
/// inputs of the prologue but the first.
struct ReduceSpec {
  ReduceKind kind = ReduceKind::Sum;
  /// Of what is reduced.
  DType dtype = DType::Float32;
  /// What is made of an element before it is reduced; other inputs are single elements or tables.
  ScalarProgram prologue;
  /// inner is 1: elements of a row are contiguous.
  bool contiguous = true;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "reduce";
  QUERN_FIELDS(kind, dtype, prologue, contiguous, epilogue)
  /// "reduce_div", "cast_reduce".
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// The step that reduces `input`; the operands of its epilogue and its prologue are still to be
/// added to the buffers. They have no rows, and the column of result element i is i modulo
/// `channels`.
LoweredStep makeReduction(const ReduceSpec &spec, const RowShape &shape, int64_t channels,
                          StepBuffer input, StepBuffer result);

/// Splits [outer, length, inner] into tasks: rows, or chunks of columns when
/// inner is above 1. Sets tasks, grain and bytes of `step` and returns the dims
/// that RowPieces reads, in the order of RowDim.
std::vector<int64_t> planRowTasks(const RowShape &shape, DType dtype, int64_t passes,
                                  LoweredStep &step);
/// Positions in these dims; a kernel's own follow from kRowDims on.
enum RowDim { kRowLength, kRowInner, kRowChunk, kRowChunks, kRowDims };

/// The most columns of a piece, but for linesAtOnce: a vector, or a cache line.
int64_t mostColumnsOfPiece(const Target &target, DType dtype);

/// A piece of a task: a row (contiguous; `lanes` is of no meaning), or `lanes`
/// neighbouring columns of which `active` exist. `input` and `result` are element
/// offsets of the piece in [outer, length, inner] and [outer, inner].
struct RowPiece {
  mlir::Value input, result;
  int64_t lanes = 0;
  mlir::Value active;
};
/// The tensor in buffer 0, piece by piece; what kernels on rows are built with.
class RowPieces {
public:
  /// Elements of type `stored` are reduced as `dtype`.
  RowPieces(KernelBuilder &kb, bool contiguous, DType dtype, DType stored)
      : kb(kb), contiguous(contiguous), dtype(dtype), stored(stored) {}
  RowPieces(KernelBuilder &kb, bool contiguous, DType dtype)
      : RowPieces(kb, contiguous, dtype, dtype) {}

  /// Calls `body` for the pieces of every task. Of columns these are cache lines where there are so
  /// many, and before them pieces of `linesAtOnce` lines.
  void forEachPiece(const std::function<void(const RowPiece &)> &body,
                    int64_t linesAtOnce = 1) const;
  /// Reduces a piece: its row, or each of its columns.
  mlir::Value reduce(const RowPiece &piece, Combine kind, const ElementMap &map) const;

private:
  KernelBuilder &kb;
  bool contiguous;
  DType dtype, stored;
};

} // namespace quern::native
