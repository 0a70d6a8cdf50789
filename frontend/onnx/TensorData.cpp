//===- TensorData.cpp - elements of TensorProtos --------------------------===//
#include "frontend/onnx/TensorData.h"

#include "frontend/onnx/OnnxReader.h"

#include <fmt/format.h>

#include <cstring>

using namespace quern;
using namespace quern::onnx;

/// The number of entries the typed field of a TensorProto must have.
static int64_t typedEntries(const TensorLayout &layout) {
  if (layout.dtype == DType::Complex64 || layout.dtype == DType::Complex128)
    return 2 * layout.elements;
  // Elements of 6 bits are packed in raw_data only.
  return frontend::isPacked(layout.dtype) && dtypeBits(layout.dtype) != 6 ? layout.rawBytes
                                                                          : layout.elements;
}

/// The number of entries in the typed field that ONNX prescribes for `dtype`.
static int64_t typedFieldSize(const proto::TensorProto &tensor, DType dtype) {
  switch (dtype) {
  case DType::Float32:
  case DType::Complex64:
    return tensor.float_data_size();
  case DType::Float64:
  case DType::Complex128:
    return tensor.double_data_size();
  case DType::Int64:
    return tensor.int64_data_size();
  case DType::UInt32:
  case DType::UInt64:
    return tensor.uint64_data_size();
  case DType::String:
    return tensor.string_data_size();
  default:
    return tensor.int32_data_size();
  }
}

/// All entries of all typed fields, to notice data in a field of another type.
static int64_t allTypedFields(const proto::TensorProto &tensor) {
  return int64_t{tensor.float_data_size()} + tensor.double_data_size() + tensor.int64_data_size() +
         tensor.uint64_data_size() + tensor.string_data_size() + tensor.int32_data_size();
}

/// Type and dims alone.
static Expected<TensorLayout> layoutOf(const proto::TensorProto &tensor, const Limits &limits) {
  int type = tensor.data_type();
  if (!isDTypeNumber(type))
    return invalidModel(fmt::format("unknown data_type {}", type));
  return TensorLayout::of(static_cast<DType>(type), {tensor.dims().begin(), tensor.dims().end()},
                          limits);
}

Expected<TensorLayout> quern::onnx::checkTensor(const proto::TensorProto &tensor,
                                                const SourceBytes &source, const Limits &limits) {
  QUERN_ASSIGN(TensorLayout layout, layoutOf(tensor, limits));
  std::string what = fmt::format("{} {}", dtypeName(layout.dtype), formatDims(layout.dims));
  if (tensor.has_segment())
    return unsupported("segmented tensors");
  int64_t typed = allTypedFields(tensor);
  auto raw = static_cast<int64_t>(rawDataOf(tensor, source).size());
  if (tensor.data_location() == proto::TensorProto::EXTERNAL) {
    if (raw != 0 || typed != 0)
      return invalidModel("has both external data and data of its own");
    if (layout.dtype == DType::String)
      return invalidModel("strings cannot be external data");
    return layout;
  }
  if (raw != 0) {
    if (layout.dtype == DType::String)
      return invalidModel("strings cannot be raw_data");
    if (typed != 0)
      return invalidModel("has both raw_data and typed data");
    if (raw != layout.rawBytes)
      return invalidModel(
          fmt::format("raw_data has {} bytes, {} needs {}", raw, what, layout.rawBytes));
    return layout;
  }
  int64_t wanted = typedEntries(layout);
  if (typed != wanted || typedFieldSize(tensor, layout.dtype) != wanted)
    return invalidModel(fmt::format("holds {} values, {} needs {}",
                                    typedFieldSize(tensor, layout.dtype), what, wanted));
  return layout;
}

/// Copies a typed field, narrowing each entry to the element's width.
template <typename To, typename Field> static void copyField(const Field &field, Tensor &tensor) {
  To *out = tensor.mutableData<To>();
  for (const auto &value : field)
    *out++ = static_cast<To>(value);
}

/// Fills `tensor` from int32_data, which stores all types of up to 32 bits.
static void copyInt32Field(const proto::TensorProto &from, Tensor &tensor) {
  if (tensor.dtype() == DType::Bool)
    return copyField<bool>(from.int32_data(), tensor);
  switch (dtypeBytes(tensor.dtype())) {
  case 1:
    return copyField<uint8_t>(from.int32_data(), tensor);
  case 2:
    return copyField<uint16_t>(from.int32_data(), tensor);
  default:
    return copyField<uint32_t>(from.int32_data(), tensor);
  }
}

/// Fills `tensor` from the typed field of its type; checkTensor has passed.
static void copyTypedField(const proto::TensorProto &from, Tensor &tensor) {
  switch (tensor.dtype()) {
  case DType::Float32:
  case DType::Complex64:
    return copyField<float>(from.float_data(), tensor);
  case DType::Float64:
  case DType::Complex128:
    return copyField<double>(from.double_data(), tensor);
  case DType::Int64:
    return copyField<int64_t>(from.int64_data(), tensor);
  case DType::UInt32:
    return copyField<uint32_t>(from.uint64_data(), tensor);
  case DType::UInt64:
    return copyField<uint64_t>(from.uint64_data(), tensor);
  case DType::String:
    return copyField<std::string>(from.string_data(), tensor);
  default:
    return copyInt32Field(from, tensor);
  }
}

Expected<Tensor> quern::onnx::decodeTensor(const proto::TensorProto &tensor,
                                           const SourceBytes &source, const Limits &limits) {
  QUERN_ASSIGN(TensorLayout layout, checkTensor(tensor, source, limits));
  if (tensor.data_location() == proto::TensorProto::EXTERNAL)
    return invalidModel("external data is allowed only in a model file");
  if (auto raw = rawDataOf(tensor, source); !raw.empty())
    return decodeRawTensor(layout, raw, limits);
  if (frontend::isPacked(layout.dtype) && dtypeBits(layout.dtype) != 6) {
    std::string packed(tensor.int32_data().begin(), tensor.int32_data().end());
    return decodeRawTensor(layout, std::as_bytes(std::span(packed)), limits);
  }
  QUERN_ASSIGN(Tensor result, Tensor::allocateUninitialized(layout.dtype, layout.dims, limits));
  copyTypedField(tensor, result);
  if (frontend::isPacked(layout.dtype))
    for (uint8_t &byte :
         std::span(static_cast<uint8_t *>(result.mutableRawData()), layout.elements))
      byte = frontend::byteOfPacked(layout.dtype, byte);
  return result;
}

Expected<NamedTensor> quern::onnx::readTensorFile(const std::string &path, const Limits &limits) {
  auto file = readTensorProtoFile(path, limits);
  if (!file)
    return file.status().withContext(path);
  auto tensor = decodeTensor(**file, file->source, limits);
  if (!tensor)
    return tensor.status().withContext(path);
  return NamedTensor{(*file)->name(), tensor.take()};
}
