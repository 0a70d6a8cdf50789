//===- StridedCopy.h - moving elements between tensors --------------------===//
//
// What most data movement comes down to, for all element types. Operands are
// whole tensors; callers have checked that every element addressed exists.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/running/Budget.h"

#include <span>
#include <vector>

namespace quern::reference {

/// Where the elements of a box lie in a tensor: the element with index i at
/// offset + the sum of i[d] * strides[d]. Strides may be zero or negative.
struct StridedBox {
  int64_t offset = 0;
  std::vector<int64_t> strides;
};

/// Copies a box of `dims` elements from `source` into `result`, which has the
/// same element type. Runs that are contiguous on both sides move at once.
Status copyBox(Tensor &result, const StridedBox &to, const Tensor &source, const StridedBox &from,
               std::span<const int64_t> dims, Budget &budget);

/// Sets all elements of `result` to the one element of `value`.
Status fillWith(Tensor &result, const Tensor &value, Budget &budget);

/// result[i, j, ...] = source[offsets[0][i] + offsets[1][j] + ...]; one int64
/// vector for each dimension of the result.
Status takeByOffsets(Tensor &result, const Tensor &source, std::span<const Tensor> offsets,
                     Budget &budget);

} // namespace quern::reference
