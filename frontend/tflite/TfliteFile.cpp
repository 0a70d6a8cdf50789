//===- TfliteFile.cpp - files of TensorFlow Lite --------------------------===//
#include "frontend/tflite/TfliteFile.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::tflite;
using frontend::TensorLayout;

bool tflite::isTflite(std::span<const std::byte> head) {
  constexpr size_t kWithIdentifier = 8;
  return head.size() >= kWithIdentifier && file::ModelBufferHasIdentifier(head.data());
}

Expected<TfliteFile> tflite::readTfliteBytes(frontend::SourceBytes bytes, const Limits &limits) {
  constexpr int kMaxDepth = 64;
  constexpr uint32_t kVersion = 3;
  auto size = static_cast<int64_t>(bytes.bytes.size());
  if (size > limits.maxModelBytes)
    return resourceLimit(
        fmt::format("the file has {} bytes, maxModelBytes is {}", size, limits.maxModelBytes));
  if (!isTflite(bytes.bytes))
    return invalidModel("not a TensorFlow Lite model");
  // Large weights lie behind what offsets of 31 bits reach.
  size_t reached = std::min<size_t>(bytes.bytes.size(), FLATBUFFERS_MAX_BUFFER_SIZE - 1);
  auto tables = static_cast<flatbuffers::uoffset_t>(
      std::min<int64_t>(8 * limits.maxNodes, std::numeric_limits<int32_t>::max()));
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t *>(bytes.bytes.data()), reached,
                                 kMaxDepth, tables);
  if (!file::VerifyModelBuffer(verifier))
    return invalidModel("not a TensorFlow Lite model: the file is truncated or damaged");
  const file::Model *model = file::GetModel(bytes.bytes.data());
  if (model->version() != kVersion)
    return unsupported(fmt::format("version {} of TensorFlow Lite's format; {} is known",
                                   model->version(), kVersion));
  return TfliteFile{std::move(bytes), model};
}

DType tflite::dtypeOf(file::TensorType type) {
  switch (type) {
  case file::TensorType::Float32:
    return DType::Float32;
  case file::TensorType::Float16:
    return DType::Float16;
  case file::TensorType::Float64:
    return DType::Float64;
  case file::TensorType::BFloat16:
    return DType::BFloat16;
  case file::TensorType::Int8:
    return DType::Int8;
  case file::TensorType::Int16:
    return DType::Int16;
  case file::TensorType::Int32:
    return DType::Int32;
  case file::TensorType::Int64:
    return DType::Int64;
  case file::TensorType::UInt8:
    return DType::UInt8;
  case file::TensorType::UInt16:
    return DType::UInt16;
  case file::TensorType::UInt32:
    return DType::UInt32;
  case file::TensorType::UInt64:
    return DType::UInt64;
  case file::TensorType::Int4:
    return DType::Int4;
  case file::TensorType::UInt4:
    return DType::UInt4;
  case file::TensorType::Int2:
    return DType::Int2;
  case file::TensorType::Bool:
    return DType::Bool;
  case file::TensorType::Complex64:
    return DType::Complex64;
  case file::TensorType::Complex128:
    return DType::Complex128;
  case file::TensorType::String:
    return DType::String;
  default:
    return DType::Undefined;
  }
}

Expected<TensorLayout> tflite::layoutOf(const file::Tensor &tensor, const Limits &limits) {
  DType dtype = dtypeOf(tensor.type());
  if (dtype == DType::Undefined)
    return unsupported(fmt::format("elements of type {}", file::EnumNameTensorType(tensor.type())));
  Tensor::Dims dims;
  if (const auto *shape = tensor.shape())
    dims.assign(shape->begin(), shape->end());
  return TensorLayout::of(dtype, std::move(dims), limits);
}

Expected<std::span<const std::byte>> tflite::dataOf(const TfliteFile &file,
                                                    const file::Tensor &tensor) {
  using Bytes = std::span<const std::byte>;
  const auto *buffers = file->buffers();
  if (tensor.buffer() == 0 && (!buffers || buffers->size() == 0))
    return Bytes();
  if (!buffers || tensor.buffer() >= buffers->size())
    return invalidModel(fmt::format("buffer {} is not there", tensor.buffer()));
  const file::Buffer &buffer = *buffers->Get(tensor.buffer());
  if (buffer.offset() > 1) {
    Bytes all = file.source.bytes;
    if (buffer.offset() > all.size() || buffer.size() > all.size() - buffer.offset())
      return invalidModel(fmt::format("buffer {} lies outside of the file", tensor.buffer()));
    return all.subspan(buffer.offset(), buffer.size());
  }
  if (!buffer.data())
    return Bytes();
  return std::as_bytes(std::span(buffer.data()->data(), buffer.data()->size()));
}

std::string tflite::nameOf(const flatbuffers::String *name) { return name ? name->str() : ""; }
