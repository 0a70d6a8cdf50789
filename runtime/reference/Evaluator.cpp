//===- Evaluator.cpp - what reference kernels are called with -------------===//
#include "runtime/reference/Evaluator.h"

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

std::atomic<void (*)(std::string_view name)> Attributes::onMisread = nullptr;

void Attributes::complete(std::set<std::string, std::less<>> names) { absent = std::move(names); }

static void tellMisread(std::string_view name) {
  if (auto *tell = Attributes::onMisread.load(std::memory_order_relaxed))
    tell(name);
}

bool Attributes::has(std::string_view name) const {
  bool isSet = values.find(name) != values.end();
  if (!isSet && absent && !absent->contains(name))
    tellMisread(name);
  return isSet;
}

template <typename T> const T *Attributes::find(std::string_view name) const {
  if (!has(name))
    return nullptr;
  const T *value = std::get_if<T>(&values.find(name)->second);
  if (!value && absent)
    tellMisread(name);
  return value;
}

int64_t Attributes::getInt(std::string_view name, int64_t otherwise) const {
  const auto *value = find<int64_t>(name);
  return value ? *value : otherwise;
}

double Attributes::getFloat(std::string_view name, double otherwise) const {
  const auto *value = find<double>(name);
  return value ? *value : otherwise;
}

std::string Attributes::getString(std::string_view name, std::string otherwise) const {
  const auto *value = find<std::string>(name);
  return value ? *value : otherwise;
}

std::vector<int64_t> Attributes::getInts(std::string_view name) const {
  const auto *value = find<std::vector<int64_t>>(name);
  return value ? *value : std::vector<int64_t>();
}

std::vector<double> Attributes::getFloats(std::string_view name) const {
  const auto *value = find<std::vector<double>>(name);
  return value ? *value : std::vector<double>();
}

DType Attributes::getDType(std::string_view name) const {
  const auto *value = find<DType>(name);
  return value ? *value : DType::Undefined;
}

Tensor Attributes::getTensor(std::string_view name) const {
  const auto *value = find<Tensor>(name);
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
