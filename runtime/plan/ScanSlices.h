//===- ScanSlices.h - cutting operands, joining results -------------------===//
#pragma once

#include "runtime/plan/CallPlan.h"
#include "runtime/plan/IteratedStep.h"

#include <optional>

namespace quern {

/// A tensor that iterations see a slice of, along one of its axes.
class SlicedInput {
public:
  /// Of the operand of this run.
  Status begin(const ScanInput &input, const Frame &caller);
  int64_t count() const { return sliceCount; }
  /// Slice `number` in the order of iterations: in the operand itself where it is one
  /// piece, else put together where all slices are.
  Expected<Tensor> slice(int64_t number, Budget &budget);
  /// Binds the slice to an input.
  Status bind(int64_t number, Frame &body, size_t input, Budget &budget);
  void clear();

private:
  Expected<const void *> elements(int64_t number, Budget &budget);

  AnyValue operand;
  const std::byte *base = nullptr;
  Tensor staging;
  DType dtype = DType::Undefined;
  Tensor::Dims sliceDims;
  int64_t sliceCount = 0, outer = 1, inner = 1;
  bool backward = false;
};

/// A tensor that iterations add a slice to, along one of its axes.
class StackedOutput {
public:
  /// How many slices there will be: exactly, or at most.
  struct Count {
    std::optional<int64_t> exactly, atMost;
  };
  Status begin(const ScanOutput &output, const Frame &caller, const Count &count);
  /// Where the body writes slice `number` if its output is static.
  Status bind(int64_t number, Frame &body, size_t output, Budget &budget);
  /// Adds what the body has written.
  Status add(int64_t number, const Frame &body, size_t output, Budget &budget);
  /// Gives the result to the caller.
  Status finish(int64_t rows, const ScanOutput &output, Frame &caller, Budget &budget);
  /// Bytes of storage that is neither the caller's nor the arena.
  int64_t ownBytes() const { return storage.numBytes() + staging.numBytes(); }
  void clear() { storage = staging = Tensor(); }

private:
  Status setSlice(const Tensor::Dims &dims);
  Status acceptSlice(DType found, const Tensor::Dims &dims);
  Status reserve(int64_t rows, Budget &budget);
  Tensor::Dims resultDims(int64_t rows) const;
  std::byte *slicePosition(int64_t number) const;

  /// Of the result, and of one slice where slices are not one piece in it.
  Tensor storage, staging;
  std::byte *base = nullptr;
  DType dtype = DType::Undefined;
  Tensor::Dims sliceDims;
  bool knowsSlice = false, isPlaced = false, backward = false;
  Count count;
  int64_t axis = 0, capacity = 0, outer = 1, inner = 1;
  /// Of a result that has a place.
  const Tensor::Dims *placedDims = nullptr;
};

} // namespace quern
