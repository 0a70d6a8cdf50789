//===- ValueTypes.h - the types that a model declares ---------------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"
#include "quern/Limits.h"
#include "quern/ValueType.h"

namespace quern::onnx {

/// Fails for types that are wrong, too large, or nested deeper than the limits allow,
/// and for sparse tensors. A type that is not given at all is fine.
Status checkType(const proto::TypeProto &type, const Limits &limits);

/// The type as the runtime knows it; `type` has passed checkType and is given.
ValueType valueTypeOf(const proto::TypeProto &type);

/// Whether two types have the same kinds and element types, whatever the shapes are.
bool haveSameElements(const ValueType &a, const ValueType &b);

} // namespace quern::onnx
