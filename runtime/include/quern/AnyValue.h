//===- AnyValue.h - tensors, sequences, optionals and maps -------------------===//
#pragma once

#include "quern/Tensor.h"
#include "quern/ValueType.h"

#include <memory>
#include <variant>
#include <vector>

namespace quern {

struct SequenceValue;
struct OptionalValue;
struct MapValue;

/// What flows through a graph. Copying shares the elements; a nested value that several
/// hold does not change. A default-constructed AnyValue is an absent tensor: an operand left out.
class AnyValue {
public:
  AnyValue() = default;
  AnyValue(Tensor tensor) : content(std::move(tensor)) {}
  // InvalidInput, naming the element, when one is not of the type that is given.
  static Expected<AnyValue> sequence(ValueType elementType, std::vector<AnyValue> elements);
  /// `given`, a sequence, with `inserted` in place of `removed` of its elements. Elements are
  /// moved, not copied, when nobody else holds the sequence: one that is only appended to
  /// costs what is appended.
  static Expected<AnyValue> splice(AnyValue given, ValueType elementType, size_t position,
                                   size_t removed, std::vector<AnyValue> inserted);
  /// Empty when `value` is absent.
  static Expected<AnyValue> optional(ValueType contentType, AnyValue value);
  /// `keys` are a vector of int64 or strings, one for each of `values`.
  static Expected<AnyValue> map(Tensor keys, ValueType valueType, std::vector<AnyValue> values);

  ValueType::Kind kind() const { return static_cast<ValueType::Kind>(content.index()); }
  /// Whether it is anything but an absent tensor.
  bool isPresent() const;
  // The value itself; null when it is of another kind.
  const Tensor *asTensor() const { return std::get_if<Tensor>(&content); }
  Tensor *asTensor() { return std::get_if<Tensor>(&content); }
  const SequenceValue *asSequence() const;
  const OptionalValue *asOptional() const;
  const MapValue *asMap() const;
  /// InvalidInput, saying what was found, when it is no tensor.
  Expected<Tensor> toTensor() const;

  /// Whether kinds and element types are those of `type`, and the sizes of tensors too
  /// as far as they are known.
  bool fits(const ValueType &type) const;
  /// "float32 1x3", "sequence of 2 values", "empty optional", "map of 3 values".
  std::string describe() const;

  /// Calls visit(tensor) for all tensors it is made of.
  template <typename Visit> void forEachTensor(Visit &&visit) const;
  /// Bytes of storage of all its tensors.
  int64_t numBytes() const;
  /// Whether all its tensors keep their storage alive.
  bool isOwner() const;
  /// Whether nobody else keeps any of its storage.
  bool isSoleOwner() const;
  /// Whether nobody else holds the sequence, optional or map, whoever keeps what is in it.
  /// True of a tensor.
  bool isHeldAlone() const;
  /// Gives the tensors that have borrowed their storage some of their own; others stay shared.
  Status own();
  /// Gives what somebody else keeps storage of its own, so that isSoleOwner() holds.
  Status unshare();

private:
  /// Replaces the tensors of which `mustCopy` is true by copies.
  Status copyTensors(bool (*mustCopy)(const Tensor &));

  // In the order of ValueType::Kind.
  std::variant<Tensor, std::shared_ptr<const SequenceValue>, std::shared_ptr<const OptionalValue>,
               std::shared_ptr<const MapValue>>
      content;
};

struct SequenceValue {
  ValueType elementType;
  std::vector<AnyValue> elements;
  /// Of all elements, kept because loops ask in every iteration.
  int64_t bytes = 0;
  bool isOwner = true;
};
struct OptionalValue {
  ValueType contentType;
  /// Absent: the optional is empty.
  AnyValue content;
};
struct MapValue {
  Tensor keys;
  ValueType valueType;
  std::vector<AnyValue> values;
};

template <typename Visit> void AnyValue::forEachTensor(Visit &&visit) const {
  if (const Tensor *tensor = asTensor())
    visit(*tensor);
  else if (const SequenceValue *sequence = asSequence())
    for (const AnyValue &element : sequence->elements)
      element.forEachTensor(visit);
  else if (const OptionalValue *optional = asOptional())
    optional->content.forEachTensor(visit);
  else if (const MapValue *map = asMap()) {
    visit(map->keys);
    for (const AnyValue &value : map->values)
      value.forEachTensor(visit);
  }
}

} // namespace quern
