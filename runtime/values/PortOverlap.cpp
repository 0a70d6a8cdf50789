//===- PortOverlap.cpp - where inputs and outputs may lie -----------------===//
#include "runtime/values/PortOverlap.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;

Status quern::checkPortStorage(const char *kind, const std::string &name, const Tensor &tensor) {
  if (tensor.numElements() == 0)
    return Status::ok();
  auto alignment = static_cast<uintptr_t>(std::min<int64_t>(dtypeBytes(tensor.dtype()), 8));
  bool isAligned = reinterpret_cast<uintptr_t>(tensor.rawData()) % alignment == 0;
  if (tensor.rawData() && isAligned)
    return Status::ok();
  return invalidInput(
      kind + (" '" + name + "': ") +
      (isAligned ? "the tensor has no data" : "the data is not aligned to its elements"));
}

Status quern::bindOutput(const PlanPort &port, ValueTargets outputs, size_t i, OutputMemory &memory,
                         const Limits &limits) {
  Tensor *output = outputs.asTensor(i);
  if (output && !output->isPresent()) {
    QUERN_ASSIGN(*output, memory.allocate(port.dtype, port.dims, limits));
    return Status::ok();
  }
  if (!output || output->dtype() != port.dtype || output->dims() != port.dims)
    return invalidInput(fmt::format("output '{}': wanted {} {}, found {}", port.name,
                                    dtypeName(port.dtype), formatDims(port.dims),
                                    outputs.list()[i].describe()));
  return checkPortStorage("output", port.name, *output);
}

PortOverlap::PortOverlap(const Plan &plan) : plan(plan), updatedBy(plan.inputs.size()) {
  ranges.reserve(plan.inputs.size() + plan.outputs.size());
  sorted.reserve(ranges.capacity());
  for (size_t i = 0; i < plan.outputs.size(); ++i)
    if (plan.outputs[i].updates)
      updatedBy[*plan.outputs[i].updates] = i;
}

void PortOverlap::addRange(const PlanPort &port, const Tensor &tensor, bool isOutput) {
  auto begin = reinterpret_cast<uintptr_t>(tensor.rawData());
  auto bytes = static_cast<uintptr_t>(tensor.numBytes());
  if (bytes == 0)
    return;
  Range range{begin, begin + bytes, &port, isOutput};
  if (count == ranges.size())
    ranges.emplace_back();
  isKnown = isKnown && ranges[count] == range;
  ranges[count++] = range;
}

/// "output 'y' overlaps input 'x': they share 8 bytes, from byte 0 of the first and
/// byte 8 of the second on".
Status PortOverlap::describe(const Range &output, const Range &other) {
  uintptr_t begin = std::max(output.begin, other.begin), end = std::min(output.end, other.end);
  std::string kind = other.isOutput ? "output" : "input";
  return invalidInput(fmt::format("output '{}' overlaps {} '{}': they share {} bytes, from byte {} "
                                  "of the first and byte {} of the second on",
                                  output.port->name, kind, other.port->name, end - begin,
                                  begin - output.begin, begin - other.begin));
}

/// Whether an output is made in this input's memory, which is none of its own then.
bool PortOverlap::isUpdated(size_t input, const Tensor &tensor, ValueList outputs) const {
  const Tensor *output = updatedBy[input] ? outputs.asTensor(*updatedBy[input]) : nullptr;
  return output && output->rawData() == tensor.rawData();
}

Status PortOverlap::check(ValueList inputs, ValueList outputs) {
  size_t before = ranges.size();
  isKnown = true;
  count = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (const Tensor *tensor = inputs.asTensor(i); !tensor)
      inputs[i].forEachTensor(
          [&](const Tensor &each) { addRange(plan.inputs[i], each, /*isOutput=*/false); });
    else if (!isUpdated(i, *tensor, outputs))
      addRange(plan.inputs[i], *tensor, /*isOutput=*/false);
  for (size_t i = 0; i < outputs.size(); ++i)
    if (const Tensor *tensor = outputs.asTensor(i); tensor && !plan.outputs[i].dynamic)
      addRange(plan.outputs[i], *tensor, /*isOutput=*/true);
  ranges.resize(count);
  if (isKnown && count == before)
    return Status::ok();
  Status status = findOverlap();
  if (!status.isOk())
    ranges.clear();
  return status;
}

Status PortOverlap::findOverlap() {
  sorted = ranges;
  std::sort(sorted.begin(), sorted.end(),
            [](const Range &a, const Range &b) { return a.begin < b.begin; });
  // Those seen so far that reach furthest.
  const Range *furthest = nullptr, *furthestOutput = nullptr;
  for (const Range &range : sorted) {
    if (furthestOutput && range.begin < furthestOutput->end)
      return describe(*furthestOutput, range);
    if (range.isOutput && furthest && range.begin < furthest->end)
      return describe(range, *furthest);
    if (!furthest || range.end > furthest->end)
      furthest = &range;
    if (range.isOutput && (!furthestOutput || range.end > furthestOutput->end))
      furthestOutput = &range;
  }
  return Status::ok();
}
