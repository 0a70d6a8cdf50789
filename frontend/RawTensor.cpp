//===- RawTensor.cpp - the elements of tensors as files have them ---------===//
#include "frontend/RawTensor.h"

#include <fmt/format.h>

#include <cstring>

using namespace quern;
using namespace quern::frontend;

Expected<TensorLayout> TensorLayout::of(DType dtype, Tensor::Dims dims, const Limits &limits) {
  TensorLayout layout{.dtype = dtype, .dims = std::move(dims)};
  if (static_cast<int64_t>(layout.dims.size()) > limits.maxRank)
    return resourceLimit(
        fmt::format("rank {} exceeds maxRank {}", layout.dims.size(), limits.maxRank));
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

uint8_t frontend::byteOfPacked(DType dtype, unsigned bits) {
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
    out[i] = byteOfPacked(dtype, two >> (bit % 8));
  }
}

Expected<Tensor> frontend::decodeRawTensor(const TensorLayout &layout,
                                           std::span<const std::byte> raw, const Limits &limits) {
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
