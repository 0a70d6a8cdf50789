//===- Tensor.h - dense tensors -------------------------------------------===//
#pragma once

#include "quern/CheckedSize.h"
#include "quern/DType.h"
#include "quern/Limits.h"
#include "quern/Status.h"

#include <cassert>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern {

/// A dense, row-major tensor. Copying shares the elements; `clone` copies them.
/// Owned storage is 64-byte aligned, unless of strings; borrowed storage keeps its
/// owner alive through a shared pointer, or is the caller's to keep alive.
/// A default-constructed Tensor is "absent" (an omitted optional input).
class Tensor {
public:
  using Dims = std::vector<int64_t>;

  Tensor() = default;

  /// Zero-filled owned storage (empty strings for DType::String). Fails with
  /// ResourceLimit on overflow, on a negative dimension, above
  /// `limits.maxTensorBytes`, or when memory is exhausted.
  static Expected<Tensor> allocate(DType dtype, Dims dims, const Limits &limits = {});
  /// As `allocate`, without the zero fill (strings are empty all the same).
  static Expected<Tensor> allocateUninitialized(DType dtype, Dims dims, const Limits &limits = {});
  /// Views `data`, which must hold numElements elements; `owner` keeps it alive.
  static Tensor borrow(DType dtype, Dims dims, const void *data,
                       std::shared_ptr<const void> owner = nullptr);
  /// An owned tensor with the elements of `values`; for tests and small constants.
  template <typename T> static Tensor of(Dims dims, const std::vector<T> &values);
  static Tensor ofInts(const std::vector<int64_t> &values);

  bool isPresent() const { return elementType != DType::Undefined; }
  /// Whether the tensor keeps its storage alive, alone or with copies and others.
  bool isOwner() const { return keepAlive != nullptr; }
  /// Whether nobody else keeps the storage, so that writing changes no other tensor.
  bool isSoleOwner() const { return keepAlive.use_count() == 1; }
  DType dtype() const { return elementType; }
  const Dims &dims() const { return sizes; }
  int64_t rank() const { return static_cast<int64_t>(sizes.size()); }
  int64_t dim(int64_t i) const { return sizes[i]; }
  int64_t numElements() const { return elements; }
  /// Bytes of storage (for strings: of the std::string objects).
  int64_t numBytes() const { return elements * dtypeBytes(elementType); }

  const void *rawData() const { return storage; }
  void *mutableRawData() { return const_cast<void *>(storage); }
  /// The elements; T must be the C++ type of dtype() (std::string for strings).
  template <typename T> const T *data() const { return static_cast<const T *>(storage); }
  template <typename T> T *mutableData() { return static_cast<T *>(const_cast<void *>(storage)); }
  template <typename T> std::span<const T> elementsAs() const {
    return {data<T>(), static_cast<size_t>(elements)};
  }

  /// The same elements with other dims of the same element count.
  Tensor reshaped(Dims dims) const;
  /// A deep copy in owned storage.
  Expected<Tensor> clone() const;
  /// "float32 1x3x224x224".
  std::string describe() const;

private:
  DType elementType = DType::Undefined;
  Dims sizes;
  int64_t elements = 0;
  const void *storage = nullptr;
  std::shared_ptr<const void> keepAlive;
};

/// "1x3x224x224"; "scalar" for rank 0.
std::string formatDims(std::span<const int64_t> dims);

template <typename T> Tensor Tensor::of(Dims dims, const std::vector<T> &values) {
  Expected<Tensor> t = allocate(dtypeOf<T>(), std::move(dims));
  assert(t && t->numElements() == static_cast<int64_t>(values.size()));
  T *out = t->template mutableData<T>();
  for (size_t i = 0; i < values.size(); ++i)
    out[i] = values[i];
  return t.take();
}

inline Tensor Tensor::ofInts(const std::vector<int64_t> &values) {
  return of<int64_t>({static_cast<int64_t>(values.size())}, values);
}

} // namespace quern
