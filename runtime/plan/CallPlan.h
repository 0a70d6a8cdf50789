//===- CallPlan.h - what a plan passes to another -------------------------===//
#pragma once

#include "runtime/plan/Frame.h"
#include "runtime/plan/RunSteps.h"
#include "runtime/values/TruthValue.h"

namespace quern {

/// A value on its way into a plan: an address for a static port, whose type and dims
/// are those of the port; or a value.
struct Passed {
  void *address = nullptr;
  AnyValue value = {};
};

/// The caller's value as `port` wants it. Internal when a static one is not as planned.
Expected<Passed> passFrom(const Frame &caller, const ValueRef &ref, const PlanPort &port);

/// Binds an input. `passed` lives until the plan has run. Internal when it is not of
/// the type and dims of a static port.
Status bindInput(Frame &callee, size_t number, const Passed &passed, Budget &budget);

/// The value of a dynamic output of a plan that has run, in storage of its own.
Expected<AnyValue> takeOutput(const Frame &callee, size_t number);

/// Where the plan writes a static output: its place in the caller, or storage that
/// becomes the value of a slot, which is kept in `own`.
Status bindOutput(Frame &callee, size_t number, const ValueRef &ref, const Frame &caller,
                  AnyValue &own, Budget &budget);
/// Gives an output of a plan that has run to the caller, unless it is in its place.
Status giveOutput(const Frame &callee, size_t number, const ValueRef &ref, Frame &caller,
                  AnyValue &own, Budget &budget);

/// The one element of an operand, which `what` names in the error.
template <typename T>
Expected<T> readScalar(const Frame &caller, const ValueRef &ref, const char *what) {
  AnyValue value = caller.operand(ref);
  const Tensor *tensor = value.asTensor();
  if (!tensor || tensor->dtype() != dtypeOf<T>() || tensor->numElements() != 1)
    return invalidInput("the " + std::string(what) + " is " + value.describe() + ", wanted one " +
                        std::string(dtypeName(dtypeOf<T>())));
  if constexpr (std::is_same_v<T, bool>)
    return truthValue(*tensor);
  else
    return *tensor->data<T>();
}

} // namespace quern
