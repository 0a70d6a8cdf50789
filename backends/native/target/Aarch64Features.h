//===- Aarch64Features.h - instruction sets of 64-bit Arm -----------------===//
#pragma once

#include "backends/native/target/CpuFeatures.h"

namespace quern::native {

extern const ArchFeatures kAarch64Features;

} // namespace quern::native
