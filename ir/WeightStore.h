//===- WeightStore.h - blobs that weights refer to ------------------------===//
#pragma once

#include "quern/Tensor.h"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>

namespace quern::nn {

/// Computes a folded weight again. Holds nothing of MLIR; called from any thread.
using WeightRecipe = std::function<Expected<Tensor>()>;

/// One weight: where its elements come from, of what type and shape. They can be had
/// as often as wanted, so that nobody needs to keep what has been read: those of a
/// file are paged in again, folded ones are computed again. Copies are of the same
/// weight. Holds nothing of MLIR. Thread-safe.
class WeightSource {
public:
  /// A tensor in memory, kept by the source.
  static WeightSource of(const Tensor &tensor);
  /// What `recipe` computes from `operands`, of this type and shape. `now`, when
  /// present, is the result of a first call, kept until `release`; and for ever when
  /// computing it again would take more than kMaxRecipes.
  static WeightSource computed(DType dtype, Tensor::Dims dims, WeightRecipe recipe,
                               std::span<const WeightSource> operands = {}, Tensor now = {});
  /// Recipes run recipes, one inside the other, and some of them several times: a
  /// model can make that as deep and as many as it likes.
  static constexpr int64_t kMaxRecipes = 16;
  /// How many recipes run when it is computed again.
  int64_t recipes() const;

  DType dtype() const { return elementType; }
  const Tensor::Dims &dims() const { return sizes; }
  int64_t numBytes() const { return bytes; }
  /// The same text for the same weight, for as long as the process lives.
  std::string key() const;

  /// The elements. Those of a file may lie at addresses that are not aligned for
  /// their type: see runtime/values/Unaligned.h.
  Expected<Tensor> view() const;
  /// As `view`; nullopt where the elements would have to be computed.
  std::optional<Tensor> viewAtHand() const;
  /// The elements, aligned: a copy where need be.
  Expected<Tensor> load() const;
  /// Frees what memory can be had again: pages of files, computed tensors. Views stay valid.
  void release() const { release(0, bytes); }
  /// The same for some of the bytes of the weight, where that is possible.
  void release(int64_t begin, int64_t end) const;

private:
  friend class WeightStore;
  struct Blob;
  WeightSource(std::shared_ptr<Blob> blob, int64_t offset, DType dtype, Tensor::Dims dims);

  std::shared_ptr<Blob> blob;
  int64_t offset;
  DType elementType;
  Tensor::Dims sizes;
  int64_t bytes;
};

/// Named byte blobs (mapped files, folded results) that `nn.weight` ops refer to by
/// (blob, byte offset). One store per MLIRContext, owned by NNDialect. Thread-safe.
class WeightStore {
public:
  /// Adds a blob of `size` bytes at `data`, kept alive by `owner`. Replaces a
  /// blob of the same name.
  void addBlob(std::string name, const void *data, int64_t size, std::shared_ptr<const void> owner);
  /// The same for a file that is mapped (never for other memory: its pages may be
  /// dropped when they have been read).
  void addMappedFile(std::string name, const void *data, int64_t size,
                     std::shared_ptr<const void> owner);
  /// Adds a weight as a blob of its own and returns the blob's name.
  std::string add(const WeightSource &weight);
  /// Adds a computed tensor as a blob of its own and returns the blob's name.
  std::string addTensor(const Tensor &tensor) { return add(WeightSource::of(tensor)); }

  /// The weight at (blob, offset); an error when it does not lie inside the blob.
  Expected<WeightSource> find(const std::string &blob, int64_t offset, DType dtype,
                              Tensor::Dims dims) const;
  /// The elements of the weight at (blob, offset).
  Expected<Tensor> read(const std::string &blob, int64_t offset, DType dtype,
                        Tensor::Dims dims) const;
  bool contains(const std::string &blob) const;
  /// Adds all blobs of `other`, under the names they have there.
  void shareBlobs(const WeightStore &other);

private:
  using Blob = WeightSource::Blob;
  void addBlob(std::string name, std::shared_ptr<Blob> blob);

  mutable std::mutex mutex;
  std::map<std::string, std::shared_ptr<Blob>> blobs;
  int64_t nextTensor = 0;
};

} // namespace quern::nn
