//===- ValueList.h - values or tensors, seen alike ------------------------===//
//
// Callers hold tensors or values, and neither is copied to be passed on.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/AnyValue.h"

#include <span>

namespace quern {

/// Values that somebody else holds, as values or as tensors.
class ValueList {
public:
  ValueList() = default;
  ValueList(std::span<const Tensor> list) : tensors(list.data()), count(list.size()) {}
  ValueList(std::span<const AnyValue> list) : values(list.data()), count(list.size()) {}
  ValueList(const std::vector<Tensor> &list) : ValueList(std::span(list)) {}
  ValueList(const std::vector<AnyValue> &list) : ValueList(std::span(list)) {}

  size_t size() const { return count; }
  /// Null when the value is no tensor.
  const Tensor *asTensor(size_t i) const { return tensors ? &tensors[i] : values[i].asTensor(); }
  AnyValue operator[](size_t i) const { return tensors ? AnyValue(tensors[i]) : values[i]; }

private:
  const Tensor *tensors = nullptr;
  const AnyValue *values = nullptr;
  size_t count = 0;
};

/// A ValueList of which every value is known to be a tensor.
class TensorList {
public:
  TensorList(std::span<const Tensor> list) : list(list) {}
  TensorList(const std::vector<Tensor> &list) : list(list) {}
  /// InvalidInput, naming the operand, when one of them is no tensor.
  static Expected<TensorList> of(ValueList values);

  size_t size() const { return list.size(); }
  bool empty() const { return size() == 0; }
  const Tensor &operator[](size_t i) const { return *list.asTensor(i); }
  const Tensor &back() const { return (*this)[size() - 1]; }

  class Iterator {
  public:
    Iterator(const TensorList *list, size_t i) : list(list), i(i) {}
    const Tensor &operator*() const { return (*list)[i]; }
    Iterator &operator++() {
      ++i;
      return *this;
    }
    bool operator==(const Iterator &) const = default;

  private:
    const TensorList *list;
    size_t i;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

private:
  explicit TensorList(ValueList checked) : list(checked) {}
  ValueList list;
};

/// The values as tensors; InvalidInput, naming the result, when one is none.
Expected<std::vector<Tensor>> tensorsOf(std::vector<AnyValue> results);

/// Where results go that somebody else holds, as values or as tensors.
class ValueTargets {
public:
  ValueTargets() = default;
  ValueTargets(std::span<Tensor> list) : tensors(list.data()), count(list.size()) {}
  ValueTargets(std::span<AnyValue> list) : values(list.data()), count(list.size()) {}
  ValueTargets(std::vector<Tensor> &list) : ValueTargets(std::span(list)) {}
  ValueTargets(std::vector<AnyValue> &list) : ValueTargets(std::span(list)) {}

  size_t size() const { return count; }
  /// Null when what is there is no tensor.
  Tensor *asTensor(size_t i) const { return tensors ? &tensors[i] : values[i].asTensor(); }
  /// InvalidInput when there is only room for a tensor and `value` is none.
  Status set(size_t i, AnyValue value) const;
  ValueList list() const {
    return tensors ? ValueList(std::span<const Tensor>(tensors, count))
                   : ValueList(std::span<const AnyValue>(values, count));
  }

private:
  Tensor *tensors = nullptr;
  AnyValue *values = nullptr;
  size_t count = 0;
};

} // namespace quern
