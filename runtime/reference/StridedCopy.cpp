//===- StridedCopy.cpp - moving elements between tensors ------------------===//
#include "runtime/reference/StridedCopy.h"

#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Indexing.h"

#include <algorithm>

using namespace quern;
using namespace quern::reference;

namespace {

/// One dimension of a box in two tensors.
struct BoxAxis {
  int64_t size;
  int64_t to;
  int64_t from;
};

/// The box with its dimensions of size 1 left out and with those merged that
/// are one run on both sides. Has at least one dimension.
std::vector<BoxAxis> mergedAxes(std::span<const int64_t> dims, std::span<const int64_t> to,
                                std::span<const int64_t> from) {
  std::vector<BoxAxis> axes;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1)
      continue;
    if (!axes.empty() && axes.back().to == dims[d] * to[d] && axes.back().from == dims[d] * from[d])
      axes.back() = {axes.back().size * dims[d], to[d], from[d]};
    else
      axes.push_back({dims[d], to[d], from[d]});
  }
  if (axes.empty())
    axes.push_back({1, 1, 1});
  return axes;
}

template <typename T> void copyRow(T *to, const T *from, const BoxAxis &axis) {
  if (axis.to == 1 && axis.from == 1) {
    std::copy_n(from, axis.size, to);
  } else if (axis.to == 1 && axis.from == 0) {
    std::fill_n(to, axis.size, *from);
  } else {
    for (int64_t i = 0; i < axis.size; ++i)
      to[i * axis.to] = from[i * axis.from];
  }
}

/// As copyRow for an axis that may be all of a tensor.
template <typename T>
Status copyLongRow(T *to, const T *from, const BoxAxis &axis, Budget &budget) {
  return budget.forParts(axis.size, 1, [&](int64_t begin, int64_t end) {
    copyRow(to + begin * axis.to, from + begin * axis.from, {end - begin, axis.to, axis.from});
  });
}

/// Copies a transposed plane: `outer` is what runs along memory in the source.
/// In square tiles, whose cache lines on both sides are used up before they go.
template <typename T>
Status copyTransposed(T *to, const T *from, BoxAxis outer, BoxAxis inner, Budget &budget) {
  constexpr int64_t kTile = 16;
  for (int64_t o0 = 0; o0 < outer.size; o0 += kTile)
    for (int64_t i0 = 0; i0 < inner.size; i0 += kTile) {
      QUERN_TRY(budget.spend(kTile * kTile));
      for (int64_t o = o0; o < std::min(o0 + kTile, outer.size); ++o)
        copyRow(to + o * outer.to + i0 * inner.to, from + o * outer.from + i0 * inner.from,
                {std::min(kTile, inner.size - i0), inner.to, inner.from});
    }
  return Status::ok();
}

/// Copies a box, the outermost axis first. A rank is at most a few dozen.
template <typename T>
Status copyAxes(T *to, const T *from, std::span<const BoxAxis> axes, Budget &budget) {
  const BoxAxis &axis = axes.front();
  if (axes.size() == 1)
    return copyLongRow(to, from, axis, budget);
  if (axes.size() == 2 && axis.from == 1)
    return copyTransposed(to, from, axis, axes[1], budget);
  for (int64_t i = 0; i < axis.size; ++i)
    QUERN_TRY(copyAxes(to + i * axis.to, from + i * axis.from, axes.subspan(1), budget));
  return Status::ok();
}

} // namespace

Status reference::copyBox(Tensor &result, const StridedBox &to, const Tensor &source,
                          const StridedBox &from, std::span<const int64_t> dims, Budget &budget) {
  if (std::find(dims.begin(), dims.end(), 0) != dims.end())
    return Status::ok();
  std::vector<BoxAxis> axes = mergedAxes(dims, to.strides, from.strides);
  return visitStorage(result.dtype(), [&]<typename T>() {
    return copyAxes(result.mutableData<T>() + to.offset, source.data<T>() + from.offset,
                    std::span<const BoxAxis>(axes), budget);
  });
}

Status reference::fillWith(Tensor &result, const Tensor &value, Budget &budget) {
  return visitStorage(result.dtype(), [&]<typename T>() {
    return budget.forParts(result.numElements(), 1, [&](int64_t begin, int64_t end) {
      std::fill_n(result.mutableData<T>() + begin, end - begin, *value.data<T>());
    });
  });
}

Status reference::takeByOffsets(Tensor &result, const Tensor &source,
                                std::span<const Tensor> offsets, Budget &budget) {
  if (result.numElements() == 0)
    return Status::ok();
  return visitStorage(result.dtype(), [&]<typename T>() {
    if (offsets.empty()) {
      *result.mutableData<T>() = *source.data<T>();
      return Status::ok();
    }
    std::span<const int64_t> row = offsets.back().elementsAs<int64_t>();
    std::vector<int64_t> outerDims(result.dims().begin(), result.dims().end() - 1);
    T *out = result.mutableData<T>();
    IndexWalk walk(outerDims, std::vector<int64_t>(outerDims.size(), 0));
    for (; !walk.done(); walk.next()) {
      const T *base = source.data<T>();
      for (size_t d = 0; d < outerDims.size(); ++d)
        base += offsets[d].data<int64_t>()[walk.index()[d]];
      QUERN_TRY(
          budget.forParts(static_cast<int64_t>(row.size()), 2, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i)
              *out++ = base[row[i]];
          }));
    }
    return Status::ok();
  });
}
