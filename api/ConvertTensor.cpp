//===- ConvertTensor.cpp - numbers of one type as another -----------------===//
#include "quern/ConvertTensor.h"

#include "runtime/reference/DTypeDispatch.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

using namespace quern;
using namespace quern::reference;

/// Whether an integer type has this number.
template <typename To> static bool holds(double value) {
  // The smallest power of two that is too large, which floats have, unlike the largest integer.
  double end = std::ldexp(1.0, std::numeric_limits<To>::digits);
  return value == std::trunc(value) && value < end && value >= (std::is_signed_v<To> ? -end : 0.0);
}

/// The element for `value`, of which `fits` tells whether there is one.
template <typename To, typename From> static To convert(From value, bool &fits) {
  if constexpr (std::is_same_v<To, bool>) {
    fits = value == 0 || value == 1;
    return value != 0;
  } else if constexpr (isFloatType<To>) {
    To result = fromDouble<To>(static_cast<double>(value));
    if constexpr (std::is_same_v<From, int64_t> || std::is_same_v<From, uint64_t>)
      if constexpr (std::is_same_v<To, float>)
        result = static_cast<float>(value); // rounds once
    fits = std::isfinite(widen(result)) || !std::isfinite(static_cast<double>(value));
    return result;
  } else if constexpr (std::is_same_v<From, double>) {
    fits = holds<To>(value);
    return fits ? static_cast<To>(value) : To();
  } else {
    fits = std::in_range<To>(value);
    return static_cast<To>(value);
  }
}

template <typename From, typename To>
static Status convertElements(const Tensor &tensor, Tensor &result) {
  To *out = result.mutableData<To>();
  for (From element : tensor.elementsAs<From>()) {
    bool fits = true;
    *out++ = convert<To>(widen(element), fits);
    if (!fits)
      return invalidInput(fmt::format("{} is no {}", widen(element), dtypeName(result.dtype())));
  }
  return Status::ok();
}

Expected<Tensor> quern::convertTensor(const Tensor &tensor, DType dtype, const Limits &limits) {
  if (tensor.dtype() == dtype)
    return tensor;
  auto isNumber = [](DType of) {
    return visitNumberOrBool(of, []<typename T>() { return Status::ok(); }).isOk();
  };
  if (!isNumber(tensor.dtype()) || !isNumber(dtype))
    return invalidInput(
        fmt::format("{} is not converted to {}", dtypeName(tensor.dtype()), dtypeName(dtype)));
  QUERN_ASSIGN(Tensor result, Tensor::allocateUninitialized(dtype, tensor.dims(), limits));
  QUERN_TRY(visitNumberOrBool(tensor.dtype(), [&]<typename From>() {
    return visitNumberOrBool(
        dtype, [&]<typename To>() { return convertElements<From, To>(tensor, result); });
  }));
  return result;
}
