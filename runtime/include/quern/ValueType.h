//===- ValueType.h - what kind of value a port carries --------------------===//
#pragma once

#include "quern/DType.h"
#include "quern/PortShape.h"

#include <string>
#include <vector>

namespace quern {

/// The type of a value: a tensor, or values nested in a sequence, an optional or a
/// map, as ONNX has them.
struct ValueType {
  enum class Kind : uint8_t { Tensor, Sequence, Optional, Map };

  Kind kind = Kind::Tensor;
  /// Of a tensor its elements, of a map its keys (int64 or string).
  DType dtype = DType::Undefined;
  /// Of a tensor.
  PortShape shape;
  /// False for a tensor of which no shape is declared; `shape` says nothing then.
  bool ranked = true;
  /// One type, unless of a tensor: of the elements of a sequence, the content of an
  /// optional, the values of a map.
  std::vector<ValueType> nested;

  static ValueType tensor(DType dtype, PortShape shape, bool ranked = true);
  /// A tensor of any shape.
  static ValueType tensor(DType dtype) { return tensor(dtype, {}, /*ranked=*/false); }
  static ValueType sequenceOf(ValueType element);
  static ValueType optionalOf(ValueType content);
  static ValueType mapOf(DType key, ValueType value);

  bool isTensor() const { return kind == Kind::Tensor; }
  /// "float32 Nx3x224x224", "sequence of float32 of any shape", "map from int64 to
  /// float32 1".
  std::string describe() const;
};

/// "tensor", "sequence", "optional" or "map".
const char *kindName(ValueType::Kind kind);

} // namespace quern
