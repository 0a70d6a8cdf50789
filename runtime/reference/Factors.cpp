//===- Factors.cpp - the operands of products -----------------------------===//
#include "runtime/reference/Factors.h"

#include "runtime/reference/DTypeDispatch.h"

using namespace quern;
using namespace quern::reference;

static bool isByte(DType dtype) { return dtype == DType::Int8 || dtype == DType::UInt8; }

static bool isHalf(DType dtype) { return dtype == DType::Float16 || dtype == DType::BFloat16; }

/// A copy of `factor` in a type that has all of its values.
static Expected<Tensor> convertTo(DType sums, const Tensor &factor, Budget &budget) {
  QUERN_TRY(budget.require(CheckedSize(factor.numElements())));
  QUERN_ASSIGN(Tensor copy, budget.allocateUninitialized(sums, factor.dims()));
  auto convert = [&]<typename To>(To *to) {
    return visitNumber(factor.dtype(), [&]<typename From>() {
      const From *from = factor.data<From>();
      for (int64_t i = 0; i < factor.numElements(); ++i)
        to[i] = static_cast<To>(widen(from[i]));
      return Status::ok();
    });
  };
  QUERN_TRY(sums == DType::Int32 ? convert(copy.mutableData<int32_t>())
                                 : convert(copy.mutableData<float>()));
  return copy;
}

Expected<Factors> Factors::of(const OpCall &call) {
  const Tensor &a = call.inputs[0], &b = call.inputs[1];
  DType sums = call.resultTypes.empty() ? a.dtype() : call.resultTypes[0];
  bool areBytes = isByte(a.dtype()) && isByte(b.dtype());
  if (a.dtype() == DType::Float32 && isHalf(b.dtype()) && sums == DType::Float32) {
    QUERN_ASSIGN(Tensor wide, convertTo(sums, b, call.budget));
    return Factors{a, wide};
  }
  if (a.dtype() != b.dtype() && !(areBytes && sums == DType::Int32))
    return invalidInput("operand types differ: " + a.describe() + " and " + b.describe());
  if ((areBytes && sums == DType::Int32) || (isHalf(a.dtype()) && sums == DType::Float32)) {
    Factors factors;
    QUERN_ASSIGN(factors.a, convertTo(sums, a, call.budget));
    QUERN_ASSIGN(factors.b, convertTo(sums, b, call.budget));
    return factors;
  }
  return Factors{a, b};
}
