//===- EvalReduction.cpp - reference kernels of reductions ----------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Enumerations.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/Reduction.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Reduce
//===----------------------------------------------------------------------===//

namespace {

/// The work of each element of the input.
constexpr int64_t kReduceWork = 8;
constexpr int64_t kSoftmaxWork = 32;

/// Whether `a` comes before `b`, the best so far: NaN before all numbers.
template <typename W> bool better(W a, W b, bool wantMax) {
  if (a != a)
    return b == b;
  return wantMax ? a > b : a < b;
}

/// Maximum or minimum; the worst value of the element type when there are none.
template <typename T> Wide<T> extreme(std::span<const Wide<T>> values, bool wantMax) {
  using Range = std::numeric_limits<T>;
  Wide<T> best;
  if constexpr (isFloatType<T>)
    best = wantMax ? -INFINITY : INFINITY;
  else
    best = widen(wantMax ? Range::lowest() : Range::max());
  for (Wide<T> v : values)
    if (better(v, best, wantMax))
      best = v;
  return best;
}

/// The sum of f(value) over all values.
template <typename W, typename F> auto sumOf(std::span<const W> values, F f) {
  decltype(f(W())) sum = 0;
  for (W v : values)
    sum += f(v);
  return sum;
}

/// log(sum(exp(v))), shifted by the maximum so that exp does not overflow.
template <typename W> double logSumExp(std::span<const W> values) {
  double shift = -INFINITY;
  for (W v : values)
    shift = std::max(shift, static_cast<double>(v));
  if (std::isinf(shift)) // of infinities (or of nothing) the sum is exact without a shift
    shift = 0;
  return shift +
         std::log(sumOf(values, [&](W v) { return std::exp(static_cast<double>(v) - shift); }));
}

/// Reduces the elements behind one result element. Integer means truncate; the
/// mean of no integers is 0.
template <typename T> T reduceValues(ReduceKind kind, std::span<const Wide<T>> values) {
  using W = Wide<T>;
  auto same = [](W v) { return v; };
  auto square = [](W v) { return static_cast<W>(v * v); };
  auto toDouble = [](W v) { return static_cast<double>(v); };
  switch (kind) {
  case ReduceKind::Sum:
    return narrow<T>(sumOf(values, same));
  case ReduceKind::Mean: {
    if (!isFloatType<T> && values.empty())
      return T();
    return narrow<T>(sumOf(values, same) / static_cast<W>(values.size()));
  }
  case ReduceKind::Max:
  case ReduceKind::Min:
    return narrow<T>(extreme<T>(values, kind == ReduceKind::Max));
  case ReduceKind::Prod:
    return narrow<T>(std::accumulate(values.begin(), values.end(), W(1), std::multiplies<W>()));
  case ReduceKind::L1:
    return narrow<T>(sumOf(values, [](W v) { return v < W(0) ? static_cast<W>(-v) : v; }));
  case ReduceKind::L2:
    return fromDouble<T>(std::sqrt(
        sumOf(values, [](W v) { return static_cast<double>(v) * static_cast<double>(v); })));
  case ReduceKind::LogSum:
    return fromDouble<T>(std::log(sumOf(values, toDouble)));
  case ReduceKind::LogSumExp:
    return fromDouble<T>(logSumExp(values));
  case ReduceKind::SumSquare:
    return narrow<T>(sumOf(values, square));
  }
  return T();
}

/// How a reduction divides the dimensions of its input.
struct ReducePlan {
  std::vector<int64_t> keptDims, keptStrides;
  std::vector<int64_t> reducedDims, reducedStrides;
  std::vector<int64_t> resultDims;
};

ReducePlan planReduce(std::span<const int64_t> dims, std::span<const int64_t> axes, bool keepDims) {
  std::vector<int64_t> strides = rowMajorStrides(dims);
  ReducePlan plan;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) == axes.end()) {
      plan.keptDims.push_back(dims[d]);
      plan.keptStrides.push_back(strides[d]);
      plan.resultDims.push_back(dims[d]);
    } else {
      plan.reducedDims.push_back(dims[d]);
      plan.reducedStrides.push_back(strides[d]);
      if (keepDims)
        plan.resultDims.push_back(1);
    }
  }
  return plan;
}

} // namespace

/// The axes to reduce: all when none are given.
static Expected<std::vector<int64_t>> reduceAxes(const Tensor &input, const Tensor &axesOperand) {
  std::vector<int64_t> axes;
  if (axesOperand.isPresent()) {
    QUERN_ASSIGN(axes, readInts(axesOperand, "axes"));
    QUERN_ASSIGN(axes, resolveAxes(axes, input.rank()));
  }
  if (axes.empty()) {
    axes.resize(static_cast<size_t>(input.rank()));
    std::iota(axes.begin(), axes.end(), 0);
  }
  return axes;
}

static Expected<std::vector<Tensor>> evalReduce(const OpCall &call) {
  const Tensor &input = call.inputs[0], &axesOperand = call.inputs[1];
  ReduceKind kind = call.attributes.getEnum("kind", ReduceKind::Sum);
  if (input.dtype() == DType::Bool && kind != ReduceKind::Max && kind != ReduceKind::Min)
    return unsupportedDType(input.dtype());
  bool noAxes = !axesOperand.isPresent() || axesOperand.numElements() == 0;
  if (noAxes && call.attributes.getInt("noop_with_empty_axes"))
    return std::vector<Tensor>{input};
  QUERN_ASSIGN(std::vector<int64_t> axes, reduceAxes(input, axesOperand));
  ReducePlan plan = planReduce(input.dims(), axes, call.attributes.getInt("keepdims", 1));
  QUERN_TRY(call.budget.require(CheckedSize(input.numElements()) * CheckedSize(kReduceWork)));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), plan.resultDims));
  QUERN_TRY(visitNumberOrBool(input.dtype(), [&]<typename T>() {
    if (result.numElements() == 0) // however many there would be to reduce
      return Status::ok();
    T *out = result.mutableData<T>();
    IndexWalk kept(plan.keptDims, plan.keptStrides);
    IndexWalk reduced(plan.reducedDims, plan.reducedStrides);
    int64_t count = countOf(plan.reducedDims);
    QUERN_ASSIGN(std::span<Wide<T>> values, call.budget.scratch<Wide<T>>(count));
    for (; !kept.done(); kept.next()) {
      QUERN_TRY(call.budget.spend(8));
      reduced.restart();
      QUERN_TRY(call.budget.forParts(count, kReduceWork, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i, reduced.next())
          values[i] = widen(input.data<T>()[kept.offset() + reduced.offset()]);
      }));
      *out++ = reduceValues<T>(kind, values);
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

namespace {
/// A tensor seen as [outer, length, inner], to work along its middle.
struct Rows {
  int64_t outer;
  int64_t length;
  int64_t inner;
};
} // namespace

static Rows rowsAlong(std::span<const int64_t> dims, int64_t begin, int64_t end) {
  return {countOf(dims.subspan(0, begin)), countOf(dims.subspan(begin, end - begin)),
          countOf(dims.subspan(end))};
}

/// Replaces `row` by its softmax, or by the logarithm of that.
static void softmaxRow(std::span<double> row, bool logarithm) {
  double largest = -INFINITY;
  for (double v : row)
    largest = std::max(largest, v);
  double sum = 0;
  for (double v : row)
    sum += std::exp(v - largest);
  for (double &v : row)
    v = logarithm ? v - largest - std::log(sum) : std::exp(v - largest) / sum;
}

static Expected<std::vector<Tensor>> evalSoftmax(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  bool trailing = call.attributes.getInt("trailing");
  bool logarithm = call.attributes.getInt("logarithm");
  int64_t axis = call.attributes.getInt("axis", -1), rank = input.rank();
  // A trailing softmax may begin past the last dimension: each row is one element.
  if (!trailing || axis != rank) {
    QUERN_ASSIGN(axis, resolveAxis(axis, rank));
  }
  QUERN_TRY(call.budget.require(CheckedSize(input.numElements()) * CheckedSize(kSoftmaxWork)));
  Rows rows = rowsAlong(input.dims(), axis, trailing ? rank : axis + 1);
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), input.dims()));
  QUERN_TRY(visitFloat(input.dtype(), [&]<typename T>() {
    if (result.numElements() == 0)
      return Status::ok();
    QUERN_ASSIGN(std::span<double> row, call.budget.scratch<double>(rows.length));
    for (int64_t i = 0; i < rows.outer * rows.inner; ++i) {
      int64_t start = i / rows.inner * rows.length * rows.inner + i % rows.inner;
      QUERN_TRY(call.budget.spend(8 + kSoftmaxWork * rows.length));
      for (int64_t j = 0; j < rows.length; ++j)
        row[j] = widen(input.data<T>()[start + j * rows.inner]);
      softmaxRow(row, logarithm);
      for (int64_t j = 0; j < rows.length; ++j)
        result.mutableData<T>()[start + j * rows.inner] = narrow<T>(row[j]);
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Arg max and arg min
//===----------------------------------------------------------------------===//

static Expected<std::vector<Tensor>> evalArgReduce(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  bool wantMax = call.attributes.getEnum("kind", ReduceKind::Max) == ReduceKind::Max;
  bool lastOfEqual = call.attributes.getInt("select_last_index");
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis"), input.rank()));
  int64_t axes[] = {axis};
  ReducePlan plan = planReduce(input.dims(), axes, call.attributes.getInt("keepdims", 1));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, DType::Int64, plan.resultDims));
  int64_t length = plan.reducedDims[0], stride = plan.reducedStrides[0];
  if (length == 0 && result.numElements() > 0)
    return invalidInput(fmt::format("dimension {} is empty", axis));
  QUERN_TRY(visitNumber(input.dtype(), [&]<typename T>() {
    int64_t *out = result.mutableData<int64_t>();
    for (IndexWalk kept(plan.keptDims, plan.keptStrides); !kept.done(); kept.next()) {
      QUERN_TRY(call.budget.spend(8 + 3 * length));
      const T *row = input.data<T>() + kept.offset();
      int64_t best = 0;
      for (int64_t j = 1; j < length; ++j) {
        auto candidate = widen(row[j * stride]), leader = widen(row[best * stride]);
        if (better(candidate, leader, wantMax) ||
            (lastOfEqual && !better(leader, candidate, wantMax)))
          best = j;
      }
      *out++ = best;
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Running sums and products
//===----------------------------------------------------------------------===//

static Expected<std::vector<Tensor>> evalCumulate(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  bool exclusive = call.attributes.getInt("exclusive"), reverse = call.attributes.getInt("reverse");
  bool isSum = call.attributes.getEnum("kind", ReduceKind::Sum) == ReduceKind::Sum;
  QUERN_ASSIGN(std::vector<int64_t> axes, readInts(call.inputs[1], "axis"));
  if (axes.size() != 1)
    return invalidInput(fmt::format("axis must be one number, found {}", axes.size()));
  QUERN_ASSIGN(int64_t axis, resolveAxis(axes[0], input.rank()));
  Rows rows = rowsAlong(input.dims(), axis, axis + 1);
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), input.dims()));
  QUERN_TRY(visitNumber(input.dtype(), [&]<typename T>() {
    if (result.numElements() == 0)
      return Status::ok();
    for (int64_t i = 0; i < rows.outer * rows.inner; ++i) {
      int64_t start = i / rows.inner * rows.length * rows.inner + i % rows.inner;
      Wide<T> running = isSum ? 0 : 1;
      QUERN_TRY(call.budget.forParts(rows.length, 4, [&](int64_t begin, int64_t end) {
        for (int64_t j = begin; j < end; ++j) {
          int64_t at = start + (reverse ? rows.length - 1 - j : j) * rows.inner;
          Wide<T> before = running, x = widen(input.data<T>()[at]);
          running = isSum ? before + x : before * x;
          result.mutableData<T>()[at] = narrow<T>(exclusive ? before : running);
        }
      }));
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::reductionEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.arg_reduce", evalArgReduce}, {"nn.cumulate", evalCumulate}, {"nn.reduce", evalReduce},
      {"nn.softmax", evalSoftmax},      {"nn.topk", evalTopK},
  };
  return rows;
}
