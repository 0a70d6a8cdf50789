//===- ValueType.cpp - what kind of value a port carries ------------------===//
#include "quern/ValueType.h"

#include <fmt/format.h>

using namespace quern;

const char *quern::kindName(ValueType::Kind kind) {
  static constexpr const char *names[] = {"tensor", "sequence", "optional", "map"};
  return names[static_cast<size_t>(kind)];
}

ValueType ValueType::tensor(DType dtype, PortShape shape, bool ranked) {
  ValueType type;
  type.dtype = dtype;
  type.shape = std::move(shape);
  type.ranked = ranked;
  return type;
}

static ValueType nest(ValueType::Kind kind, ValueType inner, DType key = DType::Undefined) {
  ValueType type;
  type.kind = kind;
  type.dtype = key;
  type.nested.push_back(std::move(inner));
  return type;
}

ValueType ValueType::sequenceOf(ValueType element) {
  return nest(Kind::Sequence, std::move(element));
}
ValueType ValueType::optionalOf(ValueType content) {
  return nest(Kind::Optional, std::move(content));
}
ValueType ValueType::mapOf(DType key, ValueType value) {
  return nest(Kind::Map, std::move(value), key);
}

std::string ValueType::describe() const {
  std::string inner = nested.empty() ? "anything" : nested.front().describe();
  switch (kind) {
  case Kind::Tensor:
    return fmt::format("{} {}", dtypeName(dtype), ranked ? shape.str() : "of any shape");
  case Kind::Sequence:
    return "sequence of " + inner;
  case Kind::Optional:
    return "optional " + inner;
  case Kind::Map:
    break;
  }
  return fmt::format("map from {} to {}", dtypeName(dtype), inner);
}
