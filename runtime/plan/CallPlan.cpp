//===- CallPlan.cpp - what a plan passes to another -----------------------===//
#include "runtime/plan/CallPlan.h"

#include <fmt/format.h>

using namespace quern;

/// InvalidInput or Internal unless type and dims are those of a static port.
static Status checkPassed(const PlanPort &port, DType dtype, const Tensor::Dims &dims) {
  if (port.dtype == dtype && port.dims == dims)
    return Status::ok();
  return internalError(fmt::format("'{}' is passed as {} {}, planned was {} {}", port.name,
                                   dtypeName(dtype), formatDims(dims), dtypeName(port.dtype),
                                   formatDims(port.dims)));
}

Expected<Passed> quern::passFrom(const Frame &caller, const ValueRef &ref, const PlanPort &port) {
  bool hasAddress = !ref.constant.isPresent() && !ref.buffer.isDynamic();
  if (port.dynamic || !hasAddress)
    return Passed{nullptr, caller.operand(ref)};
  QUERN_TRY(checkPassed(port, ref.dtype, ref.dims));
  return Passed{caller.resolve(ref.buffer)};
}

Status quern::bindInput(Frame &callee, size_t number, const Passed &passed, Budget &budget) {
  const PlanPort &port = callee.plan.inputs[number];
  if (port.dynamic)
    return callee.holdInSlot(port.slot, passed.value, budget);
  callee.inputs[number] = passed.address;
  if (passed.address)
    return Status::ok();
  const Tensor *tensor = passed.value.asTensor();
  if (!tensor)
    return internalError("'" + port.name + "' is passed as a " + passed.value.describe() +
                         ", planned was a tensor");
  callee.inputs[number] = const_cast<void *>(tensor->rawData());
  return checkPassed(port, tensor->dtype(), tensor->dims());
}

Expected<AnyValue> quern::takeOutput(const Frame &callee, size_t number) {
  AnyValue value = callee.slots[callee.plan.outputs[number].slot];
  QUERN_TRY(value.own());
  return value;
}

Status quern::bindOutput(Frame &callee, size_t number, const ValueRef &ref, const Frame &caller,
                         AnyValue &own, Budget &budget) {
  const PlanPort &port = callee.plan.outputs[number];
  if (port.dynamic)
    return Status::ok();
  bool isPlaced = !ref.buffer.isDynamic() && ref.dtype == port.dtype && ref.dims == port.dims;
  if (isPlaced) {
    callee.outputs[number] = caller.resolve(ref.buffer);
    return Status::ok();
  }
  QUERN_ASSIGN(Tensor storage, budget.allocateUninitialized(port.dtype, port.dims));
  callee.outputs[number] = storage.mutableRawData();
  own = std::move(storage);
  return budget.hold(own.numBytes());
}

Status quern::giveOutput(const Frame &callee, size_t number, const ValueRef &ref, Frame &caller,
                         AnyValue &own, Budget &budget) {
  if (callee.plan.outputs[number].dynamic) {
    QUERN_ASSIGN(AnyValue result, takeOutput(callee, number));
    return caller.store(ref, std::move(result), budget);
  }
  if (!own.isPresent())
    return Status::ok();
  budget.release(own.numBytes());
  return caller.store(ref, std::move(own), budget);
}
