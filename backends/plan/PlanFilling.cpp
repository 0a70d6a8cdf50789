//===- PlanFilling.cpp - fills a plan template in -------------------------===//
#include "backends/plan/CostRules.h"
#include "backends/plan/IndexData.h"
#include "backends/plan/LoweredForm.h"
#include "backends/plan/PlanTemplate.h"
#include "ir/NNDialect.h"

#include "llvm/ADT/BitVector.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

namespace quern::plan {
/// Fills one template in for one set of sizes. What returns false has found another decision.
class PlanFilling {
public:
  PlanFilling(const PlanTemplate &given, const ShapeEnvironment &values)
      : given(given), values(values), places(given.instance.lowered, values),
        changed(static_cast<unsigned>(given.graph().numValues())), lowered(given.ops.size()) {}

  std::unique_ptr<Plan> fill();

private:
  /// What is new of an op whose sizes have changed.
  struct LoweredAgain {
    LoweredSteps steps;
    StepCost cost;
    size_t op;
    /// Of each step: the time that it computes, in that which it did before.
    llvm::SmallVector<double, 2> growth = {};
  };

  bool findChanges();
  bool findChangedElements();
  bool findPlaces();
  bool areInPlace() const;
  bool hasChanged(size_t op) const;
  bool haveSameSizes(size_t a, size_t b) const;
  bool lowerChanged();
  bool lowerAgain(size_t op);
  bool fillArena();
  PlanStep stepFor(size_t number) const;
  void fillKernel(KernelStep &work, size_t number, const LoweredStep &like) const;
  bool fillRefs(PlanStep &step) const;
  bool fillConstants(Plan &plan) const;
  void fillPorts(Plan &plan) const;
  const LoweredStep &stepOf(const PlannedStep &origin) const {
    return given.ops[origin.opIndex].lowered->steps[origin.part];
  }
  int64_t bytesOf(Value value) const {
    return values.elementsOf(value) * dtypeBytes(dtypeOfValue(value));
  }

  const PlanTemplate &given;
  const ShapeEnvironment &values;
  ValuePlaces places;
  /// By the numbers of values.
  llvm::BitVector changed;
  /// By ops in their order; null for what is as it was.
  std::vector<std::shared_ptr<const LoweredAgain>> lowered;
  std::shared_ptr<const PlanTemplate::ArenaPlaces> arena;
  /// Whether values lie where they did in the template's plan.
  bool isArenaSame = false, arePlacesSame = true;
};
} // namespace quern::plan

//===----------------------------------------------------------------------===//
// What has changed
//===----------------------------------------------------------------------===//

bool PlanFilling::findChangedElements() {
  for (const PlanTemplate::ComputedValue &before : given.computed) {
    std::optional<Tensor> now = values.tensorOf(before.value);
    if (now.has_value() != before.elements.has_value())
      return false;
    if (now && !haveSameElements(*now, *before.elements))
      changed.set(before.number);
  }
  return true;
}

/// Marks the values that are not as they were.
bool PlanFilling::findChanges() {
  const ShapeEnvironment &before = given.instance.lowered.values;
  for (const PlanTemplate::OpenValue &value : given.open) {
    std::optional<ArrayRef<int64_t>> was = before.sizesAt(value.number),
                                     now = values.sizesAt(value.number);
    if (was.has_value() != now.has_value())
      return false;
    if (was == now)
      continue;
    changed.set(value.number);
    CheckedSize bytes = CheckedSize::product(*now) * CheckedSize(value.elementBytes);
    if (!bytes.valid() || bytes.value() > given.limits.maxActivationBytes)
      return false;
  }
  if (!values.hasSameSizeOperands(before) || !findChangedElements())
    return false;
  return llvm::all_of(given.aliases, [&](const auto &entry) {
    return isAlias(entry.first, values) == entry.second;
  });
}

/// Lets concatenations lie where their operands do, as before.
bool PlanFilling::findPlaces() {
  if (!given.hasConcats)
    return true;
  const LoweredGraph &graph = given.instance.lowered;
  auto isPort = [&](Value v) { return given.planned.decisions.ports.contains(v); };
  for (const LoweredOp &op : llvm::reverse(graph.ops)) {
    if (!isa<nn::ConcatOp>(op.op))
      continue;
    places.placeConcat(op, isPort);
    if (places.isElided(op.op) != given.places.isElided(op.op))
      return false;
  }
  for (const LoweredOp &op : graph.ops) {
    if (!isa<nn::ConcatOp>(op.op))
      continue;
    for (ValueRange list : {ValueRange(op.op->getOperands()), ValueRange(op.op->getResults())})
      for (Value value : list) {
        ValuePlaces::Place was = given.places.placeOf(value), now = places.placeOf(value);
        if (was.base != now.base)
          return false;
        arePlacesSame &= was.offset == now.offset;
      }
  }
  return true;
}

/// Whether what was written in place still is all of what it is written over.
bool PlanFilling::areInPlace() const {
  auto isWhole = [&](Value value) {
    ValuePlaces::Place place = places.placeOf(value);
    return place.offset == 0 && bytesOf(place.base) == bytesOf(value);
  };
  return llvm::all_of(given.planned.decisions.arena.inPlace, [&](const auto &pair) {
    return isWhole(pair.first) && isWhole(pair.second);
  });
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

bool PlanFilling::hasChanged(size_t op) const {
  const PlanTemplate::OrderedOp &ordered = given.ops[op];
  auto isChanged = [&](uint32_t number) { return changed.test(number); };
  if (!ordered.node)
    return isChanged(values.numberOf(ordered.lowered->steps.front().buffers.front().value));
  const AlikeNodes &alike = given.graph().alike();
  return !alike.isSettled(*ordered.node) && llvm::any_of(alike.valuesOf(*ordered.node), isChanged);
}

bool PlanFilling::haveSameSizes(size_t a, size_t b) const {
  const AlikeNodes &alike = given.graph().alike();
  return llvm::all_of(
      llvm::zip_equal(alike.valuesOf(*given.ops[a].node), alike.valuesOf(*given.ops[b].node)),
      [&](auto pair) {
        return values.sizesAt(std::get<0>(pair)) == values.sizesAt(std::get<1>(pair));
      });
}

bool PlanFilling::lowerAgain(size_t op) {
  const PlanTemplate::OrderedOp &ordered = given.ops[op];
  const LoweredOp &before = *ordered.lowered;
  LoweredAgain again{{}, {}, op};
  if (!ordered.node) {
    const std::vector<StepBuffer> &buffers = before.steps.front().buffers;
    int64_t bytes = bytesOf(buffers[0].value);
    again.steps.push_back(given.lowering->copyBytes(buffers[0], buffers[1], bytes));
    again.cost = {0, static_cast<double>(bytes), static_cast<double>(bytes)};
  } else if (!before.runsBodies) {
    LoweringResult result = lowerOp(before.op, *given.lowering, values);
    bool isSame = result ? !before.reference
                         : before.reference && result.reason().code == before.reason->code &&
                               result.reason().text == before.reason->text;
    if (!isSame)
      return false;
    if (result)
      again.steps = result.take();
    again.cost = costOf(before.op, values);
  }
  if (!haveSameForm(before.steps, again.steps))
    return false;
  for (auto [old, now] : llvm::zip_equal(before.steps, again.steps)) {
    double time = given.lowering->estimate(old, before.cost * old.share).computeNs;
    double newTime = given.lowering->estimate(now, again.cost * now.share).computeNs;
    again.growth.push_back(time > 0 ? newTime / time : 1);
  }
  lowered[op] = std::make_shared<const LoweredAgain>(std::move(again));
  return true;
}

/// Lowers what has changed: of ops that are alike one.
bool PlanFilling::lowerChanged() {
  // By the first op of those that are alike.
  std::vector<std::shared_ptr<const LoweredAgain>> ofFirst(given.ops.size());
  for (size_t op = 0; op < given.ops.size(); ++op) {
    if (!hasChanged(op))
      continue;
    std::shared_ptr<const LoweredAgain> &like = ofFirst[given.ops[op].first];
    if (like && haveSameSizes(like->op, op)) {
      lowered[op] = like;
      continue;
    }
    if (!lowerAgain(op))
      return false;
    like = lowered[op];
  }
  return true;
}

bool PlanFilling::fillArena() {
  const ArenaUse &use = given.planned.decisions.arena;
  std::vector<int64_t> bytes;
  for (auto [owner, lifetime] : llvm::zip_equal(use.owners, use.lifetimes)) {
    if (owner.value) {
      bool isChanged = changed.test(values.numberOf(owner.value));
      bytes.push_back(isChanged ? bytesOf(owner.value) : lifetime.bytes);
      continue;
    }
    const std::shared_ptr<const LoweredAgain> &again = lowered[owner.op];
    int64_t most = again ? 0 : lifetime.bytes;
    if (again)
      for (const LoweredStep &step : again->steps)
        for (const StepBuffer &buffer : step.buffers)
          if (buffer.kind == StepBuffer::Kind::Scratch && buffer.number == owner.scratch) {
            if (!buffer.bytes.valid())
              return false;
            most = std::max(most, buffer.bytes.value());
          }
    bytes.push_back(most);
  }
  arena = given.placesFor(bytes);
  if (!arena)
    return false;
  isArenaSame = arena->offsets == use.plan.offsets;
  return true;
}

/// `like` is the step lowered for these sizes, perhaps of an op that is alike.
void PlanFilling::fillKernel(KernelStep &work, size_t number, const LoweredStep &like) const {
  const LoweredStep &own = stepOf(given.planned.steps[number]);
  for (size_t i = 0; i < work.buffers.size(); ++i) {
    std::optional<size_t> owner = given.owners[number][i];
    int64_t offset = like.buffers[i].offset + (owner ? arena->offsets[*owner] : 0);
    if (own.buffers[i].kind == StepBuffer::Kind::Value)
      offset += places.placeOf(own.buffers[i].value).offset;
    work.buffers[i].offset = offset;
  }
}

PlanStep PlanFilling::stepFor(size_t number) const {
  PlanStep step = given.planned.plan.steps[number];
  const PlannedStep &origin = given.planned.steps[number];
  auto *work = step.as<KernelStep>();
  if (!work)
    return step;
  const std::shared_ptr<const LoweredAgain> &again = lowered[origin.opIndex];
  if (again) {
    const LoweredStep &like = again->steps[origin.part];
    work->dims.assign(like.dims.begin(), like.dims.end());
    work->tasks = like.tasks;
    work->grain = like.grain;
    work->scratchBytes = like.scratchBytes;
    step.cost = again->cost * like.share;
    step.expectedNanoseconds *= again->growth[origin.part];
  }
  if (again || !isArenaSame || !arePlacesSame)
    fillKernel(*work, number, again ? again->steps[origin.part] : stepOf(origin));
  return step;
}

/// Operands and results of a step that is no kernel.
bool PlanFilling::fillRefs(PlanStep &step) const {
  for (const ValueRef *each : refsOf(step)) {
    if (each->dtype == DType::Undefined && !each->constant.isPresent())
      continue;
    Value value = given.valuesByNumber[each->number];
    if (each->constant.isPresent()) {
      if (changed.test(each->number))
        return false;
      continue;
    }
    if (each->buffer.isDynamic())
      continue;
    // The step is the caller's own.
    auto *ref = const_cast<ValueRef *>(each);
    ref->dims = Tensor::Dims(values.sizesOf(value));
    ValuePlaces::Place place = places.placeOf(value);
    auto owner = given.ownerOf.find(place.base);
    bool isInArena = ref->buffer.space == BufferRef::Space::Arena;
    if (isInArena && owner == given.ownerOf.end())
      return false;
    ref->buffer.offset = place.offset + (isInArena ? arena->offsets[owner->second] : 0);
  }
  return true;
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

/// Computed values that are constant for these sizes.
bool PlanFilling::fillConstants(Plan &plan) const {
  for (auto [value, index] : given.planned.decisions.constants) {
    if (!changed.test(values.numberOf(value)))
      continue;
    std::optional<nn::WeightSource> source = values.weightOf(value);
    if (!source)
      return false;
    Expected<Tensor> tensor = source->load();
    if (!tensor)
      return false;
    plan.ownWeightBytes += tensor->numBytes() - plan.weights[index].numBytes();
    plan.weights[index] = tensor.take();
  }
  return true;
}

void PlanFilling::fillPorts(Plan &plan) const {
  const GraphPart &part = given.instance.lowered.part;
  auto fill = [&](std::vector<PlanPort> &ports, const std::vector<Value> &list) {
    for (auto [port, value] : llvm::zip_equal(ports, list))
      if (!port.dims.empty() && changed.test(values.numberOf(value)))
        port.dims = Tensor::Dims(values.sizesOf(value));
  };
  fill(plan.inputs, part.inputs);
  fill(plan.outputs, part.outputs);
}

std::unique_ptr<Plan> PlanFilling::fill() {
  if (!findChanges() || !findPlaces() || !areInPlace() || !lowerChanged() || !fillArena())
    return nullptr;
  const Plan &like = given.planned.plan;
  auto plan = std::make_unique<Plan>();
  plan->inputs = like.inputs;
  plan->outputs = like.outputs;
  plan->arenaBytes = arena->totalBytes;
  plan->dynamicSlots = like.dynamicSlots;
  plan->weights = like.weights;
  plan->ownWeightBytes = like.ownWeightBytes;
  plan->keepAlive = like.keepAlive;
  if (!fillConstants(*plan))
    return nullptr;
  plan->steps.reserve(like.steps.size());
  for (size_t i = 0; i < like.steps.size(); ++i) {
    plan->steps.push_back(stepFor(i));
    if (!given.planned.steps[i].kernel && !fillRefs(plan->steps.back()))
      return nullptr;
  }
  fillPorts(*plan);
  if (given.mayUpdate) {
    for (PlanPort &output : plan->outputs)
      output.updates.reset();
    findUpdatedInputs(*plan);
  }
  return plan;
}

std::unique_ptr<Plan> PlanTemplate::fill(const ShapeEnvironment &values) const {
  return PlanFilling(*this, values).fill();
}
