//===- RowReduction.h - reductions inside kernels -------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"

#include <functional>

namespace quern::native {

/// How two partial results are combined. NaN wins in Max and Min. MaxNumber is a > b ? a : b,
/// one instruction where Max of floats takes three: a NaN loses as a and wins as b.
enum class Combine { Add, Multiply, Max, Min, MaxNumber };

/// The result of nothing, in all lanes.
mlir::Value identityOf(KernelBuilder &kb, Combine kind, DType dtype, int64_t lanes);
mlir::Value combine(KernelBuilder &kb, Combine kind, DType dtype, int64_t lanes, mlir::Value a,
                    mlir::Value b);

/// All lanes of `vector` combined, in a balanced tree; a scalar.
mlir::Value combineLanes(KernelBuilder &kb, Combine kind, DType dtype, mlir::Value vector,
                         int64_t lanes);
/// As many vectors as they have lanes: lane r is what all lanes of vector r combine to, in a
/// balanced tree. Half of the work of combineLanes for each.
mlir::Value combineRows(KernelBuilder &kb, Combine kind, DType dtype, KernelBuilder::Values rows);

/// What is reduced: a function of each element, of the index `at` of its first
/// lane and of the number of lanes that exist (null: all).
using ElementMap = std::function<mlir::Value(mlir::Value element, mlir::Value at, int64_t lanes,
                                             mlir::Value active)>;

/// `count` contiguous elements of type `stored`, which `map` makes `dtype` of.
struct RowRange {
  mlir::Value pointer, count;
  DType dtype = DType::Float32, stored = dtype;
};
/// Combines map(element) over a row, in several partial sums; a scalar. `map` sees every element
/// once.
mlir::Value reduceRow(KernelBuilder &kb, const RowRange &row, Combine kind, const ElementMap &map);

/// `lanes` neighbouring columns (0: one), of which `active` exist (null: all): `count` elements
/// each, `stride` apart.
struct ColumnRange {
  mlir::Value pointer, count, stride;
  DType dtype = DType::Float32;
  int64_t lanes = 0;
  mlir::Value active;
  DType stored = dtype;
};
/// The same for each of these columns; `map` gets the number of the row as `at`.
mlir::Value reduceColumns(KernelBuilder &kb, const ColumnRange &columns, Combine kind,
                          const ElementMap &map);

/// Calls `body` for the vectors of [0, count): `width` lanes at `at`, of which
/// `active` exist (null: all). What is no full vector comes masked or, where the
/// target cannot, as scalars of width 0.
using VectorBody = std::function<void(mlir::Value at, int64_t width, mlir::Value active)>;
void forEachVector(KernelBuilder &kb, mlir::Value count, DType dtype, const VectorBody &body);

} // namespace quern::native
