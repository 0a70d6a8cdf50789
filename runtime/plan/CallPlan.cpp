//===- CallPlan.cpp - what a plan passes to another -----------------------===//
#include "runtime/plan/CallPlan.h"

using namespace quern;

/// InvalidInput or Internal unless type and dims are those of a static port.
static Status checkPassed(const PlanPort &port, DType dtype, const Tensor::Dims &dims) {
  if (port.dtype == dtype && port.dims == dims)
    return Status::ok();
  return internalError("'" + port.name + "' is passed as " + std::string(dtypeName(dtype)) + " " +
                       formatDims(dims) + ", planned was " + std::string(dtypeName(port.dtype)) +
                       " " + formatDims(port.dims));
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
  const AnyValue &value = callee.slots[callee.plan.outputs[number].slot];
  return value.isOwner() ? Expected<AnyValue>(value) : value.clone();
}
