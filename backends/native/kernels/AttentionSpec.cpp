//===- AttentionSpec.cpp - sizes of attention kernels ----------------------===//
#include "backends/native/kernels/AttentionKernel.h"

using namespace quern;
using namespace quern::native;

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
  CheckedSize sizePadded = CheckedSize(size).alignedTo(spec.lanes * spec.types().group()),
              valuePadded = CheckedSize(valueSize).alignedTo(spec.valueVectors * spec.lanes);
  // Numbers and vectors of a row.
  constexpr int64_t kStates = 4, kVectorStates = 2;
  int64_t tileRows = spec.tiled ? AttentionSpec::kTileRows : 1;
  CheckedSize tileSums = spec.tiled ? tileRows * 2 * spec.lanes : 0;
  CheckedSize factors = CheckedSize(AttentionSpec::kBlock) * (sizePadded + valuePadded),
              sums = CheckedSize(rows).alignedTo(tileRows) *
                         (valuePadded + CheckedSize(AttentionSpec::kBlock)) +
                     tileSums,
              states = CheckedSize(rows).alignedTo(spec.lanes) *
                       CheckedSize(kStates + kVectorStates * spec.lanes);
  return factors * dtypeBytes(spec.factors) + (sums + states) * dtypeBytes(spec.dtype);
}
