//===- Tensor.cpp - dense tensors -----------------------------------------===//
#include "quern/Tensor.h"

#include "runtime/values/PageLayout.h"

#include <fmt/format.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

using namespace quern;

std::string quern::formatDims(std::span<const int64_t> dims) {
  return dims.empty() ? "scalar" : fmt::format("{}", fmt::join(dims, "x"));
}

/// A block of at least so many bytes at an address that is a multiple of `alignment`; null when
/// there is no memory. Of medium sizes a block has some room: what a loop makes a little larger
/// from step to step then fits where it was before. aligned_alloc would not find a block again that
/// it has given back itself: it asks for more and returns what it does not need.
static std::shared_ptr<void> allocateBlock(size_t bytes, size_t alignment) {
  constexpr size_t kMedium = size_t{64} << 10, kLarge = size_t{4} << 20, kParts = 16;
  bool isMedium = bytes >= kMedium && bytes < kLarge;
  size_t step = isMedium ? std::bit_floor(bytes) / kParts : 1;
  size_t rounded = (bytes + step - 1) / step * step;
  void *memory = std::malloc(rounded + alignment);
  if (!memory)
    return nullptr;
  auto address = (reinterpret_cast<uintptr_t>(memory) + alignment - 1) / alignment * alignment;
  return std::shared_ptr<void>(reinterpret_cast<void *>(address),
                               [memory](void *) { std::free(memory); });
}

static Expected<Tensor> allocateTensor(DType dtype, Tensor::Dims dims, const Limits &limits,
                                       bool zeroFill) {
  CheckedSize count = CheckedSize::product(dims);
  CheckedSize bytes = count * CheckedSize(dtypeBytes(dtype));
  auto what = [&] { return fmt::format("{} {}", dtypeName(dtype), formatDims(dims)); };
  if (!bytes.valid())
    return resourceLimit("size of tensor " + what() + " is negative or overflows");
  if (bytes.value() > limits.maxTensorBytes)
    return resourceLimit(fmt::format("tensor {} needs {} bytes, the limit is {}", what(),
                                     bytes.value(), limits.maxTensorBytes));
  if (dtype == DType::String) {
    auto strings = std::make_shared<std::vector<std::string>>(count.value());
    return Tensor::borrow(dtype, std::move(dims), strings->data(), strings);
  }
  PageLayout pages = PageLayout::of(bytes);
  auto size = static_cast<size_t>(pages.size.value());
  std::shared_ptr<void> owner =
      pages.size.valid() ? allocateBlock(size, static_cast<size_t>(pages.alignment)) : nullptr;
  if (!owner)
    return resourceLimit("out of memory for tensor " + what());
  void *memory = owner.get();
  pages.advise(memory);
  if (zeroFill)
    std::memset(memory, 0, size);
  return Tensor::borrow(dtype, std::move(dims), memory, owner);
}

Expected<Tensor> Tensor::allocate(DType dtype, Dims dims, const Limits &limits) {
  return allocateTensor(dtype, std::move(dims), limits, /*zeroFill=*/true);
}

Expected<Tensor> Tensor::allocateUninitialized(DType dtype, Dims dims, const Limits &limits) {
  return allocateTensor(dtype, std::move(dims), limits, /*zeroFill=*/false);
}

Tensor Tensor::borrow(DType dtype, Dims dims, const void *data, std::shared_ptr<const void> owner) {
  Tensor t;
  t.elementType = dtype;
  t.sizes = std::move(dims);
  t.elements = CheckedSize::product(t.sizes).value();
  t.storage = data;
  t.keepAlive = std::move(owner);
  return t;
}

Tensor Tensor::reshaped(Dims dims) const {
  assert(CheckedSize::product(dims).value() == elements);
  Tensor t = *this;
  t.sizes = std::move(dims);
  return t;
}

Expected<Tensor> Tensor::clone() const {
  QUERN_ASSIGN(Tensor copy,
               allocateUninitialized(elementType, sizes, Limits{.maxTensorBytes = INT64_MAX}));
  if (elementType == DType::String) {
    for (int64_t i = 0; i < elements; ++i)
      copy.mutableData<std::string>()[i] = data<std::string>()[i];
  } else if (elements > 0) {
    std::memcpy(copy.mutableRawData(), storage, static_cast<size_t>(numBytes()));
  }
  return copy;
}

std::string Tensor::describe() const {
  return fmt::format("{} {}", dtypeName(elementType), formatDims(sizes));
}
