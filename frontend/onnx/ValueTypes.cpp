//===- ValueTypes.cpp - the types that a model declares -------------------===//
#include "frontend/onnx/ValueTypes.h"

#include "quern/CheckedSize.h"

using namespace quern;
using namespace quern::onnx;
using proto::TypeProto;

//===----------------------------------------------------------------------===//
// Checking
//===----------------------------------------------------------------------===//

/// Whether a dim says a size. PaddlePaddle and early Keras exporters write -1 for one that they do
/// not know.
static bool hasSize(const proto::TensorShapeProto::Dimension &dim) {
  return dim.has_dim_value() && dim.dim_value() != -1;
}

/// Whether a dim has a name. "?" is no name: exporters write it for all sizes that they do not
/// know, equal or not.
static bool hasName(const proto::TensorShapeProto::Dimension &dim) {
  return !dim.dim_param().empty() && dim.dim_param() != "?";
}

static Status checkTensorType(const TypeProto::Tensor &type, const Limits &limits) {
  if (!isDTypeNumber(type.elem_type()))
    return invalidModel("unknown elem_type " + std::to_string(type.elem_type()));
  if (type.shape().dim_size() > limits.maxRank)
    return resourceLimit("rank " + std::to_string(type.shape().dim_size()) + " exceeds maxRank " +
                         std::to_string(limits.maxRank));
  CheckedSize bytes(dtypeBytes(static_cast<DType>(type.elem_type())));
  for (const auto &dim : type.shape().dim()) {
    if (!hasSize(dim))
      continue;
    if (dim.dim_value() < 0)
      return invalidModel("dim " + std::to_string(dim.dim_value()) + " is negative");
    bytes *= CheckedSize(int64_t{dim.dim_value()});
  }
  if (!bytes.valid())
    return invalidModel("the product of its dims overflows");
  if (bytes.value() > limits.maxTensorBytes)
    return resourceLimit("needs " + std::to_string(bytes.value()) + " bytes, maxTensorBytes is " +
                         std::to_string(limits.maxTensorBytes));
  return Status::ok();
}

static Status checkMapKey(int32_t type) {
  if (type == static_cast<int>(DType::Int64) || type == static_cast<int>(DType::String))
    return Status::ok();
  if (!isDTypeNumber(type))
    return invalidModel("unknown key_type " + std::to_string(type));
  return unsupported("a map with keys of type " + std::string(dtypeName(static_cast<DType>(type))));
}

static Status checkNestedType(const TypeProto &type, const Limits &limits, int64_t nesting) {
  if (nesting > limits.maxNesting)
    return resourceLimit("types nested deeper than maxNesting " +
                         std::to_string(limits.maxNesting));
  switch (type.value_case()) {
  case TypeProto::kTensorType:
    return checkTensorType(type.tensor_type(), limits);
  case TypeProto::kSequenceType:
    return checkNestedType(type.sequence_type().elem_type(), limits, nesting + 1);
  case TypeProto::kOptionalType:
    return checkNestedType(type.optional_type().elem_type(), limits, nesting + 1);
  case TypeProto::kMapType:
    QUERN_TRY(checkMapKey(type.map_type().key_type()));
    return checkNestedType(type.map_type().value_type(), limits, nesting + 1);
  case TypeProto::VALUE_NOT_SET:
    return invalidModel("a type inside of its type is missing");
  default:
    return unsupported("a sparse tensor or opaque type");
  }
}

Status quern::onnx::checkType(const TypeProto &type, const Limits &limits) {
  if (type.value_case() == TypeProto::VALUE_NOT_SET)
    return Status::ok();
  return checkNestedType(type, limits, /*nesting=*/0);
}

//===----------------------------------------------------------------------===//
// Converting
//===----------------------------------------------------------------------===//

static ValueType typeOfTensor(const TypeProto::Tensor &tensor) {
  std::vector<PortDim> dims;
  for (const auto &dim : tensor.shape().dim()) {
    if (hasSize(dim))
      dims.push_back(PortDim(int64_t{dim.dim_value()}));
    else
      dims.push_back(hasName(dim) ? PortDim::symbol(dim.dim_param()) : PortDim());
  }
  return ValueType::tensor(static_cast<DType>(tensor.elem_type()), PortShape(std::move(dims)),
                           tensor.has_shape());
}

ValueType quern::onnx::valueTypeOf(const TypeProto &type) {
  switch (type.value_case()) {
  case TypeProto::kSequenceType:
    return ValueType::sequenceOf(valueTypeOf(type.sequence_type().elem_type()));
  case TypeProto::kOptionalType:
    return ValueType::optionalOf(valueTypeOf(type.optional_type().elem_type()));
  case TypeProto::kMapType:
    return ValueType::mapOf(static_cast<DType>(type.map_type().key_type()),
                            valueTypeOf(type.map_type().value_type()));
  default:
    return typeOfTensor(type.tensor_type());
  }
}

bool quern::onnx::haveSameElements(const ValueType &a, const ValueType &b) {
  return a.kind == b.kind && a.dtype == b.dtype &&
         std::equal(a.nested.begin(), a.nested.end(), b.nested.begin(), b.nested.end(),
                    haveSameElements);
}
