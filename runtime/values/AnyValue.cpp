//===- AnyValue.cpp - tensors, sequences, optionals and maps -----------------===//
#include "quern/AnyValue.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

using namespace quern;
using Kind = ValueType::Kind;

//===----------------------------------------------------------------------===//
// Making values
//===----------------------------------------------------------------------===//

/// Whether two types are the same; false when that is not known.
static bool isSame(const ValueType &a, const ValueType &b) {
  auto isSameDim = [](const PortDim &x, const PortDim &y) {
    return x.provablyEquals(y) || (x.isUnknown() && y.isUnknown());
  };
  return a.kind == b.kind && a.dtype == b.dtype && a.ranked == b.ranked &&
         std::equal(a.shape.dims().begin(), a.shape.dims().end(), b.shape.dims().begin(),
                    b.shape.dims().end(), isSameDim) &&
         std::equal(a.nested.begin(), a.nested.end(), b.nested.begin(), b.nested.end(), isSame);
}

static Status checkElements(const char *what, const std::vector<AnyValue> &elements,
                            const ValueType &type) {
  for (size_t i = 0; i < elements.size(); ++i)
    if (!elements[i].fits(type))
      return invalidInput(
          fmt::format("{} {} is {}, wanted {}", what, i, elements[i].describe(), type.describe()));
  return Status::ok();
}

/// Notes elements that have come.
static void addTotals(SequenceValue &sequence, std::span<const AnyValue> added) {
  for (const AnyValue &element : added) {
    sequence.bytes += element.numBytes();
    sequence.isOwner = sequence.isOwner && element.isOwner();
  }
}

Expected<AnyValue> AnyValue::sequence(ValueType elementType, std::vector<AnyValue> elements) {
  QUERN_TRY(checkElements("element", elements, elementType));
  auto made =
      std::make_shared<SequenceValue>(SequenceValue{std::move(elementType), std::move(elements)});
  addTotals(*made, made->elements);
  AnyValue value;
  value.content = std::shared_ptr<const SequenceValue>(std::move(made));
  return value;
}

/// What `pointer` points to, to be changed: a copy when somebody else holds it. All that
/// content points to is made as what can be changed.
template <typename T> static T &changeable(std::shared_ptr<const T> &pointer) {
  if (pointer.use_count() != 1)
    pointer = std::make_shared<T>(*pointer);
  return const_cast<T &>(*pointer);
}

Expected<AnyValue> AnyValue::splice(AnyValue given, ValueType elementType, size_t position,
                                    size_t removed, std::vector<AnyValue> inserted) {
  auto *held = std::get_if<std::shared_ptr<const SequenceValue>>(&given.content);
  if (!held || position > (*held)->elements.size() || removed > (*held)->elements.size() - position)
    return internalError("a place outside of a sequence is spliced");
  QUERN_TRY(checkElements("element", inserted, elementType));
  if (!isSame((*held)->elementType, elementType))
    QUERN_TRY(checkElements("element", (*held)->elements, elementType));
  SequenceValue &sequence = changeable(*held);
  sequence.elementType = std::move(elementType);
  auto from = sequence.elements.begin() + static_cast<ptrdiff_t>(position);
  auto to = from + static_cast<ptrdiff_t>(removed);
  for (auto at = from; at != to; ++at)
    sequence.bytes -= at->numBytes();
  sequence.elements.erase(from, to);
  addTotals(sequence, inserted);
  sequence.elements.insert(sequence.elements.begin() + static_cast<ptrdiff_t>(position),
                           std::make_move_iterator(inserted.begin()),
                           std::make_move_iterator(inserted.end()));
  return given;
}

Expected<AnyValue> AnyValue::optional(ValueType contentType, AnyValue inner) {
  if (inner.isPresent() && !inner.fits(contentType))
    return invalidInput("the content is " + inner.describe() + ", wanted " +
                        contentType.describe());
  AnyValue value;
  value.content =
      std::make_shared<OptionalValue>(OptionalValue{std::move(contentType), std::move(inner)});
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
  value.content = std::make_shared<MapValue>(
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
  if (const SequenceValue *sequence = asSequence())
    return sequence->bytes;
  if (const OptionalValue *optional = asOptional())
    return optional->content.numBytes();
  int64_t bytes = 0;
  forEachTensor([&](const Tensor &tensor) { bytes += tensor.numBytes(); });
  return bytes;
}

static bool isOwned(const Tensor &tensor) { return !tensor.isPresent() || tensor.isOwner(); }

bool AnyValue::isOwner() const {
  if (const SequenceValue *sequence = asSequence())
    return sequence->isOwner;
  if (const OptionalValue *optional = asOptional())
    return optional->content.isOwner();
  bool all = true;
  forEachTensor([&](const Tensor &tensor) { all &= isOwned(tensor); });
  return all;
}

bool AnyValue::isHeldAlone() const {
  return std::visit(
      [](const auto &each) {
        if constexpr (std::is_same_v<std::decay_t<decltype(each)>, Tensor>)
          return true;
        else
          return each.use_count() == 1;
      },
      content);
}

bool AnyValue::isSoleOwner() const {
  bool all = isHeldAlone();
  forEachTensor([&](const Tensor &tensor) { all &= !tensor.isPresent() || tensor.isSoleOwner(); });
  return all;
}

static Status copyTensor(Tensor &tensor, bool (*mustCopy)(const Tensor &)) {
  if (!tensor.isPresent() || !mustCopy(tensor))
    return Status::ok();
  QUERN_ASSIGN(tensor, tensor.clone());
  return Status::ok();
}

Status AnyValue::copyTensors(bool (*mustCopy)(const Tensor &)) {
  using Sequence = std::shared_ptr<const SequenceValue>;
  using Optional = std::shared_ptr<const OptionalValue>;
  using Map = std::shared_ptr<const MapValue>;
  if (Tensor *tensor = asTensor())
    return copyTensor(*tensor, mustCopy);
  if (auto *held = std::get_if<Sequence>(&content)) {
    SequenceValue &sequence = changeable(*held);
    for (AnyValue &element : sequence.elements)
      QUERN_TRY(element.copyTensors(mustCopy));
    sequence.isOwner = true;
    return Status::ok();
  }
  if (auto *held = std::get_if<Optional>(&content))
    return changeable(*held).content.copyTensors(mustCopy);
  MapValue &map = changeable(std::get<Map>(content));
  QUERN_TRY(copyTensor(map.keys, mustCopy));
  for (AnyValue &value : map.values)
    QUERN_TRY(value.copyTensors(mustCopy));
  return Status::ok();
}

Status AnyValue::own() {
  if (isOwner())
    return Status::ok();
  return copyTensors([](const Tensor &tensor) { return !tensor.isOwner(); });
}

Status AnyValue::unshare() {
  return copyTensors([](const Tensor &tensor) { return !tensor.isSoleOwner(); });
}
