//===- IndexedKernels.h - gathers and scatters ----------------------------===//
#pragma once

#include "backends/native/kernels/MapKernel.h"
#include "runtime/reference/Enumerations.h"

namespace quern::native {

/// What shapes the code of a gather or scatter.
struct IndexedSpec {
  bool scatters = false;
  ScatterReduction reduction = ScatterReduction::None;
  DType dtype = DType::Undefined, indexType = DType::Undefined;
  int64_t tupleLength = 1, outerRank = 0;
  /// See IndexedMove::isElement.
  bool isElement = false;

  static constexpr std::string_view kFamily = "indexed";
  QUERN_FIELDS(scatters, reduction, dtype, indexType, tupleLength, outerRank, isElement)
  bool reduces() const { return reduction != ScatterReduction::None; }
  std::string name() const { return scatters ? "scatter" : "gather"; }
  void emit(KernelBuilder &kb) const;
};

/// What an index chooses from: how many there are, and how far apart they are in the data.
struct IndexedAxis {
  int64_t size, stride;
};

/// Slices of some data that tuples of indices (int32 or int64) name, moved to or from where
/// they lie one after the other. There is a tuple and a slice for every index of a space
/// of `sizes`, outermost first.
struct IndexedMove {
  DType dtype = DType::Undefined, indexType = DType::Undefined;
  Sizes sizes;
  /// What a step along each dimension adds: to the place in the data, in elements; to the
  /// number of the tuple; to that of the slice.
  Sizes data, tuples, slices;
  /// One for each index of a tuple.
  llvm::SmallVector<IndexedAxis, 4> axes;
  /// Adjacent elements. With 0, indices are looked at and nothing is moved.
  int64_t slice = 1;
  /// A slice is one element whatever the sizes.
  bool isElement = false;
};

/// Appends the step that copies slices out of `from`. Its kernel refuses indices that are
/// out of range; negative ones count from the end.
void appendGather(const IndexedMove &move, StepBuffer from, StepBuffer indices, StepBuffer to,
                  std::vector<LoweredStep> &steps);

/// Appends the step that writes slices into `to`, or combines them with what is there. Those
/// for one place come in the order of the index space: one task does all positions that
/// can name the same element. Only numbers are combined.
void appendScatter(const IndexedMove &move, ScatterReduction reduction, StepBuffer to,
                   StepBuffer indices, StepBuffer from, std::vector<LoweredStep> &steps);

/// An index that is 0 where it is outside of [-size, size), and counts from the front.
struct CheckedIndex {
  mlir::Value index, isOutside;
};
CheckedIndex loadIndex(KernelBuilder &kb, mlir::Value pointer, DType indexType, mlir::Value size);

} // namespace quern::native
