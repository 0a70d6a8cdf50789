//===- EvalTopK.cpp - the largest elements along an axis ------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/Reduction.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::reference;

namespace {
/// The work of each element: few get into the heap.
constexpr int64_t kTopKWork = 8;

/// The order of the elements of a row: NaN is the largest, of equal ones the first leads.
template <typename T> struct RankOrder {
  const T *row;
  int64_t stride;
  bool largest;

  static bool above(Wide<T> a, Wide<T> b) { return a > b || (a != a && b == b); }
  bool operator()(int64_t i, int64_t j) const {
    Wide<T> a = widen(row[i * stride]), b = widen(row[j * stride]);
    if (largest ? above(a, b) : above(b, a))
      return true;
    return i < j && !(largest ? above(b, a) : above(a, b));
  }
};
} // namespace

/// Puts the indices of the first elements of a row into `best`, in order. A heap with the
/// last of them on top: each step is short, so that a long row can be ended.
template <typename T>
static Status selectRow(const RankOrder<T> &order, int64_t length, std::span<int64_t> best,
                        Budget &budget) {
  auto k = static_cast<int64_t>(best.size());
  auto first = best.begin();
  QUERN_TRY(budget.forParts(length, kTopKWork, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (i < k) {
        best[i] = i;
        std::push_heap(first, first + i + 1, order);
      } else if (order(i, best[0])) {
        std::pop_heap(first, best.end(), order);
        best[k - 1] = i;
        std::push_heap(first, best.end(), order);
      }
    }
  }));
  return budget.forParts(k, kTopKWork, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::pop_heap(first, best.end() - i, order);
  });
}

static Expected<int64_t> readCount(const Tensor &operand, int64_t length) {
  QUERN_ASSIGN(std::vector<int64_t> k, readInts(operand, "k"));
  if (k.size() != 1)
    return invalidInput(fmt::format("k must have one element, found {}", k.size()));
  if (k[0] < 0 || k[0] > length)
    return invalidInput(
        fmt::format("k is {}, but there are {} elements along the axis", k[0], length));
  return k[0];
}

Expected<std::vector<Tensor>> reference::evalTopK(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  bool largest = call.attributes.getInt("largest", 1);
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis", -1), input.rank()));
  int64_t length = input.dim(axis);
  QUERN_ASSIGN(int64_t k, readCount(call.inputs[1], length));
  std::vector<int64_t> dims = input.dims(), rowDims = input.dims(),
                       from = rowMajorStrides(input.dims());
  dims[axis] = k;
  rowDims[axis] = 1;
  QUERN_TRY(call.budget.require(CheckedSize(input.numElements()) * CheckedSize(kTopKWork)));
  QUERN_ASSIGN(Tensor values, call.allocateResultUninitialized(0, input.dtype(), dims));
  QUERN_ASSIGN(Tensor indices, call.allocateResultUninitialized(1, DType::Int64, dims));
  QUERN_TRY(visitNumber(input.dtype(), [&]<typename T>() {
    if (values.numElements() == 0)
      return Status::ok();
    QUERN_ASSIGN(std::span<int64_t> best, call.budget.scratch<int64_t>(k));
    IndexWalk to(rowDims, rowMajorStrides(dims));
    for (IndexWalk row(rowDims, from); !row.done(); row.next(), to.next()) {
      RankOrder<T> order{input.data<T>() + row.offset(), from[axis], largest};
      QUERN_TRY(selectRow(order, length, best, call.budget));
      // Both have the same dimensions after the axis, and so the same stride along it.
      for (int64_t i = 0; i < k; ++i) {
        int64_t place = to.offset() + i * from[axis];
        values.mutableData<T>()[place] = order.row[best[i] * from[axis]];
        indices.mutableData<int64_t>()[place] = best[i];
      }
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{values, indices};
}
