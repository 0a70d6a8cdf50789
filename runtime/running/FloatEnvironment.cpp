//===- FloatEnvironment.cpp - the floating-point mode of a run ------------===//
#include "runtime/running/FloatEnvironment.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace quern;

namespace {
#if defined(__x86_64__)
// MXCSR: all exceptions masked, round to nearest; FTZ is bit 15, DAZ bit 6.
constexpr uint64_t kDefault = 0x1f80;
constexpr uint64_t kFlush = 0x8040;
uint64_t readMode() { return _mm_getcsr(); }
void writeMode(uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__)
// FPCR: FZ is bit 24.
constexpr uint64_t kDefault = 0;
constexpr uint64_t kFlush = uint64_t{1} << 24;
uint64_t readMode() {
  uint64_t mode;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
void writeMode(uint64_t mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
constexpr uint64_t kDefault = 0;
constexpr uint64_t kFlush = 0;
uint64_t readMode() { return 0; }
void writeMode(uint64_t) {}
#endif
} // namespace

FloatEnvironment::FloatEnvironment(bool flushSubnormals) : saved(readMode()) {
  writeMode(flushSubnormals ? kDefault | kFlush : kDefault);
}

FloatEnvironment::~FloatEnvironment() { writeMode(saved); }
