//===- WeightStore.cpp - blobs that weights refer to ----------------------===//
#include "ir/WeightStore.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace quern;
using namespace quern::nn;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// Bytes at an address, or a recipe.
struct WeightSource::Blob {
  const std::byte *data = nullptr;
  int64_t size = 0;
  std::shared_ptr<const void> owner;
  bool isMappedFile = false;

  WeightRecipe recipe;
  /// Those that run with this one, itself included.
  int64_t recipes = 0;
  std::mutex mutex;
  /// The result of the recipe, until it is released.
  Tensor result;

  /// Addresses are used again, numbers are not.
  const uint64_t number = nextNumber++;
  static inline std::atomic<uint64_t> nextNumber = 0;
};

WeightSource::WeightSource(std::shared_ptr<Blob> blob, int64_t offset, DType dtype,
                           Tensor::Dims dims)
    : blob(std::move(blob)), offset(offset), elementType(dtype), sizes(std::move(dims)),
      bytes((CheckedSize::product(sizes) * CheckedSize(dtypeBytes(dtype))).value()) {}

WeightSource WeightSource::of(const Tensor &tensor) {
  auto blob = std::make_shared<Blob>();
  blob->data = static_cast<const std::byte *>(tensor.rawData());
  blob->size = tensor.numBytes();
  blob->owner = std::make_shared<const Tensor>(tensor);
  return WeightSource(std::move(blob), 0, tensor.dtype(), tensor.dims());
}

WeightSource WeightSource::computed(DType dtype, Tensor::Dims dims, WeightRecipe recipe,
                                    std::span<const WeightSource> operands, Tensor now) {
  int64_t recipes = 1;
  for (const WeightSource &operand : operands)
    recipes = std::min(recipes + operand.recipes(), kMaxRecipes + 1);
  if (recipes > kMaxRecipes && now.isPresent())
    return of(now);
  auto blob = std::make_shared<Blob>();
  blob->recipes = recipes;
  blob->recipe = std::move(recipe);
  blob->result = std::move(now);
  WeightSource source(blob, 0, dtype, std::move(dims));
  blob->size = source.bytes;
  return source;
}

int64_t WeightSource::recipes() const { return blob->recipes; }

std::string WeightSource::key() const {
  return fmt::format("{}+{}:{} {}", blob->number, offset, dtypeName(elementType),
                     formatDims(sizes));
}

std::optional<Tensor> WeightSource::viewAtHand() const {
  if (!blob->recipe)
    return Tensor::borrow(elementType, sizes, blob->data + offset, blob->owner);
  std::lock_guard lock(blob->mutex);
  return blob->result.isPresent() && blob->result.numBytes() == bytes ? std::optional(blob->result)
                                                                      : std::nullopt;
}

Expected<Tensor> WeightSource::view() const {
  if (!blob->recipe)
    return Tensor::borrow(elementType, sizes, blob->data + offset, blob->owner);
  Tensor result;
  {
    std::lock_guard lock(blob->mutex);
    result = blob->result;
  }
  // Not kept: whoever reads a weight a second time can wait for it.
  if (!result.isPresent()) {
    QUERN_ASSIGN(result, blob->recipe());
  }
  if (result.dtype() != elementType || result.numBytes() != bytes)
    return internalError(fmt::format("a folded weight is {}, wanted {} {}", result.describe(),
                                     dtypeName(elementType), formatDims(sizes)));
  return result.reshaped(sizes);
}

Expected<Tensor> WeightSource::load() const {
  QUERN_ASSIGN(Tensor tensor, view());
  auto alignment = static_cast<uintptr_t>(std::max<int64_t>(dtypeBytes(elementType), 1));
  bool aligned = reinterpret_cast<uintptr_t>(tensor.rawData()) % alignment == 0;
  return aligned || elementType == DType::String ? Expected<Tensor>(tensor) : tensor.clone();
}

void WeightSource::release(int64_t begin, int64_t end) const {
  if (blob->isMappedFile && begin < end) {
    // Whole pages: what others still read of the first and last comes back by itself.
    static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    uintptr_t first = reinterpret_cast<uintptr_t>(blob->data + offset + begin) / page * page;
    auto last = reinterpret_cast<uintptr_t>(blob->data + offset + end);
    (void)::madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
  } else if (blob->recipe && end == bytes) {
    std::lock_guard lock(blob->mutex);
    blob->result = Tensor();
  }
}

//===----------------------------------------------------------------------===//
// The store
//===----------------------------------------------------------------------===//

void WeightStore::addBlob(std::string name, std::shared_ptr<Blob> blob) {
  std::lock_guard lock(mutex);
  blobs[std::move(name)] = std::move(blob);
}

void WeightStore::addBlob(std::string name, const void *data, int64_t size,
                          std::shared_ptr<const void> owner) {
  auto blob = std::make_shared<Blob>();
  blob->data = static_cast<const std::byte *>(data);
  blob->size = size;
  blob->owner = std::move(owner);
  addBlob(std::move(name), std::move(blob));
}

void WeightStore::addMappedFile(std::string name, const void *data, int64_t size,
                                std::shared_ptr<const void> owner) {
  auto blob = std::make_shared<Blob>();
  blob->data = static_cast<const std::byte *>(data);
  blob->size = size;
  blob->owner = std::move(owner);
  blob->isMappedFile = true;
  addBlob(std::move(name), std::move(blob));
}

std::string WeightStore::add(const WeightSource &weight) {
  assert(weight.offset == 0 && "a part of a blob has a name already");
  std::lock_guard lock(mutex);
  std::string name = fmt::format("tensor:{}", nextTensor++);
  blobs[name] = weight.blob;
  return name;
}

bool WeightStore::contains(const std::string &blob) const {
  std::lock_guard lock(mutex);
  return blobs.count(blob) != 0;
}

void WeightStore::shareBlobs(const WeightStore &other) {
  std::scoped_lock lock(mutex, other.mutex);
  blobs.insert(other.blobs.begin(), other.blobs.end());
  nextTensor = std::max(nextTensor, other.nextTensor);
}

Expected<WeightSource> WeightStore::find(const std::string &name, int64_t offset, DType dtype,
                                         Tensor::Dims dims) const {
  std::shared_ptr<Blob> blob;
  {
    std::lock_guard lock(mutex);
    if (auto it = blobs.find(name); it != blobs.end())
      blob = it->second;
  }
  if (!blob)
    return invalidModel("no weight blob named '" + name + "'");
  CheckedSize bytes = CheckedSize::product(dims) * CheckedSize(dtypeBytes(dtype));
  // What is computed is read as a whole.
  bool lies = bytes.valid() && offset >= 0 && offset <= blob->size &&
              bytes.value() <= blob->size - offset &&
              (!blob->recipe || (offset == 0 && bytes.value() == blob->size));
  if (!lies)
    return invalidModel(
        fmt::format("weight {} at offset {} does not lie inside blob '{}' of {} bytes",
                    formatDims(dims), offset, name, blob->size));
  return WeightSource(std::move(blob), offset, dtype, std::move(dims));
}

Expected<Tensor> WeightStore::read(const std::string &blob, int64_t offset, DType dtype,
                                   Tensor::Dims dims) const {
  QUERN_ASSIGN(WeightSource weight, find(blob, offset, dtype, std::move(dims)));
  return weight.load();
}
