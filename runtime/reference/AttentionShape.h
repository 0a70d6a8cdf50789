//===- AttentionShape.h - sizes and strides of an attention ---------------===//
#pragma once

#include "quern/Status.h"

#include <array>
#include <cstdint>
#include <span>

namespace quern {

/// A tensor read as [batch, heads, length, size].
struct AttentionOperand {
  std::array<int64_t, 4> sizes{1, 1, 1, 1};
  /// In elements; 0 along what is broadcast.
  std::array<int64_t, 4> strides{};
  /// How many heads of the result each of its heads serves.
  int64_t group = 1;

  int64_t offset(int64_t batch, int64_t head, int64_t row) const {
    return batch * strides[0] + head / group * strides[1] + row * strides[2];
  }
};

/// What nn.attention reads and writes. Mask and condition are [batch, heads, queries, keys].
struct AttentionShape {
  int64_t batch = 0, heads = 0, queries = 0, keys = 0, size = 0, valueSize = 0;
  AttentionOperand query, key, value, mask, condition, result;
  /// The dims of the result as it lies in memory.
  std::array<int64_t, 4> resultDims{};
};

/// The dims of the operands and the order of their dimensions, as in nn.attention; those
/// of mask and condition are empty when there is none.
struct AttentionOperandDims {
  std::span<const int64_t> query, key, value, mask, condition;
  std::span<const int64_t> queryPerm, keyPerm, valuePerm, resultPerm;
};

/// An error when the operands do not fit together.
Expected<AttentionShape> attentionShape(const AttentionOperandDims &dims);

} // namespace quern
