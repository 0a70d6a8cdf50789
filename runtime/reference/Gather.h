//===- Gather.h - kernels of the gather family ----------------------------===//
//
// The family's table is in EvalGather.cpp; here is what its files share.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/reference/Evaluator.h"

namespace quern::reference {

// EvalGather.cpp

/// Indices as int64 in [0, size).
Expected<Tensor> checkedIndices(const Tensor &indices, int64_t size, Budget &budget);

/// An error unless `indices` fits into `input` but along `axis`.
Status checkElementIndices(const Tensor &input, const Tensor &indices, int64_t axis);

/// Slices of a tensor, one for each index tuple.
struct IndexedSlices {
  /// The dimensions of all slices together.
  std::vector<int64_t> dims;
  /// The elements of a slice, which are consecutive.
  int64_t size = 0;
  /// Where each slice begins, in the order of the tuples.
  Tensor offsets;
};
/// The slices of `input` at the tuples in the last dimension of `indices`, after
/// `batchDims` dimensions that both have in common.
Expected<IndexedSlices> slicesAt(const Tensor &input, const Tensor &indices, int64_t batchDims,
                                 Budget &budget);

// EvalScatter.cpp
Expected<std::vector<Tensor>> evalScatterElements(const OpCall &call);
Expected<std::vector<Tensor>> evalScatterND(const OpCall &call);

} // namespace quern::reference
