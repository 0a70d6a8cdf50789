//===- Frame.cpp - the state of one plan while it runs --------------------===//
#include "runtime/plan/Frame.h"

#include "runtime/plan/NestedPlans.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

using namespace quern;
using Space = BufferRef::Space;

Frame::Frame(const Plan &plan)
    : plan(plan), inputs(plan.inputs.size()), outputs(plan.outputs.size()),
      slots(plan.dynamicSlots) {
  size_t widest = 0;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    size_t ofWave = 0;
    for (uint32_t member = 0; member < plan.steps[i].wave; ++member)
      if (auto *kernel = plan.steps[i + member].as<KernelStep>())
        ofWave += kernel->buffers.size();
    widest = std::max(widest, ofWave);
  }
  pointers.resize(widest);
  nested.reserve(plan.steps.size());
  for (const PlanStep &step : plan.steps)
    nested.push_back(NestedPlans::of(step));
}

Frame::~Frame() = default;
Frame::Frame(Frame &&) noexcept = default;

//===----------------------------------------------------------------------===//
// Where values are
//===----------------------------------------------------------------------===//

void *Frame::resolve(const BufferRef &ref) const {
  auto at = [&](const void *base) -> std::byte * {
    // The storage of an empty tensor may be nowhere.
    if (!base)
      return nullptr;
    return const_cast<std::byte *>(static_cast<const std::byte *>(base)) + ref.offset;
  };
  switch (ref.space) {
  case Space::Arena:
    return at(arena);
  case Space::Weights:
    return at(plan.weights[ref.index].rawData());
  case Space::Input:
    return at(inputs[ref.index]);
  case Space::Output:
    return at(outputs[ref.index]);
  case Space::Dynamic:
    break;
  }
  return nullptr;
}

AnyValue Frame::operand(const ValueRef &ref) const {
  if (ref.constant.isPresent())
    return ref.constant;
  if (ref.buffer.isDynamic())
    return slots[ref.buffer.index];
  if (ref.dtype == DType::Undefined)
    return AnyValue();
  return Tensor::borrow(ref.dtype, ref.dims, resolve(ref.buffer));
}

Tensor Frame::place(const ValueRef &ref) const {
  // Strings are objects, which only the tensors of the caller hold.
  bool hasObjects = ref.dtype != DType::String || ref.buffer.space == Space::Output;
  if (ref.buffer.isDynamic() || !hasObjects)
    return Tensor();
  return Tensor::borrow(ref.dtype, ref.dims, resolve(ref.buffer));
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

Status Frame::holdInSlot(uint32_t slot, AnyValue value, Budget &budget) {
  QUERN_TRY(budget.hold(value.numBytes()));
  slots[slot] = std::move(value);
  return Status::ok();
}

Status Frame::storeInSlot(uint32_t slot, AnyValue value, Budget &budget) {
  QUERN_TRY(budget.hold(value.numBytes()));
  // A result may share its operand's storage (a reshape). Static buffers are
  // overwritten by later steps, and so are no value's to keep.
  QUERN_TRY(value.own());
  slots[slot] = std::move(value);
  return Status::ok();
}

/// Copies a result to where the plan wants it, unless the kernel has written it there.
static Status copyToPlace(const ValueRef &ref, const Tensor &result, void *place) {
  if (result.dims() != ref.dims)
    return internalError("a result has shape " + formatDims(result.dims()) + ", planned was " +
                         formatDims(ref.dims));
  if (result.rawData() == place || result.numElements() == 0)
    return Status::ok();
  if (ref.dtype != DType::String) {
    std::memmove(place, result.rawData(), static_cast<size_t>(result.numBytes()));
    return Status::ok();
  }
  if (ref.buffer.space != Space::Output)
    return internalError("a string result is planned in the arena");
  std::copy_n(result.data<std::string>(), result.numElements(), static_cast<std::string *>(place));
  return Status::ok();
}

Status Frame::store(const ValueRef &ref, AnyValue result, Budget &budget) {
  if (result.kind() != ref.kind)
    return internalError("a result is a " + result.describe() + ", planned was a " +
                         kindName(ref.kind));
  const Tensor *tensor = result.asTensor();
  if (tensor && tensor->dtype() != ref.dtype)
    return internalError(fmt::format("a result has type {}, planned was {}",
                                     dtypeName(tensor->dtype()), dtypeName(ref.dtype)));
  if (ref.buffer.isDynamic())
    return storeInSlot(ref.buffer.index, std::move(result), budget);
  if (!tensor)
    return internalError("a result that is no tensor is planned in the arena");
  return copyToPlace(ref, *tensor, resolve(ref.buffer));
}

int64_t Frame::giveSlots(std::span<const uint32_t> released) {
  int64_t bytes = 0;
  for (uint32_t slot : released)
    bytes += std::exchange(slots[slot], AnyValue()).numBytes();
  return bytes;
}

void Frame::releaseSlots(std::span<const uint32_t> released, Budget &budget) {
  for (uint32_t slot : released) {
    budget.release(slots[slot].numBytes());
    slots[slot] = AnyValue();
  }
}

void Frame::releaseAll(Budget &budget) {
  for (AnyValue &value : slots) {
    budget.release(value.numBytes());
    value = AnyValue();
  }
}

void Frame::clearSlots() {
  std::fill(slots.begin(), slots.end(), AnyValue());
  for (const std::unique_ptr<NestedPlans> &each : nested)
    if (each)
      each->clear();
}
