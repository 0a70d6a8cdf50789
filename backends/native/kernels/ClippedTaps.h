//===- ClippedTaps.h - the part of a filter that lies on an image ---------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"

namespace quern::native {

/// Taps [from, to) of a filter along one axis; none: from == to.
struct ClippedTaps {
  mlir::Value from, to;
};

/// Those that lie on [0, size), of `taps` taps `dilation` apart, the first of which is at `start`.
inline ClippedTaps clipTaps(KernelBuilder &kb, mlir::Value start, mlir::Value taps,
                            mlir::Value dilation, mlir::Value size) {
  mlir::Value zero = kb.index(0);
  // Taps before the one that is `distance` or more behind the first.
  auto tapsBefore = [&](mlir::Value distance) {
    mlir::Value rounded = kb.add(kb.maxSigned(distance, zero), kb.sub(dilation, kb.index(1)));
    return kb.minSigned(kb.div(rounded, dilation), taps);
  };
  ClippedTaps clipped;
  clipped.from = tapsBefore(kb.sub(zero, start));
  clipped.to = kb.maxSigned(tapsBefore(kb.sub(size, start)), clipped.from);
  return clipped;
}

} // namespace quern::native
