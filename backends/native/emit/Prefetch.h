//===- Prefetch.h - asking for memory before it is read -------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"

namespace quern::native {

/// Where what is asked for comes to lie.
enum class CacheLevel {
  First = 3,  ///< of what is read soon
  Second = 2, ///< of what is read after much else
};

/// Asks for the cache line at `pointer`, which need not exist, and does not wait for it.
void prefetch(KernelBuilder &kb, mlir::Value pointer, CacheLevel level);

} // namespace quern::native
