//===- EvalQuantProducts.cpp - reference kernels of integer products ------===//
//
// The kernels of nn.matmul and nn.conv, on int32 copies of their operands from which zero
// points are subtracted: so what lies beyond the edges of an image, 0, is its zero point.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/Conv.h"
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Factors.h"
#include "runtime/reference/Indexing.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::reference;

/// The element types of 8 bits.
template <typename Visitor> static Status visitByte(DType dtype, Visitor &&visitor) {
  if (dtype == DType::Int8)
    return visitor.template operator()<int8_t>();
  if (dtype == DType::UInt8)
    return visitor.template operator()<uint8_t>();
  return unsupportedDType(dtype);
}

/// `factor` - `zero` as int32. A zero point of `zeroDims` broadcasts to the factor.
static Expected<Tensor> centred(const Tensor &factor, const Tensor &zero,
                                std::vector<int64_t> zeroDims, Budget &budget) {
  if (zero.isPresent() && zero.dtype() != factor.dtype())
    return invalidInput("a zero point is " + zero.describe() + ", its factor " + factor.describe());
  if (zero.numElements() == 1 && zero.rank() <= 1)
    zeroDims.clear();
  QUERN_ASSIGN(std::vector<int64_t> common, broadcastDims(zeroDims, factor.dims()));
  if (common != factor.dims())
    return invalidInput(fmt::format("a zero point does not fit: {} to {}", formatDims(zeroDims),
                                    formatDims(factor.dims())));
  QUERN_TRY(budget.require(CheckedSize(factor.numElements())));
  QUERN_ASSIGN(Tensor result, budget.allocateUninitialized(DType::Int32, factor.dims()));
  QUERN_TRY(visitByte(factor.dtype(), [&]<typename T>() {
    const T *from = factor.data<T>();
    int32_t *to = result.mutableData<int32_t>();
    IndexWalk zeroAt(factor.dims(), broadcastStrides(zeroDims, factor.dims()));
    return budget.forParts(factor.numElements(), 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i, zeroAt.next())
        to[i] =
            int32_t{from[i]} - (zero.isPresent() ? int32_t{zero.data<T>()[zeroAt.offset()]} : 0);
    });
  }));
  return result;
}

/// The dims of a zero point: as a vector it is along the dimension that `after` others follow.
static std::vector<int64_t> dimsAlong(const Tensor &zero, int64_t after) {
  if (!zero.isPresent())
    return {};
  std::vector<int64_t> dims = zero.dims();
  if (dims.size() == 1)
    dims.insert(dims.end(), static_cast<size_t>(after), 1);
  return dims;
}

/// For each row of a and each column of b.
static Expected<std::vector<Tensor>> evalMatMulInteger(const OpCall &call) {
  const Tensor &aZero = call.inputs[2], &bZero = call.inputs[3];
  QUERN_ASSIGN(Tensor a, centred(call.inputs[0], aZero, dimsAlong(aZero, 1), call.budget));
  QUERN_ASSIGN(Tensor b, centred(call.inputs[1], bZero, dimsAlong(bZero, 0), call.budget));
  std::array<Tensor, 2> factors = {a, b};
  return evalMatMul({call.opName, call.attributes, std::span<const Tensor>(factors),
                     call.resultTypes, call.budget, call.places});
}

/// For each output channel, of the weights.
static Expected<std::vector<Tensor>> evalConvInteger(const OpCall &call) {
  const Tensor &input = call.inputs[0], &weights = call.inputs[1];
  const Tensor &inputZero = call.inputs[2], &weightsZero = call.inputs[3];
  QUERN_ASSIGN(Tensor x, centred(input, inputZero, dimsAlong(inputZero, 0), call.budget));
  int64_t after = std::max<int64_t>(weights.rank() - 1, 0);
  QUERN_ASSIGN(Tensor w, centred(weights, weightsZero, dimsAlong(weightsZero, after), call.budget));
  Attributes attributes;
  for (const char *name : {"strides", "dilations", "pads"})
    attributes.set(name, call.attributes.getInts(name));
  attributes.set("group", call.attributes.getInt("group", 1));
  attributes.set("auto_pad", call.attributes.getInt("auto_pad"));
  std::array<Tensor, 3> operands = {x, w, call.inputs[4]};
  return evalConv({call.opName, attributes, std::span<const Tensor>(operands), call.resultTypes,
                   call.budget, call.places});
}

std::span<const EvaluatorRow> reference::quantProductEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.conv_integer", evalConvInteger},
      {"nn.matmul_integer", evalMatMulInteger},
  };
  return rows;
}
