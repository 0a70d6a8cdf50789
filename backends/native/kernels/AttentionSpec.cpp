//===- AttentionSpec.cpp - keys and sizes of attention kernels ------------===//
#include "backends/native/kernels/AttentionKernel.h"

#include <bit>
#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace quern;
using namespace quern::native;

std::string AttentionSpec::key() const {
  std::string key = fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {} ", dtypeName(dtype), lanes, scoreVectors, valueVectors,
      fmt::join(scoreHeights, ","), fmt::join(valueHeights, ","), std::bit_cast<uint64_t>(scale),
      std::bit_cast<uint64_t>(softcap), static_cast<int>(mask), static_cast<int>(condition),
      std::bit_cast<uint64_t>(hiddenScore), scoreType ? dtypeName(*scoreType) : "exact");
  for (bool flag : {hasScale, causal, hasOffset, zeroMaskedRows, rowsOfKeys, stridedQuery, maskSize,
                    maskValueSize, roundSums})
    key += flag ? '1' : '0';
  return key;
}

std::vector<int64_t> AttentionSizes::flatten(const AttentionShape &s) const {
  std::vector<int64_t> dims = {s.heads, s.queries, s.keys,      s.size,       s.valueSize,
                               rows,    chunks,    s.key.group, s.value.group};
  for (const AttentionOperand *operand :
       {&s.query, &s.key, &s.value, &s.result, &s.mask, &s.condition})
    dims.insert(dims.end(), operand->strides.begin(), operand->strides.end());
  return dims;
}

CheckedSize AttentionSizes::scratch(const AttentionSpec &spec, const AttentionShape &shape,
                                    int64_t rows) {
  CheckedSize size = CheckedSize(shape.size).alignedTo(spec.lanes),
              valueSize = CheckedSize(shape.valueSize).alignedTo(spec.valueVectors * spec.lanes);
  constexpr int64_t kStates = 4; // of a row
  return CheckedSize(AttentionSpec::kBlock) * (size + valueSize) +
         CheckedSize(rows) * (valueSize + CheckedSize(AttentionSpec::kBlock + kStates));
}
