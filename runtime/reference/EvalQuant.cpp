//===- EvalQuant.cpp - reference kernels of quantization ------------------===//
//
// A row of elements at a time: read as doubles, which hold every element exactly, computed
// in the types that the ops say, and written.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/format.h>

#include <cmath>

using namespace quern;
using namespace quern::reference;

namespace {
/// The work of one element.
constexpr int64_t kElementWork = 24;
/// Elements that are computed together.
constexpr int64_t kChunk = 1024;

/// A scale or zero point: its elements, and which of them is that of an element of the data.
struct Parameter {
  std::span<double> values;
  /// For each dimension of the data, how far the next position's is.
  std::vector<int64_t> strides;
  /// Of the dimension along which neighbours share one, and how many do.
  size_t axis = 0;
  int64_t blockSize = 1;

  bool isScalar() const { return values.size() <= 1; }
  /// Along a dimension of the data.
  int64_t offset(size_t dim, int64_t position) const {
    return (dim == axis ? position / blockSize : position) * strides[dim];
  }
  /// Of the last dimension's first position, where the others are at `index`.
  int64_t rowOffset(std::span<const int64_t> index) const {
    int64_t sum = 0;
    for (size_t d = 0; d < index.size(); ++d)
      sum += offset(d, index[d]);
    return sum;
  }
};

/// The part of an op that is the same for both.
struct Scaling {
  Parameter scale, zeroPoint;
};
} // namespace

/// `value` as a float of type `dtype`.
static Expected<double> roundTo(DType dtype, double value) {
  return visitFloat(
      dtype, [&]<typename T>() { return Expected<double>(double(widen(narrow<T>(value)))); });
}

//===----------------------------------------------------------------------===//
// Scales and zero points
//===----------------------------------------------------------------------===//

/// The elements of a tensor from `first` on.
static Status readElements(const Tensor &tensor, int64_t first, std::span<double> out) {
  return visitCastable(tensor.dtype(), [&]<typename T>() {
    const T *in = tensor.data<T>() + first;
    for (double &value : out)
      value = static_cast<double>(widen(*in++));
    return Status::ok();
  });
}

/// The strides with which the data walks over a parameter of these dims.
static Expected<std::vector<int64_t>> parameterStrides(const Tensor &parameter, const Tensor &x,
                                                       size_t axis, int64_t blockSize) {
  std::vector<int64_t> expanded(x.dims().size(), 1);
  if (blockSize > 0 && parameter.rank() == x.rank()) {
    expanded = parameter.dims();
  } else if (blockSize == 0 && parameter.rank() == 1) {
    expanded[axis] = parameter.dim(0);
  } else {
    expanded.clear(); // it has no place
  }
  bool fits = expanded.size() == x.dims().size();
  for (size_t d = 0; fits && d < expanded.size(); ++d) {
    int64_t wanted = d == axis && blockSize > 0 ? ceilDiv(x.dims()[d], blockSize) : x.dims()[d];
    fits = expanded[d] == wanted || (expanded[d] == 1 && (d != axis || blockSize == 0));
  }
  if (!fits)
    return invalidInput(fmt::format("a scale or zero point does not fit: {} to {}",
                                    formatDims(parameter.dims()), formatDims(x.dims())));
  // One that all positions share is met again and again.
  std::vector<int64_t> strides(expanded.size(), 0);
  int64_t step = 1;
  for (size_t d = expanded.size(); d-- > 0; step *= expanded[d])
    strides[d] = expanded[d] == 1 ? 0 : step;
  return strides;
}

/// A scale or zero point as numbers of type `as`; `otherwise` where it is left out.
static Expected<Parameter> readParameter(const OpCall &call, const Tensor &tensor, DType as,
                                         double otherwise = 0) {
  const Tensor &x = call.inputs[0];
  Parameter parameter;
  // One more than there are dimensions, for data without any.
  parameter.strides.assign(x.dims().size() + 1, 0);
  if (!tensor.isPresent()) {
    QUERN_ASSIGN(parameter.values, call.budget.scratch<double>(1));
    parameter.values[0] = otherwise;
    return parameter;
  }
  QUERN_ASSIGN(parameter.values, call.budget.scratch<double>(tensor.numElements()));
  QUERN_TRY(call.budget.spend(tensor.numElements() * kElementWork));
  QUERN_TRY(readElements(tensor, 0, parameter.values));
  for (double &value : parameter.values) {
    QUERN_ASSIGN(value, roundTo(as, value));
  }
  if (tensor.rank() == 0 || (tensor.rank() == 1 && tensor.dim(0) == 1))
    return parameter;
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis"), x.rank()));
  int64_t blockSize = call.attributes.getInt("block_size");
  parameter.axis = static_cast<size_t>(axis);
  parameter.blockSize = std::max<int64_t>(blockSize, 1);
  QUERN_ASSIGN(parameter.strides, parameterStrides(tensor, x, parameter.axis, blockSize));
  return parameter;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Calls compute(value, scale, zeroPoint) for elements of the data in their order, then
/// write(first, values) with what it made of some.
template <typename Compute, typename Write>
static Status computeRows(const OpCall &call, const Scaling &by, Compute compute, Write write) {
  const Tensor &x = call.inputs[0];
  bool isOneRow = x.rank() == 0 || (by.scale.isScalar() && by.zeroPoint.isScalar());
  int64_t length = isOneRow ? x.numElements() : x.dims().back();
  std::vector<int64_t> outer;
  if (!isOneRow)
    outer.assign(x.dims().begin(), x.dims().end() - 1);
  std::array<double, kChunk> values;
  // A walk over nothing has one step.
  IndexWalk row(outer, std::vector<int64_t>(outer.size(), 0));
  for (int64_t first = 0; first < x.numElements(); first += length, row.next()) {
    int64_t scaleRow = by.scale.rowOffset(row.index());
    int64_t zeroRow = by.zeroPoint.rowOffset(row.index());
    for (int64_t begin = 0; begin < length; begin += kChunk) {
      std::span<double> part(values.data(), static_cast<size_t>(std::min(kChunk, length - begin)));
      QUERN_TRY(call.budget.spend(static_cast<int64_t>(part.size()) * kElementWork));
      QUERN_TRY(readElements(x, first + begin, part));
      for (size_t i = 0; i < part.size(); ++i) {
        int64_t position = isOneRow ? 0 : begin + static_cast<int64_t>(i);
        double scale = by.scale.values[scaleRow + by.scale.offset(outer.size(), position)];
        double zeroPoint =
            by.zeroPoint.values[zeroRow + by.zeroPoint.offset(outer.size(), position)];
        part[i] = compute(part[i], scale, zeroPoint);
      }
      QUERN_TRY(write(first + begin, std::span<const double>(part)));
    }
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// quantize
//===----------------------------------------------------------------------===//

/// Numbers as elements that saturate, from position `first` on.
static Status writeQuantized(std::span<const double> values, Tensor &result, int64_t first,
                             MiniFloatRules rules) {
  return visitCastable(result.dtype(), [&]<typename T>() {
    T *out = result.mutableData<T>() + first;
    for (double value : values)
      if constexpr (isMiniFloatType<T>)
        *out++ = T(value, rules);
      else
        *out++ = fromDouble<T>(value);
    return Status::ok();
  });
}

/// In float32 the zero point is added exactly to whatever is not beyond the range of 16 bits.
template <typename T>
static double shiftedQuotient(double x, double scale, double zeroPoint, bool rounds) {
  double quotient = widen(narrow<T>(widen(narrow<T>(x)) / scale));
  if (rounds)
    quotient = std::nearbyint(quotient);
  return static_cast<float>(static_cast<float>(quotient) + static_cast<float>(zeroPoint));
}

static Expected<std::vector<Tensor>> evalQuantize(const OpCall &call) {
  const Tensor &x = call.inputs[0];
  DType to = call.attributes.getDType("to"), precision = call.attributes.getDType("precision");
  MiniFloatRules rules{call.attributes.getInt("saturate", 1) != 0, CastRounding::Nearest};
  QUERN_TRY(call.budget.require(CheckedSize(x.numElements()) * CheckedSize(kElementWork)));
  Scaling by; // -0 without a zero point: to which alone -0 can be added and stay so
  QUERN_ASSIGN(by.scale, readParameter(call, call.inputs[1], precision));
  QUERN_ASSIGN(by.zeroPoint, readParameter(call, call.inputs[2], DType::Float32, -0.0));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, to, x.dims()));
  bool rounds = !isMiniFloat(to);
  QUERN_TRY(visitFloat(precision, [&]<typename T>() {
    return computeRows(
        call, by,
        [&](double value, double scale, double zeroPoint) {
          return shiftedQuotient<T>(value, scale, zeroPoint, rounds);
        },
        [&](int64_t first, std::span<const double> values) {
          return writeQuantized(values, result, first, rules);
        });
  }));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// dequantize
//===----------------------------------------------------------------------===//

/// x - zeroPoint as float32: of integers in int32, which wraps.
static float difference(double x, double zeroPoint, bool isInteger) {
  if (!isInteger)
    return static_cast<float>(x) - static_cast<float>(zeroPoint);
  return static_cast<float>(static_cast<int32_t>(
      static_cast<uint32_t>(static_cast<int64_t>(x) - static_cast<int64_t>(zeroPoint))));
}

static Expected<std::vector<Tensor>> evalDequantize(const OpCall &call) {
  const Tensor &x = call.inputs[0];
  DType to = call.attributes.getDType("to");
  QUERN_TRY(call.budget.require(CheckedSize(x.numElements()) * CheckedSize(kElementWork)));
  Scaling by;
  QUERN_ASSIGN(by.scale, readParameter(call, call.inputs[1], DType::Float32));
  // Those of int32 need more than float32.
  QUERN_ASSIGN(by.zeroPoint, readParameter(call, call.inputs[2], DType::Float64));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, to, x.dims()));
  bool isInteger = !isMiniFloat(x.dtype());
  QUERN_TRY(visitFloat(to, [&]<typename T>() {
    return computeRows(
        call, by,
        [&](double value, double scale, double zeroPoint) -> double {
          return difference(value, zeroPoint, isInteger) * static_cast<float>(scale);
        },
        [&](int64_t first, std::span<const double> values) {
          T *out = result.mutableData<T>() + first;
          for (double value : values)
            *out++ = narrow<T>(value);
          return Status::ok();
        });
  }));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// byte_lookup
//===----------------------------------------------------------------------===//

static Expected<std::vector<Tensor>> evalByteLookup(const OpCall &call) {
  const Tensor &x = call.inputs[0], &table = call.inputs[1];
  QUERN_TRY(call.budget.require(CheckedSize(x.numElements())));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, table.dtype(), x.dims()));
  const auto *places = static_cast<const uint8_t *>(x.rawData()),
             *entries = static_cast<const uint8_t *>(table.rawData());
  auto *out = static_cast<uint8_t *>(result.mutableRawData());
  for (int64_t first = 0; first < x.numElements(); first += kChunk) {
    int64_t end = std::min(first + kChunk, x.numElements());
    QUERN_TRY(call.budget.spend(end - first));
    for (int64_t i = first; i < end; ++i)
      out[i] = entries[places[i]];
  }
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::quantEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.byte_lookup", evalByteLookup},
      {"nn.dequantize", evalDequantize},
      {"nn.quantize", evalQuantize},
  };
  return rows;
}
