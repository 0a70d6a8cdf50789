//===- CeilDiv.h - division that rounds up --------------------------------===//
#pragma once

#include <cstdint>

namespace quern {

/// a / b rounded up, for any `a` and a positive `b`; cannot overflow.
constexpr int64_t ceilDiv(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

} // namespace quern
