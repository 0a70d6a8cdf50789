//===- EvalElementwise.cpp - reference kernel of all elementwise ops ------===//
//
// Elements are loaded in chunks into the widest type of their class, run
// through the scalar function of the op's row, and stored: one loop for all ops
// and types. Equal shapes and scalar operands collapse into a single long row.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

/// The function of a row for elements of type `dtype`; null when there is none.
static ScalarFunction functionFor(const ScalarFunctions &functions, DType dtype) {
  if (dtype == DType::Bool)
    return functions.onBool;
  if (isFloat(dtype))
    return functions.onFloat;
  return isSignedInteger(dtype) ? functions.onSigned : functions.onUnsigned;
}

static Scalar makeScalar(double v) { return {.f = v}; }
static Scalar makeScalar(int64_t v) { return {.i = v}; }
static Scalar makeScalar(uint64_t v) { return {.u = v}; }

template <typename W> static W valueOf(Scalar s) {
  if constexpr (std::is_same_v<W, double>)
    return s.f;
  else if constexpr (std::is_same_v<W, int64_t>)
    return s.i;
  else
    return s.u;
}

/// Where the next elements of an operand are.
struct Run {
  int64_t offset;
  int64_t stride;
  int64_t count;
};

/// Loads a run of `tensor` into out[0], out[step], ... as scalars of the class
/// of `dtype`: the tensor's own type, or any other when the tensor is bool (the
/// condition of `where`).
static Status loadScalars(const Tensor &tensor, Run run, DType dtype, Scalar *out, int64_t step) {
  if (tensor.dtype() != dtype) {
    const bool *in = tensor.data<bool>() + run.offset;
    return visitNumber(dtype, [&]<typename T>() {
      for (int64_t i = 0; i < run.count; ++i)
        out[i * step] = makeScalar(static_cast<Wide<T>>(in[i * run.stride]));
      return Status::ok();
    });
  }
  return visitNumberOrBool(dtype, [&]<typename T>() {
    const T *in = tensor.data<T>() + run.offset;
    for (int64_t i = 0; i < run.count; ++i)
      out[i * step] = makeScalar(widen(in[i * run.stride]));
    return Status::ok();
  });
}

static Status storeScalars(const Scalar *values, int64_t count, Tensor &tensor, int64_t offset) {
  return visitNumberOrBool(tensor.dtype(), [&]<typename T>() {
    T *out = tensor.mutableData<T>() + offset;
    for (int64_t i = 0; i < count; ++i)
      out[i] = narrow<T>(valueOf<Wide<T>>(values[i]));
    return Status::ok();
  });
}

//===----------------------------------------------------------------------===//
// The index space
//===----------------------------------------------------------------------===//

namespace {
/// The result's index space with dimensions merged wherever all operands allow
/// it, so that rows (the last dimension) are as long as possible.
struct IndexSpace {
  std::vector<int64_t> dims;
  /// Per operand, the distance in elements along each of `dims`.
  std::vector<std::vector<int64_t>> strides;
};
} // namespace

static IndexSpace mergeDims(const TensorList &inputs, std::span<const int64_t> resultDims) {
  std::vector<std::vector<int64_t>> full;
  for (const Tensor &input : inputs)
    full.push_back(broadcastStrides(input.dims(), resultDims));
  IndexSpace space;
  space.strides.resize(inputs.size());
  for (size_t d = 0; d < resultDims.size(); ++d) {
    if (resultDims[d] == 1)
      continue;
    bool mergeable = !space.dims.empty();
    for (size_t k = 0; k < inputs.size() && mergeable; ++k)
      mergeable = space.strides[k].back() == full[k][d] * resultDims[d];
    if (mergeable)
      space.dims.back() *= resultDims[d];
    else
      space.dims.push_back(resultDims[d]);
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (mergeable)
        space.strides[k].back() = full[k][d];
      else
        space.strides[k].push_back(full[k][d]);
    }
  }
  return space;
}

/// The work of one element of the result.
static int64_t elementWork(size_t arity) { return 4 + 4 * static_cast<int64_t>(arity); }

/// Fills `result`, whose shape all inputs broadcast to, row by row.
static Status applyScalarFunction(ScalarFunction function, std::span<const double> params,
                                  const TensorList &inputs, Tensor &result, Budget &budget) {
  constexpr int64_t kChunk = 256;
  IndexSpace space = mergeDims(inputs, result.dims());
  int64_t rowLength = 1;
  std::vector<int64_t> rowStrides(inputs.size(), 0);
  if (!space.dims.empty()) {
    rowLength = space.dims.back();
    space.dims.pop_back();
    for (size_t k = 0; k < inputs.size(); ++k) {
      rowStrides[k] = space.strides[k].back();
      space.strides[k].pop_back();
    }
  }
  std::vector<IndexWalk> rows;
  for (const std::vector<int64_t> &strides : space.strides)
    rows.emplace_back(space.dims, strides);

  auto arity = static_cast<int64_t>(inputs.size());
  DType dtype = inputs.back().dtype();
  QUERN_ASSIGN(std::span<Scalar> args, budget.scratch<Scalar>(kChunk * arity));
  Scalar values[kChunk];
  for (int64_t written = 0; written < result.numElements(); written += rowLength) {
    for (int64_t begin = 0; begin < rowLength; begin += kChunk) {
      int64_t count = std::min(kChunk, rowLength - begin);
      QUERN_TRY(budget.spend(count * elementWork(inputs.size())));
      for (int64_t k = 0; k < arity; ++k) {
        Run run{rows[k].offset() + begin * rowStrides[k], rowStrides[k], count};
        QUERN_TRY(loadScalars(inputs[k], run, dtype, args.data() + k, arity));
      }
      for (int64_t i = 0; i < count; ++i)
        values[i] = function(args.data() + i * arity, params.data());
      QUERN_TRY(storeScalars(values, count, result, written + begin));
    }
    for (IndexWalk &row : rows)
      row.next();
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Strings
//===----------------------------------------------------------------------===//

namespace {
/// Numbers strings by content, so that selecting and comparing strings is
/// selecting and comparing numbers. The strings outlive it.
class StringNumbers {
public:
  Expected<Tensor> encode(const Tensor &strings, Budget &budget) {
    QUERN_ASSIGN(Tensor numbers, budget.allocate(DType::UInt64, strings.dims()));
    for (int64_t i = 0; i < strings.numElements(); ++i) {
      QUERN_TRY(budget.spend(64));
      std::string_view text = strings.data<std::string>()[i];
      auto [it, isNew] = numberOf.emplace(text, texts.size());
      if (isNew)
        texts.push_back(text);
      numbers.mutableData<uint64_t>()[i] = it->second;
    }
    return numbers;
  }

  /// The strings of `numbers`, as the result of `call`.
  Expected<Tensor> decode(const Tensor &numbers, const OpCall &call) const {
    QUERN_ASSIGN(Tensor strings, call.allocateResult(0, DType::String, numbers.dims()));
    QUERN_TRY(call.budget.spend(numbers.numElements() * 8));
    for (int64_t i = 0; i < numbers.numElements(); ++i)
      strings.mutableData<std::string>()[i] = texts[numbers.data<uint64_t>()[i]];
    return strings;
  }

private:
  std::unordered_map<std::string_view, uint64_t> numberOf;
  std::vector<std::string_view> texts;
};
} // namespace

/// `where` and `equal` on strings.
static Expected<std::vector<Tensor>> evaluateOnStrings(const OpCall &call,
                                                       const ScalarFunctions &functions,
                                                       std::span<const double> params) {
  if (call.opName != "nn.where" && call.opName != "nn.equal")
    return unsupportedDType(DType::String);
  StringNumbers strings;
  std::vector<Tensor> inputs;
  for (const Tensor &input : call.inputs) {
    inputs.push_back(input);
    if (input.dtype() == DType::String) {
      QUERN_ASSIGN(inputs.back(), strings.encode(input, call.budget));
    }
  }
  bool givesStrings = call.resultTypes[0] == DType::String;
  DType resultType = givesStrings ? DType::UInt64 : call.resultTypes[0];
  QUERN_ASSIGN(
      std::vector<Tensor> results,
      evaluateElementwise(
          {call.opName, call.attributes, inputs, {&resultType, 1}, call.budget, call.places},
          functions, params));
  if (givesStrings) {
    QUERN_ASSIGN(results[0], strings.decode(results[0], call));
  }
  return results;
}

Expected<std::vector<Tensor>> reference::evaluateElementwise(const OpCall &call,
                                                             const ScalarFunctions &functions,
                                                             std::span<const double> params) {
  // The last operand is a data operand also in `where`, whose first is bool.
  DType dtype = call.inputs.back().dtype();
  if (dtype == DType::String)
    return evaluateOnStrings(call, functions, params);
  ScalarFunction function = functionFor(functions, dtype);
  if (!function)
    return unsupportedDType(dtype);
  DType resultType = call.resultTypes[0];
  if (resultType != dtype && resultType != DType::Bool)
    return invalidInput(fmt::format("result type {} does not follow from operand type {}",
                                    dtypeName(resultType), dtypeName(dtype)));
  std::vector<int64_t> dims;
  for (const Tensor &input : call.inputs) {
    if (input.dtype() != dtype && input.dtype() != DType::Bool)
      return invalidInput(fmt::format("operand types {} and {} differ", dtypeName(input.dtype()),
                                      dtypeName(dtype)));
    QUERN_ASSIGN(dims, broadcastDims(dims, input.dims()));
  }
  QUERN_TRY(call.budget.require(CheckedSize::product(dims) *
                                CheckedSize(elementWork(call.inputs.size()))));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, resultType, std::move(dims)));
  QUERN_TRY(applyScalarFunction(function, params, call.inputs, result, call.budget));
  return std::vector<Tensor>{result};
}
