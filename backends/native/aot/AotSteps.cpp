//===- AotSteps.cpp - what each kind of step is as code -------------------===//
#include "backends/native/aot/AotSteps.h"

using namespace quern;
using namespace quern::native;

bool native::isFailure(const PlanStep &step) { return step.kernel.str() == "nn.fail"; }

bool native::neverIterates(const PlanStep &step) {
  return step.visit([](const auto &work) { return neverIterates(work); });
}

CheckedSize native::bytesOfStep(const PlanStep &step) {
  return step.visit([](const auto &work) { return ownBytes(work); });
}

bool native::alwaysFails(const plan::PlanTree &tree) {
  return !tree.broken.isOk() || std::ranges::any_of(tree.plan.plan.steps, isFailure);
}

Reason native::unknownSizes() {
  return {ReasonCode::UnknownSize, "it takes or gives values of sizes that only a run can tell"};
}

bool native::isGiven(const ValueRef &ref) {
  return ref.constant.isPresent() || ref.buffer.isDynamic() || ref.dtype != DType::Undefined;
}

static const Tensor *constantOf(const ValueRef &ref) {
  const Tensor *constant = ref.constant.asTensor();
  return constant && constant->isPresent() ? constant : nullptr;
}

DType native::refDType(const ValueRef &ref) {
  const Tensor *constant = constantOf(ref);
  return constant ? constant->dtype() : ref.dtype;
}

const Tensor::Dims &native::refDims(const ValueRef &ref) {
  const Tensor *constant = constantOf(ref);
  return constant ? constant->dims() : ref.dims;
}

bool native::isOne(const ValueRef &ref, DType dtype) {
  return refDType(ref) == dtype && CheckedSize::product(refDims(ref)).value() == 1;
}

bool native::fits(const PlanPort &port, const ValueRef &ref) {
  return !port.dynamic && port.dtype == refDType(ref) && port.dims == refDims(ref);
}
