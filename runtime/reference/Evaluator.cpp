//===- Evaluator.cpp - what reference kernels are called with -------------===//
#include "runtime/reference/Evaluator.h"

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// The value of type T called `name`, or null when missing or of another type.
template <typename T, typename Map>
static const T *lookup(const Map &values, std::string_view name) {
  auto it = values.find(name);
  return it == values.end() ? nullptr : std::get_if<T>(&it->second);
}

int64_t Attributes::getInt(std::string_view name, int64_t otherwise) const {
  const auto *value = lookup<int64_t>(values, name);
  return value ? *value : otherwise;
}

double Attributes::getFloat(std::string_view name, double otherwise) const {
  const auto *value = lookup<double>(values, name);
  return value ? *value : otherwise;
}

std::string Attributes::getString(std::string_view name, std::string otherwise) const {
  const auto *value = lookup<std::string>(values, name);
  return value ? *value : otherwise;
}

std::vector<int64_t> Attributes::getInts(std::string_view name) const {
  const auto *value = lookup<std::vector<int64_t>>(values, name);
  return value ? *value : std::vector<int64_t>();
}

std::vector<double> Attributes::getFloats(std::string_view name) const {
  const auto *value = lookup<std::vector<double>>(values, name);
  return value ? *value : std::vector<double>();
}

DType Attributes::getDType(std::string_view name) const {
  const auto *value = lookup<DType>(values, name);
  return value ? *value : DType::Undefined;
}

Tensor Attributes::getTensor(std::string_view name) const {
  const auto *value = lookup<Tensor>(values, name);
  return value ? *value : Tensor();
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

Expected<Tensor> OpCall::allocateResultUninitialized(size_t number, DType dtype,
                                                     Tensor::Dims dims) const {
  if (number >= places.size() || places[number].dtype() != dtype || places[number].dims() != dims)
    return budget.allocateUninitialized(dtype, std::move(dims));
  QUERN_TRY(budget.require(CheckedSize::product(dims)));
  return places[number];
}

Expected<Tensor> OpCall::allocateResult(size_t number, DType dtype, Tensor::Dims dims) const {
  QUERN_ASSIGN(Tensor result, allocateResultUninitialized(number, dtype, std::move(dims)));
  QUERN_TRY(budget.zeroFill(result));
  return result;
}
