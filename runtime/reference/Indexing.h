//===- Indexing.h - axes, strides and walks over tensors ------------------===//
#pragma once

#include "quern/Status.h"
#include "quern/Tensor.h"
#include "runtime/values/Strides.h"

#include <span>
#include <string_view>
#include <vector>

namespace quern::reference {

/// The axis in [0, rank); negative counts from the end. An error outside [-rank, rank).
Expected<int64_t> resolveAxis(int64_t axis, int64_t rank);
/// As resolveAxis for each of `axes`; the same axis twice is an error.
Expected<std::vector<int64_t>> resolveAxes(std::span<const int64_t> axes, int64_t rank);

/// The elements of an int32 or int64 tensor of rank 0 or 1 (shapes, axes, pads).
/// `what` names the operand in errors.
Expected<std::vector<int64_t>> readInts(const Tensor &tensor, std::string_view what);

/// The number of elements of some dimensions of an existing tensor.
int64_t countOf(std::span<const int64_t> dims);

/// The NumPy broadcast of concrete shapes, aligned at the last dimension.
Expected<std::vector<int64_t>> broadcastDims(std::span<const int64_t> a,
                                             std::span<const int64_t> b);
/// The strides with which a tensor of shape `dims` is read as one of shape
/// `result`, to which it broadcasts: 0 along repeated dimensions.
std::vector<int64_t> broadcastStrides(std::span<const int64_t> dims,
                                      std::span<const int64_t> result);

/// Walks all index tuples of `dims` in row-major order, keeping an offset that
/// moves by `strides`. For an empty walk nothing may be read: ask `done()` first.
class IndexWalk {
public:
  IndexWalk(std::vector<int64_t> dims, std::vector<int64_t> strides);

  bool done() const { return remaining == 0; }
  int64_t offset() const { return position; }
  std::span<const int64_t> index() const { return current; }
  void next();
  /// Back to the first tuple.
  void restart();

private:
  std::vector<int64_t> sizes;
  std::vector<int64_t> steps;
  std::vector<int64_t> current;
  int64_t position = 0;
  int64_t remaining = 0;
};

} // namespace quern::reference
