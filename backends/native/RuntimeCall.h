//===- RuntimeCall.h - reference kernels in artefacts ---------------------===//
#pragma once

#include "runtime/plan/Plan.h"

#include "mlir/IR/Operation.h"

#include <string>

namespace quern::native {

/// What the code of a reference step hands to libquern_runtime.a (see ReferenceEntry.h).
struct RuntimeCall {
  /// The symbol of the table with the kernel; empty when the archive has none for the op.
  std::string table;
  /// A StepRecord.
  std::string record;

  bool exists() const { return !table.empty(); }
};

/// Whether code can pass the value by its address; so it can what is left out, as null.
bool hasAddress(const ValueRef &ref);

/// The call for a step that `op`, which is null for a copy, became. There is none when a size, or
/// an element that is a string, would have to be known before the run and is not.
Expected<RuntimeCall> runtimeCallOf(const ReferenceStep &step, mlir::Operation *op);

} // namespace quern::native
