//===- ValuePlaces.cpp - values that lie in others' storage ---------------===//
#include "backends/plan/ValuePlaces.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

ValuePlaces::Place ValuePlaces::placeOf(Value value) const {
  Place place{graph.resolve(value), 0};
  for (auto it = parts.find(place.base); it != parts.end(); it = parts.find(place.base)) {
    place.offset += it->second.offset;
    place.base = graph.resolve(it->second.base);
  }
  return place;
}

int64_t ValuePlaces::bytesOf(Value value) const {
  return values.elementsOf(value) * dtypeBytes(dtypeOfValue(value));
}

/// The part of a larger concatenation that holds just the operands of this one, one
/// after the other: DenseNet concatenates all earlier features at each layer.
std::optional<ValuePlaces::Place> ValuePlaces::sharedPlace(nn::ConcatOp concat) const {
  std::optional<Place> first;
  int64_t offset = 0;
  for (Value operand : concat.getInputs()) {
    auto part = parts.find(graph.resolve(operand));
    if (part == parts.end())
      return std::nullopt;
    const Place &place = part->second;
    if (!first)
      first = place;
    if (place.base != first->base || place.offset != first->offset + offset)
      return std::nullopt;
    offset += bytesOf(operand);
  }
  return first;
}

/// Lets the producers of a concatenation's operands write into its result, when
/// the operands lie there one after the other; or lets the result be where they are.
void ValuePlaces::placeConcat(const LoweredOp &lowered,
                              llvm::function_ref<bool(Value)> hasStorage) {
  auto concat = dyn_cast<nn::ConcatOp>(lowered.op);
  if (!concat || lowered.steps.empty() || !hasPlace(concat.getResult(), values))
    return;
  ArrayRef<int64_t> sizes = values.sizesOf(concat.getResult());
  if (llvm::any_of(sizes.take_front(values.axisOf(concat)), [](int64_t size) { return size != 1; }))
    return;
  Value result = concat.getResult();
  if (std::optional<Place> place = sharedPlace(concat);
      place && !hasStorage(result) && !parts.count(result)) {
    parts[result] = *place;
    elided.insert(lowered.op);
    return;
  }
  llvm::DenseSet<Value> seen;
  for (Value operand : concat.getInputs()) {
    Value base = graph.resolve(operand);
    bool ownStorage = base.getDefiningOp() && !values.isKnown(base) && !parts.count(base) &&
                      !hasStorage(base) && seen.insert(base).second &&
                      values.elementsOf(base) == values.elementsOf(operand);
    if (!ownStorage)
      return;
  }
  // Where the result itself lies is decided: all that reads it comes later in the graph.
  Place place = placeOf(result);
  for (Value operand : concat.getInputs()) {
    parts[graph.resolve(operand)] = place;
    place.offset += bytesOf(operand);
  }
  elided.insert(lowered.op);
}
