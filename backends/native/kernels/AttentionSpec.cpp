//===- AttentionSpec.cpp - keys and sizes of attention kernels ------------===//
#include "backends/native/kernels/AttentionKernel.h"

#include <bit>
#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace quern;
using namespace quern::native;

static int keyOf(std::optional<OperandAccess> access) {
  return access ? static_cast<int>(*access) : -1;
}

std::string AttentionSpec::key() const {
  std::string key = fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {} ", dtypeName(dtype), lanes, scoreVectors, valueVectors,
      fmt::join(scoreHeights, ","), fmt::join(valueHeights, ","), std::bit_cast<uint64_t>(scale),
      std::bit_cast<uint64_t>(softcap), keyOf(mask), keyOf(condition),
      std::bit_cast<uint64_t>(hiddenScore), scoreType ? dtypeName(*scoreType) : "exact");
  for (bool flag : {hasScale, causal, hasOffset, zeroMaskedRows, rowsOfKeys, stridedQuery, maskSize,
                    maskValueSize, roundSums})
    key += flag ? '1' : '0';
  return key;
}

AttentionDims AttentionDims::of(const AttentionShape &s) {
  return {.heads = s.heads,
          .queries = s.queries,
          .keys = s.keys,
          .size = s.size,
          .valueSize = s.valueSize,
          .keyGroup = s.key.group,
          .valueGroup = s.value.group,
          .query = s.query.strides,
          .key = s.key.strides,
          .value = s.value.strides,
          .result = s.result.strides,
          .mask = s.mask.strides,
          .condition = s.condition.strides};
}

CheckedSize AttentionDims::scratch(const AttentionSpec &spec) const {
  CheckedSize sizePadded = CheckedSize(size).alignedTo(spec.lanes),
              valuePadded = CheckedSize(valueSize).alignedTo(spec.valueVectors * spec.lanes);
  constexpr int64_t kStates = 4; // of a row
  return CheckedSize(AttentionSpec::kBlock) * (sizePadded + valuePadded) +
         CheckedSize(rows) * (valuePadded + CheckedSize(AttentionSpec::kBlock + kStates));
}
