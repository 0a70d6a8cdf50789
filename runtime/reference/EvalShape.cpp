//===- EvalShape.cpp - reference kernels of views and shapes --------------===//
//
// Ops that keep all elements in order (their results share the input's storage),
// and ops that compute with shapes.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/DataMovement.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/StridedCopy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

using namespace quern;
using namespace quern::reference;

Status reference::checkRank(size_t rank, const Budget &budget) {
  int64_t limit = budget.limits().maxRank;
  if (rank > static_cast<size_t>(limit))
    return resourceLimit(fmt::format("rank {} exceeds the limit of {}", rank, limit));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

/// Puts the inferred size in place of the -1 at `open`.
static Status inferDim(const Tensor &input, std::vector<int64_t> &dims, size_t open) {
  dims[open] = 1;
  CheckedSize known = CheckedSize::product(dims);
  if (!known.valid() || known.value() == 0 || input.numElements() % known.value() != 0)
    return invalidInput(fmt::format("no size in place of -1 gives {} elements beside {}",
                                    input.numElements(), known.value()));
  dims[open] = input.numElements() / known.value();
  return Status::ok();
}

Expected<std::vector<Tensor>> reference::evalReshape(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  bool allowZero = call.attributes.getInt("allowzero") != 0;
  QUERN_ASSIGN(std::vector<int64_t> dims, readInts(call.inputs[1], "shape"));
  QUERN_TRY(checkRank(dims.size(), call.budget));
  std::optional<size_t> open;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == -1) {
      if (open)
        return invalidInput("shape has more than one -1");
      open = i;
    } else if (dims[i] == 0 && !allowZero) {
      if (static_cast<int64_t>(i) >= input.rank())
        return invalidInput(fmt::format("shape copies dimension {} of {}", i, input.describe()));
      dims[i] = input.dim(static_cast<int64_t>(i));
    }
  }
  if (open)
    QUERN_TRY(inferDim(input, dims, *open));
  CheckedSize count = CheckedSize::product(dims);
  if (!count.valid() || count.value() != input.numElements())
    return invalidInput("cannot reshape " + input.describe() + " to " + formatDims(dims));
  return std::vector<Tensor>{input.reshaped(dims)};
}

Expected<std::vector<Tensor>> reference::evalFlatten(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  int64_t axis = call.attributes.getInt("axis"), rank = input.rank();
  if (axis < -rank || axis > rank)
    return invalidInput(fmt::format("axis {} is out of range for rank {}", axis, rank));
  std::span<const int64_t> dims = input.dims();
  auto split = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  CheckedSize outer = CheckedSize::product(dims.first(split));
  CheckedSize inner = CheckedSize::product(dims.subspan(split));
  if (!outer.valid() || !inner.valid())
    return resourceLimit("the flattened size of " + input.describe() + " overflows");
  return std::vector<Tensor>{input.reshaped({outer.value(), inner.value()})};
}

Expected<std::vector<Tensor>> reference::evalSqueeze(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  std::vector<bool> removed(input.dims().size());
  if (call.inputs[1].isPresent()) {
    QUERN_ASSIGN(std::vector<int64_t> given, readInts(call.inputs[1], "axes"));
    QUERN_ASSIGN(std::vector<int64_t> axes, resolveAxes(given, input.rank()));
    for (int64_t axis : axes) {
      if (input.dim(axis) != 1)
        return invalidInput(fmt::format("dimension {} of {} is not 1", axis, input.describe()));
      removed[axis] = true;
    }
  } else {
    for (size_t d = 0; d < removed.size(); ++d)
      removed[d] = input.dims()[d] == 1;
  }
  std::vector<int64_t> dims;
  for (size_t d = 0; d < removed.size(); ++d)
    if (!removed[d])
      dims.push_back(input.dims()[d]);
  return std::vector<Tensor>{input.reshaped(dims)};
}

Expected<std::vector<Tensor>> reference::evalUnsqueeze(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(std::vector<int64_t> given, readInts(call.inputs[1], "axes"));
  size_t rank = input.dims().size() + given.size();
  QUERN_TRY(checkRank(rank, call.budget));
  QUERN_ASSIGN(std::vector<int64_t> axes, resolveAxes(given, static_cast<int64_t>(rank)));
  // Axes count in the result: mark the new ones, then fill in the others.
  std::vector<int64_t> dims(rank, -1);
  for (int64_t axis : axes)
    dims[axis] = 1;
  auto next = input.dims().begin();
  for (int64_t &dim : dims)
    if (dim < 0)
      dim = *next++;
  return std::vector<Tensor>{input.reshaped(dims)};
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

Expected<std::vector<Tensor>> reference::evalShape(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  int64_t rank = input.rank();
  auto bound = [&](int64_t axis) {
    return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
  };
  int64_t start = bound(call.attributes.getInt("start"));
  int64_t end = std::max(start, bound(call.attributes.getInt("end", rank)));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, DType::Int64, {end - start}));
  std::copy(input.dims().begin() + start, input.dims().begin() + end,
            result.mutableData<int64_t>());
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Range
//===----------------------------------------------------------------------===//

/// The number of elements of start, start + delta, ... before limit.
static Expected<int64_t> rangeCount(double start, double limit, double delta) {
  double count = std::ceil((limit - start) / delta);
  if (std::isnan(count) || count >= 0x1p62)
    return resourceLimit(fmt::format("a range of {:f} elements is too long", count));
  return static_cast<int64_t>(std::max(count, 0.0));
}

static Expected<int64_t> rangeCount(int64_t start, int64_t limit, int64_t delta) {
  if (delta > 0 ? limit <= start : limit >= start)
    return int64_t{0};
  // Unsigned: distances between two int64 can exceed the largest int64.
  auto from = static_cast<uint64_t>(start), to = static_cast<uint64_t>(limit);
  auto step = static_cast<uint64_t>(delta);
  uint64_t count = (delta > 0 ? to - from - 1 : from - to - 1) / (delta > 0 ? step : 0 - step) + 1;
  if (count >= uint64_t{1} << 62)
    return resourceLimit(fmt::format("a range of {} elements is too long", count));
  return static_cast<int64_t>(count);
}

static Expected<int64_t> rangeCount(uint64_t start, uint64_t limit, uint64_t delta) {
  uint64_t count = limit <= start ? 0 : (limit - start - 1) / delta + 1;
  if (count >= uint64_t{1} << 62)
    return resourceLimit(fmt::format("a range of {} elements is too long", count));
  return static_cast<int64_t>(count);
}

Expected<std::vector<Tensor>> reference::evalRange(const OpCall &call) {
  DType dtype = call.inputs[0].dtype();
  for (const Tensor &operand : call.inputs)
    if (operand.numElements() != 1 || operand.dtype() != dtype)
      return invalidInput("start, limit and delta must be scalars of one type, found " +
                          operand.describe());
  return visitNumber(dtype, [&]<typename T>() -> Expected<std::vector<Tensor>> {
    using W = Wide<T>;
    W start = widen(*call.inputs[0].data<T>()), limit = widen(*call.inputs[1].data<T>());
    W delta = widen(*call.inputs[2].data<T>());
    if (delta == 0)
      return invalidInput("the delta of a range must not be 0");
    QUERN_ASSIGN(int64_t count, rangeCount(start, limit, delta));
    QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, dtype, {count}));
    QUERN_TRY(call.budget.forParts(count, 2, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        result.mutableData<T>()[i] = narrow<T>(start + static_cast<W>(i) * delta);
    }));
    return std::vector<Tensor>{result};
  });
}

//===----------------------------------------------------------------------===//
// NonZero
//===----------------------------------------------------------------------===//

/// Whether an element is zero: -0.0 is, NaN is not.
template <typename T> static bool isZero(const T &value) { return widen(value) == Wide<T>(0); }

Expected<std::vector<Tensor>> reference::evalNonZero(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  int64_t rank = input.rank(), elements = input.numElements();
  return visitNumberOrBool(input.dtype(), [&]<typename T>() -> Expected<std::vector<Tensor>> {
    const T *data = input.data<T>();
    int64_t count = 0;
    QUERN_TRY(call.budget.forParts(elements, 1, [&](int64_t begin, int64_t end) {
      count += std::count_if(data + begin, data + end, [](const T &v) { return !isZero(v); });
    }));
    QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, DType::Int64, {rank, count}));
    int64_t *indices = result.mutableData<int64_t>();
    int64_t found = 0;
    QUERN_TRY(call.budget.forParts(elements, rank + 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (isZero(data[i]))
          continue;
        int64_t rest = i;
        for (int64_t d = rank - 1; d >= 0; --d) {
          indices[d * count + found] = rest % input.dims()[d];
          rest /= input.dims()[d];
        }
        ++found;
      }
    }));
    return std::vector<Tensor>{result};
  });
}
