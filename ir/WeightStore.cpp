//===- WeightStore.cpp - blobs that weights refer to ----------------------===//
#include "ir/WeightStore.h"

#include <algorithm>

using namespace quern;
using namespace quern::nn;

void WeightStore::addBlob(std::string name, const void *data, int64_t size,
                          std::shared_ptr<const void> owner) {
  std::lock_guard lock(mutex);
  blobs[std::move(name)] = {static_cast<const std::byte *>(data), size, std::move(owner)};
}

std::string WeightStore::addTensor(const Tensor &tensor) {
  auto keep = std::make_shared<Tensor>(tensor);
  std::lock_guard lock(mutex);
  std::string name = "tensor:" + std::to_string(nextTensor++);
  blobs[name] = {static_cast<const std::byte *>(tensor.rawData()), tensor.numBytes(), keep};
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

Expected<Tensor> WeightStore::read(const std::string &blob, int64_t offset, DType dtype,
                                   Tensor::Dims dims) const {
  std::lock_guard lock(mutex);
  auto it = blobs.find(blob);
  if (it == blobs.end())
    return invalidModel("no weight blob named '" + blob + "'");
  CheckedSize bytes = CheckedSize::product(dims) * CheckedSize(dtypeBytes(dtype));
  int64_t size = it->second.size;
  if (!bytes.valid() || offset < 0 || offset > size || bytes.value() > size - offset)
    return invalidModel("weight " + formatDims(dims) + " at offset " + std::to_string(offset) +
                        " does not lie inside blob '" + blob + "' of " + std::to_string(size) +
                        " bytes");
  const std::byte *data = it->second.data + offset;
  Tensor view = Tensor::borrow(dtype, std::move(dims), data, it->second.owner);
  bool aligned = reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(dtypeBytes(dtype)) == 0;
  return aligned || dtype == DType::String ? Expected<Tensor>(view) : view.clone();
}
