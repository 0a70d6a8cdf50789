//===- Indexing.cpp - axes, strides and walks over tensors ----------------===//
#include "runtime/reference/Indexing.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::reference;

Expected<int64_t> reference::resolveAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return invalidInput(fmt::format("axis {} is out of range for rank {}", axis, rank));
  return axis < 0 ? axis + rank : axis;
}

Expected<std::vector<int64_t>> reference::resolveAxes(std::span<const int64_t> axes, int64_t rank) {
  std::vector<int64_t> resolved;
  for (int64_t axis : axes) {
    QUERN_ASSIGN(int64_t positive, resolveAxis(axis, rank));
    if (std::find(resolved.begin(), resolved.end(), positive) != resolved.end())
      return invalidInput(fmt::format("axis {} is given twice", axis));
    resolved.push_back(positive);
  }
  return resolved;
}

/// More than any op has dimensions or results.
static constexpr int64_t kMaxInts = 65536;

Expected<std::vector<int64_t>> reference::readInts(const Tensor &tensor, std::string_view what) {
  bool wide = tensor.dtype() == DType::Int64;
  if (tensor.rank() > 1 || (!wide && tensor.dtype() != DType::Int32))
    return invalidInput(
        fmt::format("{} must be an int32 or int64 vector, found {}", what, tensor.describe()));
  if (tensor.numElements() > kMaxInts)
    return resourceLimit(
        fmt::format("{} has {} entries, the limit is {}", what, tensor.numElements(), kMaxInts));
  std::vector<int64_t> values(static_cast<size_t>(tensor.numElements()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = wide ? tensor.data<int64_t>()[i] : tensor.data<int32_t>()[i];
  return values;
}

int64_t reference::countOf(std::span<const int64_t> dims) {
  return CheckedSize::product(dims).value();
}

Expected<std::vector<int64_t>> reference::broadcastDims(std::span<const int64_t> a,
                                                        std::span<const int64_t> b) {
  size_t rank = std::max(a.size(), b.size());
  std::vector<int64_t> result(rank);
  for (size_t i = 1; i <= rank; ++i) {
    int64_t x = i <= a.size() ? a[a.size() - i] : 1;
    int64_t y = i <= b.size() ? b[b.size() - i] : 1;
    if (x != y && x != 1 && y != 1)
      return invalidInput("shapes " + formatDims(a) + " and " + formatDims(b) +
                          " do not broadcast");
    result[rank - i] = x == 1 ? y : x;
  }
  return result;
}

std::vector<int64_t> reference::broadcastStrides(std::span<const int64_t> dims,
                                                 std::span<const int64_t> result) {
  std::vector<int64_t> own = rowMajorStrides(dims);
  std::vector<int64_t> strides(result.size(), 0);
  for (size_t i = 1; i <= dims.size(); ++i)
    if (dims[dims.size() - i] != 1)
      strides[result.size() - i] = own[dims.size() - i];
  return strides;
}

IndexWalk::IndexWalk(std::vector<int64_t> dims, std::vector<int64_t> strides)
    : sizes(std::move(dims)), steps(std::move(strides)), current(sizes.size()) {
  restart();
}

void IndexWalk::restart() {
  std::fill(current.begin(), current.end(), 0);
  position = 0;
  remaining = countOf(sizes);
}

void IndexWalk::next() {
  --remaining;
  for (size_t i = sizes.size(); i-- > 0;) {
    position += steps[i];
    if (++current[i] < sizes[i])
      return;
    position -= steps[i] * sizes[i];
    current[i] = 0;
  }
}
