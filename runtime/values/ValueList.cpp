//===- ValueList.cpp - values or tensors, seen alike ----------------------===//
#include "quern/ValueList.h"

#include <fmt/format.h>

using namespace quern;

Expected<TensorList> TensorList::of(ValueList values) {
  for (size_t i = 0; i < values.size(); ++i)
    if (!values.asTensor(i))
      return invalidInput(
          fmt::format("operand {} is a {}, wanted a tensor", i, values[i].describe()));
  return TensorList(values);
}

Status ValueTargets::set(size_t i, AnyValue value) const {
  if (values) {
    values[i] = std::move(value);
    return Status::ok();
  }
  Tensor *tensor = value.asTensor();
  if (!tensor)
    return invalidInput("the result is a " + value.describe() + ", which needs an AnyValue");
  tensors[i] = std::move(*tensor);
  return Status::ok();
}

Expected<std::vector<Tensor>> quern::tensorsOf(std::vector<AnyValue> results) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < results.size(); ++i) {
    Tensor *tensor = results[i].asTensor();
    if (!tensor)
      return invalidInput(
          fmt::format("result {} is a {}, wanted a tensor", i, results[i].describe()));
    tensors.push_back(std::move(*tensor));
  }
  return tensors;
}
