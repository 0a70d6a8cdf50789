//===- Budget.cpp - what one run may still spend --------------------------===//
#include "runtime/running/Budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

using namespace quern;

/// Work between two looks at the clock.
static constexpr int64_t kCheckInterval = 1 << 18;

Budget::Budget(const Limits &limits, const std::atomic<bool> *cancelled, std::string_view doing,
               int64_t work)
    : bounds(limits), cancelled(cancelled), doing(doing), work(work),
      nextCheck(std::min(work, kCheckInterval)) {}

Status Budget::check() const {
  if (cancelled && cancelled->load(std::memory_order_relaxed))
    return Status(StatusCode::Cancelled, "the run was cancelled");
  return bounds.deadline.check(doing);
}

Status Budget::checkSpent() {
  QUERN_TRY(check());
  if (spent > work)
    return resourceLimit(fmt::format("the work exceeds the limit of {}", work));
  // Beyond the budget by one, where the next unit of work fails.
  nextCheck = work - spent < kCheckInterval ? work : spent + kCheckInterval;
  return Status::ok();
}

Status Budget::require(CheckedSize units) const {
  if (units.valid() ? units.value() > work - std::min(spent, work) : work != kUnlimited)
    return resourceLimit(fmt::format("the work exceeds the limit of {}", work));
  return Status::ok();
}

static Status tooManyActivations(int64_t bytes, int64_t limit) {
  return resourceLimit(fmt::format("activations need {} bytes, the limit is {}", bytes, limit));
}

Status Budget::hold(int64_t bytes) {
  held += bytes;
  return held <= bounds.maxActivationBytes ? Status::ok()
                                           : tooManyActivations(held, bounds.maxActivationBytes);
}

Status Budget::unshare(AnyValue &result) {
  if (!result.isPresent() || result.isSoleOwner())
    return Status::ok();
  QUERN_TRY(hold(result.numBytes()));
  return result.unshare();
}

void Budget::beginStep() {
  taken = 0;
  scratchTensors.clear();
}

/// Adds `bytes` to what a step has taken, if they fit beside what is held.
static Status takeMemory(CheckedSize bytes, const Limits &bounds, int64_t held, int64_t &taken) {
  // What is no valid size, or too large for one tensor, is for the tensor to name.
  if (!bytes.valid() || bytes.value() > bounds.maxTensorBytes)
    return Status::ok();
  CheckedSize total = CheckedSize(held) + CheckedSize(taken) + bytes;
  if (!total.valid() || total.value() > bounds.maxActivationBytes)
    return tooManyActivations(total.value(), bounds.maxActivationBytes);
  taken += bytes.value();
  return Status::ok();
}

Expected<Tensor> Budget::allocateUninitialized(DType dtype, Tensor::Dims dims) {
  CheckedSize elements = CheckedSize::product(dims);
  if (elements.valid()) // each is written once
    QUERN_TRY(require(elements));
  QUERN_TRY(takeMemory(elements * CheckedSize(dtypeBytes(dtype)), bounds, held, taken));
  return Tensor::allocateUninitialized(dtype, std::move(dims), bounds);
}

Status Budget::zeroFill(Tensor &tensor) {
  int64_t size = dtypeBytes(tensor.dtype());
  return forParts(tensor.numElements(), 1, [&](int64_t begin, int64_t end) {
    if (tensor.dtype() == DType::String)
      std::fill_n(tensor.mutableData<std::string>() + begin, end - begin, std::string());
    else
      std::memset(static_cast<std::byte *>(tensor.mutableRawData()) + begin * size, 0,
                  static_cast<size_t>((end - begin) * size));
  });
}

Expected<Tensor> Budget::allocate(DType dtype, Tensor::Dims dims) {
  QUERN_ASSIGN(Tensor tensor, allocateUninitialized(dtype, std::move(dims)));
  if (dtype != DType::String) // which has no uninitialized elements
    QUERN_TRY(zeroFill(tensor));
  return tensor;
}

Expected<void *> Budget::scratchBytes(CheckedSize bytes) {
  if (!bytes.valid())
    return resourceLimit("the size of scratch memory overflows");
  QUERN_TRY(takeMemory(bytes, bounds, held, taken));
  QUERN_ASSIGN(Tensor tensor, Tensor::allocateUninitialized(DType::UInt8, {bytes.value()}, bounds));
  scratchTensors.push_back(tensor);
  return tensor.mutableRawData();
}
