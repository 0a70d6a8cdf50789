//===- WeightStore.h - blobs that weights refer to ------------------------===//
#pragma once

#include "quern/Tensor.h"

#include <map>
#include <mutex>
#include <string>

namespace quern::nn {

/// Named byte blobs (mmapped files, folded results) that `nn.weight` ops refer
/// to by (blob, byte offset). One store per MLIRContext, owned by NNDialect.
/// Thread-safe.
class WeightStore {
public:
  /// Adds a blob of `size` bytes at `data`, kept alive by `owner`. Replaces a
  /// blob of the same name.
  void addBlob(std::string name, const void *data, int64_t size, std::shared_ptr<const void> owner);
  /// Adds a computed tensor as a blob of its own and returns the blob's name.
  std::string addTensor(const Tensor &tensor);
  /// The tensor at (blob, offset), borrowed from the blob, or a copy when it is
  /// misaligned for its type; an error when it does not lie inside the blob.
  Expected<Tensor> read(const std::string &blob, int64_t offset, DType dtype,
                        Tensor::Dims dims) const;
  bool contains(const std::string &blob) const;
  /// Adds all blobs of `other`, under the names they have there.
  void shareBlobs(const WeightStore &other);

private:
  struct Blob {
    const std::byte *data = nullptr;
    int64_t size = 0;
    std::shared_ptr<const void> owner;
  };
  mutable std::mutex mutex;
  std::map<std::string, Blob> blobs;
  int64_t nextTensor = 0;
};

} // namespace quern::nn
