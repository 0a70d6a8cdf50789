//===- RuntimeCall.cpp - reference kernels in artefacts -------------------===//
#include "backends/native/RuntimeCall.h"

#include "ir/OpAttributes.h"
#include "runtime/reference/StepRecord.h"

#include "llvm/ADT/STLExtras.h"

using namespace quern;
using namespace quern::native;
using reference::StepRecord;

static std::vector<StepRecord::Port> portsOf(const std::vector<ValueRef> &refs) {
  std::vector<StepRecord::Port> ports;
  for (const ValueRef &ref : refs)
    if (const Tensor *constant = ref.constant.asTensor(); constant && constant->isPresent())
      ports.push_back({constant->dtype(), constant->dims()});
    else
      ports.push_back({ref.dtype, ref.dims});
  return ports;
}

bool native::hasAddress(const ValueRef &ref) {
  if (!ref.constant.isPresent())
    return !ref.buffer.isDynamic() && ref.dtype != DType::String;
  const Tensor *tensor = ref.constant.asTensor();
  return tensor && tensor->dtype() != DType::String;
}

Expected<RuntimeCall> native::runtimeCallOf(const ReferenceStep &step, mlir::Operation *op) {
  if (!op)
    return RuntimeCall();
  std::string name = op->getName().getStringRef().str();
  std::optional<std::string> table = reference::evaluatorTableSymbol(name);
  if (!table || !llvm::all_of(step.inputs, hasAddress) || !llvm::all_of(step.outputs, hasAddress))
    return RuntimeCall();
  StepRecord record{name, {}, portsOf(step.inputs), portsOf(step.outputs)};
  QUERN_ASSIGN(record.attributes, nn::attributesOf(op));
  return RuntimeCall{std::move(*table), writeStepRecord(record)};
}
