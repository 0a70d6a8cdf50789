//===- AnyValue.cpp - tensors, sequences, optionals and maps -----------------===//
#include "quern/AnyValue.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using Kind = ValueType::Kind;

//===----------------------------------------------------------------------===//
// Making values
//===----------------------------------------------------------------------===//

static Status checkElements(const char *what, const std::vector<AnyValue> &elements,
                            const ValueType &type) {
  for (size_t i = 0; i < elements.size(); ++i)
    if (!elements[i].fits(type))
      return invalidInput(
          fmt::format("{} {} is {}, wanted {}", what, i, elements[i].describe(), type.describe()));
  return Status::ok();
}

Expected<AnyValue> AnyValue::sequence(ValueType elementType, std::vector<AnyValue> elements) {
  QUERN_TRY(checkElements("element", elements, elementType));
  AnyValue value;
  value.content = std::make_shared<const SequenceValue>(
      SequenceValue{std::move(elementType), std::move(elements)});
  return value;
}

Expected<AnyValue> AnyValue::optional(ValueType contentType, AnyValue inner) {
  if (inner.isPresent() && !inner.fits(contentType))
    return invalidInput("the content is " + inner.describe() + ", wanted " +
                        contentType.describe());
  AnyValue value;
  value.content = std::make_shared<const OptionalValue>(
      OptionalValue{std::move(contentType), std::move(inner)});
  return value;
}

Expected<AnyValue> AnyValue::map(Tensor keys, ValueType valueType, std::vector<AnyValue> values) {
  bool isKey = keys.dtype() == DType::Int64 || keys.dtype() == DType::String;
  if (!isKey || keys.rank() != 1 || keys.dim(0) != static_cast<int64_t>(values.size()))
    return invalidInput(
        fmt::format("the keys of a map of {} values are as many int64 or strings, found {}",
                    values.size(), keys.describe()));
  QUERN_TRY(checkElements("value", values, valueType));
  AnyValue value;
  value.content = std::make_shared<const MapValue>(
      MapValue{std::move(keys), std::move(valueType), std::move(values)});
  return value;
}

//===----------------------------------------------------------------------===//
// Reading values
//===----------------------------------------------------------------------===//

/// What `content` points to, when it is a T.
template <typename T, typename Content> static const T *pointee(const Content &content) {
  const auto *pointer = std::get_if<std::shared_ptr<const T>>(&content);
  return pointer ? pointer->get() : nullptr;
}

const SequenceValue *AnyValue::asSequence() const { return pointee<SequenceValue>(content); }
const OptionalValue *AnyValue::asOptional() const { return pointee<OptionalValue>(content); }
const MapValue *AnyValue::asMap() const { return pointee<MapValue>(content); }

bool AnyValue::isPresent() const {
  const Tensor *tensor = asTensor();
  return !tensor || tensor->isPresent();
}

Expected<Tensor> AnyValue::toTensor() const {
  if (const Tensor *tensor = asTensor())
    return *tensor;
  return invalidInput("wanted a tensor, found a " + describe());
}

static bool fitsTensor(const Tensor &tensor, const ValueType &type) {
  if (!tensor.isPresent() || tensor.dtype() != type.dtype)
    return false;
  if (!type.ranked)
    return true;
  if (tensor.rank() != type.shape.rank())
    return false;
  for (int64_t d = 0; d < tensor.rank(); ++d)
    if (!type.shape[d].compatibleWith(tensor.dim(d)))
      return false;
  return true;
}

/// Whether two types are the same but for the shapes of tensors.
static bool sameElementTypes(const ValueType &a, const ValueType &b) {
  return a.kind == b.kind && a.dtype == b.dtype && a.nested.size() == b.nested.size() &&
         std::equal(a.nested.begin(), a.nested.end(), b.nested.begin(), sameElementTypes);
}

bool AnyValue::fits(const ValueType &type) const {
  // The elements of an empty container have a type, too.
  auto declares = [&](const ValueType &declared) {
    return sameElementTypes(declared, type.nested.front());
  };
  if (kind() != type.kind || (!type.isTensor() && type.nested.size() != 1))
    return false;
  auto allFit = [&](const std::vector<AnyValue> &values) {
    for (const AnyValue &value : values)
      if (!value.fits(type.nested.front()))
        return false;
    return true;
  };
  if (const Tensor *tensor = asTensor())
    return fitsTensor(*tensor, type);
  if (const SequenceValue *sequence = asSequence())
    return declares(sequence->elementType) && allFit(sequence->elements);
  if (const OptionalValue *optional = asOptional())
    return declares(optional->contentType) &&
           (!optional->content.isPresent() || optional->content.fits(type.nested.front()));
  const MapValue *map = asMap();
  return map && map->keys.dtype() == type.dtype && declares(map->valueType) && allFit(map->values);
}

std::string AnyValue::describe() const {
  auto counted = [&](const std::vector<AnyValue> &values) {
    return fmt::format("{} of {} {}", kindName(kind()), values.size(),
                       values.size() == 1 ? "value" : "values");
  };
  if (const Tensor *tensor = asTensor())
    return tensor->isPresent() ? tensor->describe() : "nothing";
  if (const SequenceValue *sequence = asSequence())
    return counted(sequence->elements);
  if (const OptionalValue *optional = asOptional())
    return optional->content.isPresent() ? "optional " + optional->content.describe()
                                         : "empty optional";
  const MapValue *map = asMap();
  return map ? counted(map->values) : "nothing";
}

//===----------------------------------------------------------------------===//
// Storage
//===----------------------------------------------------------------------===//

int64_t AnyValue::numBytes() const {
  int64_t bytes = 0;
  forEachTensor([&](const Tensor &tensor) { bytes += tensor.numBytes(); });
  return bytes;
}

bool AnyValue::isOwner() const {
  bool all = true;
  forEachTensor([&](const Tensor &tensor) { all &= !tensor.isPresent() || tensor.isOwner(); });
  return all;
}

bool AnyValue::isSoleOwner() const {
  bool all = std::visit(
      [](const auto &each) {
        if constexpr (std::is_same_v<std::decay_t<decltype(each)>, Tensor>)
          return true;
        else
          return each.use_count() == 1;
      },
      content);
  forEachTensor([&](const Tensor &tensor) { all &= !tensor.isPresent() || tensor.isSoleOwner(); });
  return all;
}

static Expected<Tensor> cloneTensor(const Tensor &tensor) {
  return tensor.isPresent() ? tensor.clone() : Expected<Tensor>(Tensor());
}

static Expected<std::vector<AnyValue>> cloneAll(const std::vector<AnyValue> &values) {
  std::vector<AnyValue> copies;
  for (const AnyValue &value : values) {
    QUERN_ASSIGN(AnyValue copy, value.clone());
    copies.push_back(std::move(copy));
  }
  return copies;
}

Expected<AnyValue> AnyValue::clone() const {
  if (const Tensor *tensor = asTensor()) {
    QUERN_ASSIGN(Tensor copy, cloneTensor(*tensor));
    return AnyValue(std::move(copy));
  }
  if (const SequenceValue *from = asSequence()) {
    QUERN_ASSIGN(std::vector<AnyValue> elements, cloneAll(from->elements));
    return sequence(from->elementType, std::move(elements));
  }
  if (const OptionalValue *from = asOptional()) {
    QUERN_ASSIGN(AnyValue inner, from->content.clone());
    return optional(from->contentType, std::move(inner));
  }
  const MapValue *from = asMap();
  if (!from)
    return internalError("a value without content");
  QUERN_ASSIGN(Tensor keys, cloneTensor(from->keys));
  QUERN_ASSIGN(std::vector<AnyValue> values, cloneAll(from->values));
  return map(std::move(keys), from->valueType, std::move(values));
}
