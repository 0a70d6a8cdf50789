//===- TensorData.cpp - elements of TensorProtos --------------------------===//
#include "frontend/onnx/TensorData.h"

#include "frontend/onnx/OnnxReader.h"

#include <fmt/format.h>

#include <cstring>

using namespace quern;
using namespace quern::onnx;

/// Whether a file has several elements in a byte.
static bool isPacked(DType dtype) { return dtype != DType::String && dtypeBits(dtype) < 8; }

/// The number of entries the typed field of a TensorProto must have.
static int64_t typedEntries(const TensorLayout &layout) {
  if (layout.dtype == DType::Complex64 || layout.dtype == DType::Complex128)
    return 2 * layout.elements;
  // Elements of 6 bits are packed in raw_data only.
  return isPacked(layout.dtype) && dtypeBits(layout.dtype) != 6 ? layout.rawBytes : layout.elements;
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
  TensorLayout layout;
  int type = tensor.data_type();
  if (!isDTypeNumber(type))
    return invalidModel(fmt::format("unknown data_type {}", type));
  layout.dtype = static_cast<DType>(type);
  layout.dims.assign(tensor.dims().begin(), tensor.dims().end());
  if (tensor.dims_size() > limits.maxRank)
    return resourceLimit(
        fmt::format("rank {} exceeds maxRank {}", tensor.dims_size(), limits.maxRank));
  for (int64_t dim : layout.dims)
    if (dim < 0)
      return invalidModel(fmt::format("dims {}: {} is negative", formatDims(layout.dims), dim));
  CheckedSize elements = CheckedSize::product(layout.dims);
  CheckedSize bytes = elements * CheckedSize(dtypeBytes(layout.dtype));
  if (!bytes.valid())
    return invalidModel("dims " + formatDims(layout.dims) + " overflow");
  if (bytes.value() > limits.maxTensorBytes)
    return resourceLimit(fmt::format("dims {} need {} bytes, maxTensorBytes is {}",
                                     formatDims(layout.dims), bytes.value(),
                                     limits.maxTensorBytes));
  layout.elements = elements.value();
  if (isPacked(layout.dtype))
    layout.rawBytes = layout.elements / 8 * dtypeBits(layout.dtype) +
                      (layout.elements % 8 * dtypeBits(layout.dtype) + 7) / 8;
  else if (layout.dtype != DType::String)
    layout.rawBytes = bytes.value();
  return layout;
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

/// The byte of an element in memory: its low bits, of integers their value.
static uint8_t byteOf(DType dtype, unsigned bits) {
  unsigned width = dtypeBits(dtype), low = bits & ((1u << width) - 1);
  bool isNegative = isSignedInteger(dtype) && (low >> (width - 1)) != 0;
  return static_cast<uint8_t>(isNegative ? low | (0xffu << width) : low);
}

/// Spreads packed elements, the lowest bits first, to one per byte.
static void unpack(DType dtype, int64_t elements, std::span<const uint8_t> packed, uint8_t *out) {
  int width = dtypeBits(dtype);
  // Eight elements take `width` bytes.
  for (int64_t i = 0; i < elements; ++i) {
    int bit = static_cast<int>(i % 8) * width;
    auto at = static_cast<size_t>(i / 8 * width + bit / 8);
    unsigned two = packed[at] | (at + 1 < packed.size() ? packed[at + 1] << 8 : 0u);
    out[i] = byteOf(dtype, two >> (bit % 8));
  }
}

Expected<Tensor> quern::onnx::decodeRawTensor(const TensorLayout &layout,
                                              std::span<const std::byte> raw,
                                              const Limits &limits) {
  if (static_cast<int64_t>(raw.size()) != layout.rawBytes)
    return invalidModel(
        fmt::format("found {} bytes of data, need {}", raw.size(), layout.rawBytes));
  QUERN_ASSIGN(Tensor tensor, Tensor::allocateUninitialized(layout.dtype, layout.dims, limits));
  auto *from = reinterpret_cast<const uint8_t *>(raw.data());
  auto *to = static_cast<uint8_t *>(tensor.mutableRawData());
  if (isPacked(layout.dtype))
    unpack(layout.dtype, layout.elements, {from, raw.size()}, to);
  else if (layout.dtype == DType::Bool)
    for (int64_t i = 0; i < layout.elements; ++i)
      to[i] = from[i] != 0; // a C++ bool must not hold anything else
  else if (!raw.empty())
    std::memcpy(to, from, raw.size());
  return tensor;
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
  if (isPacked(layout.dtype) && dtypeBits(layout.dtype) != 6) {
    std::string packed(tensor.int32_data().begin(), tensor.int32_data().end());
    return decodeRawTensor(layout, std::as_bytes(std::span(packed)), limits);
  }
  QUERN_ASSIGN(Tensor result, Tensor::allocateUninitialized(layout.dtype, layout.dims, limits));
  copyTypedField(tensor, result);
  if (isPacked(layout.dtype))
    for (uint8_t &byte :
         std::span(static_cast<uint8_t *>(result.mutableRawData()), layout.elements))
      byte = byteOf(layout.dtype, byte);
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
