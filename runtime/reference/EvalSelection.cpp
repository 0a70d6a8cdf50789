//===- EvalSelection.cpp - reference kernels of ops that select by value -----===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"

#include <algorithm>
#include <bit>
#include <numeric>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Unique
//===----------------------------------------------------------------------===//

namespace {
/// A tensor as [outer, length, inner] around an axis; slices are numbered along it.
struct Slices {
  int64_t outer = 1, length = 1, inner = 1;
  int64_t size() const { return outer * inner; }
  /// The place of element `i` of a slice.
  int64_t place(int64_t slice, int64_t i) const {
    return (i / inner * length + slice) * inner + i % inner;
  }
};

/// Which of some things are equal.
struct UniqueGroups {
  /// The first of each group, and how many are in it.
  std::vector<int64_t> first, counts;
  /// For each thing its group.
  std::vector<int64_t> numberOf;
};
} // namespace

/// Negative, 0 or positive as a is below, equal to or above b; NaN is above all.
template <typename T> static int compareElements(const T &a, const T &b) {
  if constexpr (std::is_same_v<T, std::string>) {
    int order = a.compare(b);
    return order < 0 ? -1 : order > 0;
  } else {
    auto x = widen(a), y = widen(b);
    if (x < y || (x == x && y != y))
      return -1;
    return x > y || (x != x && y == y) ? 1 : 0;
  }
}

template <typename T>
static int compareSlices(const Slices &slices, const T *data, int64_t a, int64_t b) {
  for (int64_t i = 0; i < slices.size(); ++i)
    if (int order = compareElements(data[slices.place(a, i)], data[slices.place(b, i)]))
      return order;
  return 0;
}

/// The numbers of slices in order, equal ones as they occur.
template <typename T>
static Expected<std::span<const int64_t>> sortSlices(const Slices &slices, const T *data,
                                                     Budget &budget) {
  CheckedSize work = CheckedSize(slices.length) *
                     CheckedSize(std::bit_width(static_cast<uint64_t>(slices.length))) *
                     CheckedSize(std::max<int64_t>(slices.size(), 1)) * CheckedSize(4);
  QUERN_TRY(budget.require(work));
  QUERN_ASSIGN(std::span<int64_t> order, budget.scratch<int64_t>(slices.length));
  QUERN_ASSIGN(std::span<int64_t> merged, budget.scratch<int64_t>(slices.length));
  std::iota(order.begin(), order.end(), 0);
  // Bottom up, so that every merge is spent before it begins.
  for (size_t width = 1; width < order.size(); width *= 2) {
    for (size_t begin = 0; begin < order.size(); begin += 2 * width) {
      size_t middle = std::min(begin + width, order.size());
      size_t end = std::min(middle + width, order.size());
      QUERN_TRY(budget.spend(static_cast<int64_t>(end - begin) *
                             std::max<int64_t>(slices.size(), 1) * 4));
      const int64_t *at = order.data();
      std::merge(at + begin, at + middle, at + middle, at + end, merged.data() + begin,
                 [&](int64_t a, int64_t b) { return compareSlices(slices, data, a, b) < 0; });
    }
    std::swap(order, merged);
  }
  return std::span<const int64_t>(order);
}

/// Groups of things in `order`, where equal ones are neighbours as they occur.
template <typename Equal>
static UniqueGroups groupsOf(std::span<const int64_t> order, Equal equal) {
  UniqueGroups groups;
  std::vector<int64_t> group(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || !equal(order[i - 1], order[i])) {
      groups.first.push_back(order[i]); // the sort is stable: the first of the equal ones
      groups.counts.push_back(0);
    }
    ++groups.counts.back();
    group[static_cast<size_t>(order[i])] = static_cast<int64_t>(groups.first.size()) - 1;
  }
  groups.numberOf = std::move(group);
  return groups;
}

/// The same groups in the order of their first ones.
static UniqueGroups orderByPlace(const UniqueGroups &groups) {
  std::vector<int64_t> byPlace(groups.first.size()), numbers(groups.first.size());
  std::iota(byPlace.begin(), byPlace.end(), 0);
  std::sort(byPlace.begin(), byPlace.end(), [&](int64_t a, int64_t b) {
    return groups.first[static_cast<size_t>(a)] < groups.first[static_cast<size_t>(b)];
  });
  UniqueGroups placed;
  for (size_t i = 0; i < byPlace.size(); ++i) {
    auto from = static_cast<size_t>(byPlace[i]);
    placed.first.push_back(groups.first[from]);
    placed.counts.push_back(groups.counts[from]);
    numbers[from] = static_cast<int64_t>(i);
  }
  for (int64_t number : groups.numberOf)
    placed.numberOf.push_back(numbers[static_cast<size_t>(number)]);
  return placed;
}

static Expected<Tensor> vectorResult(const OpCall &call, size_t number,
                                     const std::vector<int64_t> &elements) {
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(
                                  number, DType::Int64, {static_cast<int64_t>(elements.size())}));
  std::copy(elements.begin(), elements.end(), result.mutableData<int64_t>());
  return result;
}

template <typename T>
static Expected<std::vector<Tensor>> uniqueOf(const OpCall &call, const Slices &slices,
                                              Tensor::Dims dims, int64_t axis) {
  const Tensor &input = call.inputs[0];
  const T *data = input.data<T>();
  QUERN_ASSIGN(std::span<const int64_t> order, sortSlices(slices, data, call.budget));
  auto equal = [&](int64_t a, int64_t b) { return compareSlices(slices, data, a, b) == 0; };
  UniqueGroups groups = groupsOf(order, equal);
  if (call.attributes.getInt("sorted", 1) == 0)
    groups = orderByPlace(groups);
  auto count = static_cast<int64_t>(groups.first.size());
  dims[static_cast<size_t>(axis)] = count;
  QUERN_ASSIGN(Tensor values, call.allocateResultUninitialized(0, input.dtype(), dims));
  Slices to{slices.outer, count, slices.inner};
  for (int64_t slice = 0; slice < count; ++slice)
    QUERN_TRY(call.budget.forParts(slices.size(), 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        values.mutableData<T>()[to.place(slice, i)] =
            data[slices.place(groups.first[static_cast<size_t>(slice)], i)];
    }));
  QUERN_ASSIGN(Tensor indices, vectorResult(call, 1, groups.first));
  QUERN_ASSIGN(Tensor inverse, vectorResult(call, 2, groups.numberOf));
  QUERN_ASSIGN(Tensor counts, vectorResult(call, 3, groups.counts));
  return std::vector<Tensor>{values, indices, inverse, counts};
}

static Expected<std::vector<Tensor>> evalUnique(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  Slices slices{1, input.numElements(), 1};
  Tensor::Dims dims = {input.numElements()};
  int64_t axis = 0;
  if (call.attributes.has("axis")) {
    QUERN_ASSIGN(axis, resolveAxis(call.attributes.getInt("axis"), input.rank()));
    dims = input.dims();
    auto at = static_cast<size_t>(axis);
    slices = {countOf(std::span<const int64_t>(dims).first(at)), input.dim(axis),
              countOf(std::span<const int64_t>(dims).subspan(at + 1))};
  }
  if (input.dtype() == DType::String)
    return uniqueOf<std::string>(call, slices, dims, axis);
  return visitNumberOrBool(input.dtype(),
                           [&]<typename T>() { return uniqueOf<T>(call, slices, dims, axis); });
}

std::span<const EvaluatorRow> reference::selectionEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.unique", evalUnique},
  };
  return rows;
}
