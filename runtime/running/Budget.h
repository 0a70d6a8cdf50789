//===- Budget.h - what one run may still spend ----------------------------===//
#pragma once

#include "quern/AnyValue.h"
#include "quern/Limits.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace quern {

/// The time, the work and the memory of one run, or of the constant folding of one
/// compilation. The one way to end long work before it is done, whether a limit
/// asks for it or the caller does. For one thread, unless said otherwise.
class Budget {
public:
  static constexpr int64_t kUnlimited = INT64_MAX;

  /// `doing` completes "time limit exceeded while ...". `cancelled`, unless null,
  /// outlives the budget and asks for the end once it is true.
  explicit Budget(const Limits &limits, const std::atomic<bool> *cancelled = nullptr,
                  std::string_view doing = "running", int64_t work = kUnlimited);

  const Limits &limits() const { return bounds; }

  /// Whether the work was cancelled or its time is over; it stays so. Thread-safe.
  bool mustStop() const {
    return (cancelled && cancelled->load(std::memory_order_relaxed)) || bounds.deadline.passed();
  }
  /// Why it must stop: StatusCode::Cancelled or ResourceLimit. Thread-safe.
  Status check() const;

  /// Counts work that is about to be done; a unit is about a nanosecond. Cheap
  /// enough for every row of a tensor, and not to be called less often than every
  /// few milliseconds. Fails when no work is left or mustStop() holds.
  Status spend(int64_t units) {
    spent += units;
    return spent < nextCheck ? Status::ok() : checkSpent();
  }
  /// Calls body(begin, end) for consecutive parts of [0, count), of which each is
  /// spent before: `units` for each element.
  template <typename Body> Status forParts(int64_t count, int64_t units, Body &&body) {
    constexpr int64_t kPart = 1 << 16;
    for (int64_t begin = 0; begin < count; begin += kPart) {
      int64_t end = std::min(begin + kPart, count);
      QUERN_TRY(spend((end - begin) * units));
      body(begin, end);
    }
    return Status::ok();
  }
  /// Fails when less than `units` of work are left, so that no work is done in vain.
  Status require(CheckedSize units) const;

  /// Counts bytes of activations that stay in use; tensors that share storage count
  /// each, so that the limit errs on the safe side. ResourceLimit when more than
  /// maxActivationBytes are held then.
  Status hold(int64_t bytes);
  void release(int64_t bytes) { held -= bytes; }
  int64_t heldBytes() const { return held; }
  /// Gives `result` storage that nothing else refers to, which its receiver may
  /// write into, held: copies of what is not so already.
  Status unshare(AnyValue &result);

  /// Frees the scratch memory of the step before, and counts anew what one allocates.
  void beginStep();

  /// As the functions of Tensor; the step may not exceed maxActivationBytes with
  /// what is held and all it allocates.
  Expected<Tensor> allocate(DType dtype, Tensor::Dims dims);
  Expected<Tensor> allocateUninitialized(DType dtype, Tensor::Dims dims);
  /// Sets all elements to zero (empty strings).
  Status zeroFill(Tensor &tensor);
  /// Uninitialized memory that lives until the next step begins.
  template <typename T> Expected<std::span<T>> scratch(CheckedSize count) {
    static_assert(std::is_trivially_copyable_v<T>);
    QUERN_ASSIGN(void *memory, scratchBytes(count * CheckedSize(sizeof(T))));
    return std::span<T>(static_cast<T *>(memory), static_cast<size_t>(count.value()));
  }

private:
  Status checkSpent();
  Expected<void *> scratchBytes(CheckedSize bytes);

  Limits bounds;
  const std::atomic<bool> *cancelled;
  std::string_view doing;
  int64_t work;
  int64_t spent = 0;
  int64_t nextCheck;
  int64_t held = 0;
  /// What the step has allocated.
  int64_t taken = 0;
  std::vector<Tensor> scratchTensors;
};

} // namespace quern
