//===- Kernel.h - the signature of emitted kernels ------------------------===//
#pragma once

#include "quern/Status.h"

#include <atomic>
#include <cstdint>

namespace quern {

/// The signature of every emitted kernel: a sequential function over the tasks
/// [taskBegin, taskEnd). `buffers` and `dims` are those of its plan step; `scratch`
/// is the worker's own memory, 64-byte aligned, of the size that the step states
/// (null for none), with any contents. Returns 0, or the TrapCode of the first task
/// that cannot be done; what the step writes is of no use then.
using KernelFunction = int32_t (*)(void *const *buffers, const int64_t *dims, int64_t taskBegin,
                                   int64_t taskEnd, void *scratch);

/// Why a kernel gives up on its operands' values. The numbers are part of the AOT
/// interface (see quern/model_abi.h): 1 to 254, never given another meaning.
enum class TrapCode : uint8_t {
  IndexOutOfRange = 1,
};

/// InvalidInput that says what a kernel's answer means; Internal for an unknown one.
Status trapStatus(int32_t reason);

/// The first trap in task order among the ranges of one step, which run in any
/// order: so that the error does not depend on the number of threads. Thread-safe.
class FirstTrap {
public:
  /// Whether the range that begins at this task can no longer change the answer.
  bool comesBefore(int64_t taskBegin) const {
    return first.load(std::memory_order_relaxed) >> kReasonBits < static_cast<uint64_t>(taskBegin);
  }
  /// Takes in what the kernel returned for the range that begins at `taskBegin`.
  void note(int64_t taskBegin, int32_t reason);
  /// OK when no range trapped. For after all of them.
  Status status() const;

private:
  static constexpr unsigned kReasonBits = 8;
  static constexpr uint64_t kNone = UINT64_MAX;
  /// The first task of the range, then the reason: the order of the numbers is that
  /// of the tasks.
  std::atomic<uint64_t> first = kNone;
};

} // namespace quern
