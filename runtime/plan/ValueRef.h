//===- ValueRef.h - where the values of a plan lie ------------------------===//
#pragma once

#include "quern/AnyValue.h"

#include <cstdint>
#include <vector>

namespace quern {

/// Where a buffer starts.
struct BufferRef {
  enum class Space : uint8_t {
    Arena,   ///< byte `offset` of the plan's arena
    Weights, ///< byte `offset` of weight tensor `index`
    Input,   ///< byte `offset` of the plan's input `index`
    Output,  ///< byte `offset` of the plan's output `index`
    Dynamic, ///< the value in dynamic slot `index` (no operand of a KernelStep)
  };
  Space space = Space::Arena;
  uint32_t index = 0;
  int64_t offset = 0;

  bool isDynamic() const { return space == Space::Dynamic; }
};

/// An operand or result of a step that is no kernel. A Dynamic one has no dims: its
/// size is known only when the step has run. Values that are no tensors are Dynamic
/// or constant. An absent operand has dtype Undefined and no slot.
struct ValueRef {
  BufferRef buffer;
  DType dtype = DType::Undefined;
  Tensor::Dims dims = {};
  /// A constant operand itself; the rest says nothing then. Strings, for one, have
  /// no place in a plan's memory.
  AnyValue constant = {};
  ValueType::Kind kind = ValueType::Kind::Tensor;
  /// Which value it is, for who makes plans of one graph.
  uint32_t number = 0;
};

/// Results and operands of a step, those left out among them.
using ValueRefs = std::vector<const ValueRef *>;
inline void addAll(ValueRefs &refs, const std::vector<ValueRef> &list) {
  for (const ValueRef &ref : list)
    refs.push_back(&ref);
}

} // namespace quern
