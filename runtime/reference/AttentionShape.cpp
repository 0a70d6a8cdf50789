//===- AttentionShape.cpp - sizes and strides of an attention -------------===//
#include "runtime/reference/AttentionShape.h"

#include "quern/CheckedSize.h"
#include "runtime/values/Strides.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

using namespace quern;

namespace {
enum { kBatch, kHeads, kLength, kSize, kRank };
} // namespace

static Expected<AttentionOperand> permuted(std::span<const int64_t> dims,
                                           std::span<const int64_t> perm, std::string_view name) {
  if (dims.size() != kRank || perm.size() != kRank)
    return invalidInput(fmt::format("{} must have rank 4, found {}", name, dims.size()));
  std::vector<int64_t> strides = rowMajorStrides(dims);
  AttentionOperand operand;
  for (size_t i = 0; i < kRank; ++i) {
    if (perm[i] < 0 || perm[i] >= kRank || std::count(perm.begin(), perm.end(), perm[i]) != 1)
      return invalidInput(fmt::format("the order of the dimensions of {} is no permutation", name));
    operand.sizes[i] = dims[static_cast<size_t>(perm[i])];
    operand.strides[i] = strides[static_cast<size_t>(perm[i])];
  }
  return operand;
}

static Expected<AttentionOperand> maskOperand(std::span<const int64_t> dims,
                                              std::string_view name) {
  if (dims.size() > kRank)
    return invalidInput(fmt::format("{} must have rank 4 or less, found {}", name, dims.size()));
  std::vector<int64_t> strides = rowMajorStrides(dims);
  AttentionOperand operand;
  std::copy(dims.begin(), dims.end(), operand.sizes.end() - static_cast<int64_t>(dims.size()));
  std::copy(strides.begin(), strides.end(),
            operand.strides.end() - static_cast<int64_t>(dims.size()));
  return operand;
}

static Expected<int64_t> broadcast(int64_t a, int64_t b, std::string_view what) {
  if (a != b && a != 1 && b != 1)
    return invalidInput(fmt::format("{} must be equal or 1, found {} and {}", what, a, b));
  return a == 1 ? b : a;
}

/// How many heads there are where `many` meet `few`, of which each may serve several.
static Expected<int64_t> groupHeads(int64_t many, int64_t few, std::string_view name) {
  if (few == 1 || many == few)
    return many;
  if (many == 1)
    return few;
  if (few == 0 || many % few != 0)
    return invalidInput(fmt::format("{} heads are no multiple of {} heads of {}", many, few, name));
  return many;
}

/// Makes `operand` readable with the sizes of the whole.
static void spread(AttentionOperand &operand, const std::array<int64_t, 4> &wanted) {
  for (size_t i = 0; i < kRank; ++i)
    if (operand.sizes[i] == 1 && wanted[i] != 1)
      operand.strides[i] = 0;
  operand.group =
      std::max<int64_t>(1, wanted[kHeads] / std::max<int64_t>(1, operand.sizes[kHeads]));
}

static Status resolveHeads(AttentionShape &s) {
  QUERN_ASSIGN(s.heads, groupHeads(s.query.sizes[kHeads], s.key.sizes[kHeads], "key"));
  for (const AttentionOperand *operand : {&s.mask, &s.condition}) {
    QUERN_ASSIGN(s.heads, broadcast(s.heads, operand->sizes[kHeads], "heads"));
  }
  QUERN_ASSIGN(s.heads, groupHeads(s.heads, s.value.sizes[kHeads], "value"));
  return Status::ok();
}

static Status resolveSizes(AttentionShape &s) {
  s.size = s.query.sizes[kSize];
  s.valueSize = s.value.sizes[kSize];
  if (s.key.sizes[kSize] != s.size)
    return invalidInput(
        fmt::format("heads of query have size {}, those of key {}", s.size, s.key.sizes[kSize]));
  s.keys = s.key.sizes[kLength];
  s.queries = s.query.sizes[kLength];
  for (const AttentionOperand *operand : {&s.mask, &s.condition}) {
    QUERN_ASSIGN(s.keys, broadcast(s.keys, operand->sizes[kSize], "keys"));
    QUERN_ASSIGN(s.queries, broadcast(s.queries, operand->sizes[kLength], "queries"));
  }
  if (s.value.sizes[kLength] != s.keys)
    return invalidInput(
        fmt::format("there are {} keys and {} values", s.keys, s.value.sizes[kLength]));
  s.batch = 1;
  for (const AttentionOperand *operand : {&s.query, &s.key, &s.mask, &s.condition, &s.value}) {
    QUERN_ASSIGN(s.batch, broadcast(s.batch, operand->sizes[kBatch], "batches"));
  }
  return resolveHeads(s);
}

Expected<AttentionShape> quern::attentionShape(const AttentionOperandDims &dims) {
  AttentionShape s;
  QUERN_ASSIGN(s.query, permuted(dims.query, dims.queryPerm, "query"));
  QUERN_ASSIGN(s.key, permuted(dims.key, dims.keyPerm, "key"));
  QUERN_ASSIGN(s.value, permuted(dims.value, dims.valuePerm, "value"));
  QUERN_ASSIGN(s.mask, maskOperand(dims.mask, "mask"));
  QUERN_ASSIGN(s.condition, maskOperand(dims.condition, "condition"));
  QUERN_TRY(resolveSizes(s));
  s.result.sizes = {s.batch, s.heads, s.queries, s.valueSize};
  if (!CheckedSize::product(s.result.sizes).valid())
    return invalidInput("the size of the result overflows");
  if (dims.resultPerm.size() != kRank)
    return invalidInput("the order of the dimensions of the result is no permutation");
  std::array<int64_t, 4> inverse{};
  for (size_t i = 0; i < kRank; ++i) {
    auto from = static_cast<size_t>(dims.resultPerm[i]);
    if (from >= kRank)
      return invalidInput("the order of the dimensions of the result is no permutation");
    s.resultDims[i] = s.result.sizes[from];
    inverse[from] = static_cast<int64_t>(i);
  }
  QUERN_ASSIGN(s.result, permuted(s.resultDims, inverse, "the result"));
  spread(s.query, {s.batch, s.heads, s.queries, s.size});
  spread(s.key, {s.batch, s.heads, s.keys, s.size});
  spread(s.value, {s.batch, s.heads, s.keys, s.valueSize});
  spread(s.mask, {s.batch, s.heads, s.queries, s.keys});
  spread(s.condition, {s.batch, s.heads, s.queries, s.keys});
  return s;
}
