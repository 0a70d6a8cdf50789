//===- Kernel.cpp - what kernels answer -----------------------------------===//
#include "runtime/plan/Kernel.h"

#include <fmt/format.h>

using namespace quern;

Status quern::trapStatus(int32_t reason) {
  switch (static_cast<TrapCode>(reason)) {
  case TrapCode::IndexOutOfRange:
    return invalidInput("an index is out of range");
  }
  return internalError(fmt::format("the kernel refused for the unknown reason {}", reason));
}

void FirstTrap::note(int64_t taskBegin, int32_t reason) {
  if (reason == 0)
    return;
  constexpr int32_t kUnknown = (1 << kReasonBits) - 1;
  uint64_t mine = static_cast<uint64_t>(taskBegin) << kReasonBits |
                  static_cast<uint64_t>(reason > 0 && reason < kUnknown ? reason : kUnknown);
  uint64_t seen = first.load(std::memory_order_relaxed);
  while (mine < seen && !first.compare_exchange_weak(seen, mine, std::memory_order_relaxed)) {
  }
}

Status FirstTrap::status() const {
  uint64_t seen = first.load(std::memory_order_relaxed);
  return seen == kNone ? Status::ok()
                       : trapStatus(static_cast<int32_t>(seen & ((1u << kReasonBits) - 1)));
}
