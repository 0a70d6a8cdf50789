//===- FloatEnvironment.h - the floating-point mode of a run --------------===//
#pragma once

#include <cstdint>

namespace quern {

/// While it lives, this thread rounds to nearest and traps nothing, whatever the
/// caller had set, and flushes subnormals to zero (inputs and results) when
/// asked to. The caller's mode and exception flags come back with destruction.
class FloatEnvironment {
public:
  explicit FloatEnvironment(bool flushSubnormals);
  ~FloatEnvironment();
  FloatEnvironment(const FloatEnvironment &) = delete;
  FloatEnvironment &operator=(const FloatEnvironment &) = delete;

private:
  uint64_t saved;
};

} // namespace quern
