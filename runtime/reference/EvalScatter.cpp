//===- EvalScatter.cpp - reference kernels of scatters --------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Enumerations.h"
#include "runtime/reference/Gather.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/StridedCopy.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::reference;

/// As numpy: a sum of truth values is true where one of them is, a product where both are.
static bool reduced(ScatterReduction reduction, bool element, bool update) {
  bool isAny = reduction == ScatterReduction::Add || reduction == ScatterReduction::Max;
  return isAny ? element || update : element && update;
}

/// What an element becomes; NaN is both the largest and the smallest.
template <typename T> static T reduced(ScatterReduction reduction, T element, T update) {
  Wide<T> a = widen(element), b = widen(update);
  switch (reduction) {
  case ScatterReduction::None:
    return update;
  case ScatterReduction::Add:
    return narrow<T>(a + b);
  case ScatterReduction::Mul:
    return narrow<T>(a * b);
  case ScatterReduction::Max:
    return a != a || a > b ? element : update;
  case ScatterReduction::Min:
    return a != a || a < b ? element : update;
  }
  return update;
}

/// Calls `scatter` with the C++ type of the elements and the function of an element
/// and its update that gives the new element.
template <typename Scatter>
static Status visitReduction(ScatterReduction reduction, DType dtype, Scatter &&scatter) {
  if (reduction == ScatterReduction::None)
    return visitStorage(dtype, [&]<typename T>() {
      return scatter.template operator()<T>([](const T &, const T &update) { return update; });
    });
  return visitNumberOrBool(dtype, [&]<typename T>() {
    return scatter.template operator()<T>(
        [reduction](T element, T update) { return reduced(reduction, element, update); });
  });
}

/// The result with what it starts from: the elements of operand 0.
static Expected<Tensor> copyOfInput(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  StridedBox whole{0, rowMajorStrides(input.dims())};
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), input.dims()));
  QUERN_TRY(copyBox(result, whole, input, whole, input.dims(), call.budget));
  return result;
}

static Status checkUpdates(const OpCall &call, std::span<const int64_t> wanted) {
  const Tensor &input = call.inputs[0], &updates = call.inputs[2];
  if (updates.dtype() != input.dtype() || !std::ranges::equal(updates.dims(), wanted))
    return invalidInput(fmt::format("updates must be {} {}, found {}", dtypeName(input.dtype()),
                                    formatDims(wanted), updates.describe()));
  return Status::ok();
}

Expected<std::vector<Tensor>> reference::evalScatterElements(const OpCall &call) {
  const Tensor &input = call.inputs[0], &updates = call.inputs[2];
  auto reduction = call.attributes.getEnum("reduction", ScatterReduction::None);
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis"), input.rank()));
  QUERN_TRY(checkElementIndices(input, call.inputs[1], axis));
  QUERN_TRY(checkUpdates(call, call.inputs[1].dims()));
  QUERN_ASSIGN(Tensor indices, checkedIndices(call.inputs[1], input.dim(axis), call.budget));
  QUERN_ASSIGN(Tensor result, copyOfInput(call));
  std::vector<int64_t> strides = rowMajorStrides(input.dims());
  int64_t step = std::exchange(strides[axis], 0);
  IndexWalk rest(indices.dims(), strides);
  QUERN_TRY(visitReduction(reduction, input.dtype(), [&]<typename T>(auto combine) {
    return call.budget.forParts(indices.numElements(), 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i, rest.next()) {
        T &element = result.mutableData<T>()[rest.offset() + indices.data<int64_t>()[i] * step];
        element = combine(element, updates.data<T>()[i]);
      }
    });
  }));
  return std::vector<Tensor>{result};
}

Expected<std::vector<Tensor>> reference::evalScatterND(const OpCall &call) {
  const Tensor &input = call.inputs[0], &updates = call.inputs[2];
  auto reduction = call.attributes.getEnum("reduction", ScatterReduction::None);
  QUERN_ASSIGN(IndexedSlices slices, slicesAt(input, call.inputs[1], 0, call.budget));
  QUERN_TRY(checkUpdates(call, slices.dims));
  QUERN_ASSIGN(Tensor result, copyOfInput(call));
  if (updates.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_TRY(visitReduction(reduction, input.dtype(), [&]<typename T>(auto combine) {
    const T *update = updates.data<T>();
    for (int64_t offset : slices.offsets.elementsAs<int64_t>()) {
      QUERN_TRY(call.budget.spend(slices.size + 4));
      T *slice = result.mutableData<T>() + offset;
      std::transform(slice, slice + slices.size, update, slice, combine);
      update += slices.size;
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}
