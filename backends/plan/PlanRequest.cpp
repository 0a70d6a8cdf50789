//===- PlanRequest.cpp - what a plan is made for --------------------------===//
#include "backends/plan/PlanRequest.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

std::vector<KnownValue> plan::knownSizes(std::span<const AnyValue> operands) {
  std::vector<KnownValue> known;
  for (const AnyValue &operand : operands) {
    const Tensor *tensor = operand.asTensor();
    known.push_back(tensor ? KnownValue{tensor->dims()} : KnownValue{});
  }
  return known;
}

std::vector<KnownValue> plan::knownSizes(func::FuncOp main,
                                         std::span<const Tensor::Dims> inputDims) {
  std::vector<KnownValue> known(main.getNumArguments());
  for (auto [argument, dims, value] : llvm::zip(main.getArguments(), inputDims, known))
    if (isa<TensorType>(argument.getType()))
      value.sizes = dims;
  return known;
}

void plan::appendSizes(PlanKey &key, std::span<const KnownValue> values) {
  for (const KnownValue &value : values) {
    Tensor::Dims dims = value.sizes.value_or(Tensor::Dims());
    appendDims(key, {&dims, 1});
  }
}

PlanRequest PlanRequest::wholeOf(SharedGraph graph, std::span<const KnownValue> arguments,
                                 UnknownSizes unknown) {
  PlanRequest request;
  func::FuncOp main = graph->get().main();
  request.part = GraphPart::wholeOf(main);
  request.unknown = unknown;
  request.before = {graph->id()};
  appendSizes(request.before, arguments);
  for (auto [argument, known] : llvm::zip(main.getArguments(), arguments))
    request.found.push_back({argument, known});
  request.graph = std::move(graph);
  return request;
}

PlanRequest PlanRequest::later(GraphPart left) const {
  PlanRequest request = *this;
  request.part = std::move(left);
  ++request.stage;
  return request;
}

PlanKey PlanRequest::key(std::span<const AnyValue> operands) const {
  PlanKey key = before;
  appendSizes(key, knownSizes(operands));
  for (size_t i : part.sizeInputs)
    if (const Tensor *tensor = operands[i].asTensor()) {
      auto *bytes = static_cast<const uint8_t *>(tensor->rawData());
      key.insert(key.end(), bytes, bytes + tensor->numBytes());
    }
  return key;
}

Expected<PlanRequest> PlanRequest::withInputs(std::span<const AnyValue> operands) const {
  PlanRequest request = *this;
  request.before = key(operands);
  for (auto [i, input] : llvm::enumerate(part.inputs)) {
    const Tensor *tensor = operands[i].asTensor();
    if (!tensor)
      continue;
    FoundValue found{input, {tensor->dims()}};
    if (llvm::is_contained(part.sizeInputs, i)) {
      QUERN_ASSIGN(found.known.elements, tensor->clone());
    }
    request.found.push_back(std::move(found));
  }
  return request;
}

void PlanRequest::moveTo(SharedGraph variant) {
  part = variant->translate(part, *graph);
  for (FoundValue &each : found)
    each.value = variant->translate(each.value, *graph);
  graph = std::move(variant);
}
