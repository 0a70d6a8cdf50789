//===- PlanBuilder.cpp - from lowered steps to a plan ---------------------===//
#include "backends/plan/PlanBuilder.h"

#include "backends/plan/BodySteps.h"
#include "backends/plan/ObserverSteps.h"
#include "backends/plan/StepTimeline.h"
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/OutlinedOps.h"
#include "ir/Signature.h"
#include "ir/Types.h"

#include <map>
#include <string_view>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

namespace {
class PlanBuilder {
public:
  PlanBuilder(func::FuncOp main, std::span<const passes::OutlinedOp> outlined,
              const LoweredGraph &graph, const OpLowering &lowering, PackedWeights &weights,
              const Limits &limits)
      : main(main), outlined(outlined), graph(graph), lowering(lowering), weights(weights),
        limits(limits), storage(graph),
        observers(lowering.observers(), graph, result, [this](Value v) { return operandOf(v); }) {}

  Expected<UnlinkedPlan> build(std::vector<Refusal> *refusals);

private:
  int64_t bytesOf(Value value) const;
  void fix(Value value, BufferRef::Space space, size_t port);
  void bindPorts();
  void addCopy(Value from, uint32_t output);
  void orderOps();
  Status packWeights();
  void numberKernels();
  void addStep(PlanStep step, PlannedStep origin);
  void addKernelStep(const LoweredOp &op, size_t part, size_t opIndex);
  Tensor constantAs(Value value, const Tensor &constant) const;
  Expected<ValueRef> operandOf(Value operand);
  Expected<std::vector<ValueRef>> operandsOf(Operation *op);
  std::vector<ValueRef> resultsOf(Operation *op);
  Status addReferenceStep(const LoweredOp &op);
  Status addBodyStep(const LoweredOp &op);
  Status addPart(const StepOrder::Entry &entry);
  Status addSteps();
  ValueRef valueRefOf(Value value);
  void addStageStep();
  Status addSlotCopy(Value from, const std::string &output);
  void addInputPorts();
  Status addOutputPorts();
  BufferRef refOf(Value value, int64_t offset = 0);
  BufferRef refOf(const StepBuffer &buffer, size_t opIndex);
  BufferRef constantRef(Value value);
  /// Whether the elements are known before the run.
  bool isConstant(Value value) const { return graph.values.isKnown(value); }
  uint32_t slotOf(Value value) {
    return slots.try_emplace(value, static_cast<uint32_t>(slots.size())).first->second;
  }

  func::FuncOp main;
  std::span<const passes::OutlinedOp> outlined;
  const LoweredGraph &graph;
  const OpLowering &lowering;
  PackedWeights &weights;
  const Limits &limits;
  UnlinkedPlan result;
  StepTimeline timeline;

  BufferAssignment storage;
  llvm::DenseMap<Value, uint32_t> slots;
  std::map<const StepBuffer *, uint32_t> weightIndex;
  /// The first weight that cannot be had.
  Status weightError;
  std::vector<const LoweredOp *> order;
  StepOrder steps;
  /// Of the op whose steps are added, the first one's number in the plan.
  size_t firstOfOp = 0;
  ObserverSteps observers;
  /// By key.
  std::map<std::string_view, size_t> kernelNumbers;
};
} // namespace

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

static ValueType::Kind kindOf(Value value) {
  Type type = value.getType();
  return isa<nn::SequenceType>(type)   ? ValueType::Kind::Sequence
         : isa<nn::OptionalType>(type) ? ValueType::Kind::Optional
         : isa<nn::MapType>(type)      ? ValueType::Kind::Map
                                       : ValueType::Kind::Tensor;
}

int64_t PlanBuilder::bytesOf(Value value) const {
  return graph.values.elementsOf(value) * dtypeBytes(dtypeOfValue(value));
}

void PlanBuilder::fix(Value value, BufferRef::Space space, size_t port) {
  storage.fix(value, space, static_cast<uint32_t>(port));
  result.decisions.ports.insert(value);
}

/// Inputs and outputs of the graph. An output has the caller's storage when it is
/// a value of its own, and is copied at the end otherwise.
void PlanBuilder::bindPorts() {
  for (auto [i, input] : llvm::enumerate(graph.part.inputs))
    if (graph.hasPlace(input) || dtypeOfValue(input) == DType::String)
      fix(input, BufferRef::Space::Input, i);
  for (auto [i, value] : llvm::enumerate(graph.part.outputs)) {
    if (!graph.hasPlace(value))
      continue;
    Value base = graph.resolve(value);
    bool canOwn = base.getDefiningOp() && !isConstant(base) && !storage.has(base) &&
                  !isa_and_nonnull<nn::NoneOp>(base.getDefiningOp());
    if (canOwn)
      fix(base, BufferRef::Space::Output, i);
    else
      addCopy(value, static_cast<uint32_t>(i));
  }
}

void PlanBuilder::addCopy(Value from, uint32_t output) {
  LoweredOp copy;
  copy.op = from.getDefiningOp() ? from.getDefiningOp() : main.getOperation();
  copy.nodes = "output " + std::to_string(output);
  int64_t bytes = bytesOf(from);
  copy.cost = {0, static_cast<double>(bytes), static_cast<double>(bytes)};
  copy.steps.push_back(lowering.copyBytes(StepBuffer::of(from), StepBuffer::output(output), bytes));
  result.decisions.copies.push_back(std::move(copy));
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Status PlanBuilder::packWeights() {
  std::vector<const StepBuffer *> buffers;
  for (const LoweredOp *op : order)
    for (const LoweredStep &step : op->steps)
      for (const StepBuffer &buffer : step.buffers)
        if (buffer.kind == StepBuffer::Kind::Weights) {
          weightIndex[&buffer] = static_cast<uint32_t>(buffers.size());
          buffers.push_back(&buffer);
        }
  QUERN_ASSIGN(result.plan.weights, weights.pack(buffers, limits.deadline));
  for (auto [buffer, tensor] : llvm::zip_equal(buffers, result.plan.weights))
    if (!buffer->isShared())
      result.plan.ownWeightBytes += tensor.numBytes();
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

BufferRef PlanBuilder::constantRef(Value value) {
  auto [it, isNew] = result.decisions.constants.try_emplace(
      value, static_cast<uint32_t>(result.plan.weights.size()));
  if (isNew) {
    std::optional<nn::WeightSource> source = graph.values.weightOf(value);
    Expected<Tensor> tensor =
        source ? weights.unpacked(*source) : internalError("a constant of the graph has no data");
    if (!tensor && weightError.isOk())
      weightError = tensor.status();
    result.plan.weights.push_back(tensor ? tensor.take() : Tensor());
    if (source && source->numBytes() <= StepBuffer::kKeptBytes)
      result.plan.ownWeightBytes += source->numBytes();
  }
  return {BufferRef::Space::Weights, it->second, 0};
}

BufferRef PlanBuilder::refOf(Value value, int64_t offset) {
  ValuePlaces::Place place = storage.placeOf(value);
  std::optional<BufferRef> found = storage.find(place.base);
  if (!found && !graph.hasPlace(place.base))
    return {BufferRef::Space::Dynamic, slotOf(place.base), 0};
  BufferRef ref = isConstant(place.base) ? constantRef(place.base) : *found;
  ref.offset += place.offset + offset;
  return ref;
}

BufferRef PlanBuilder::refOf(const StepBuffer &buffer, size_t opIndex) {
  switch (buffer.kind) {
  case StepBuffer::Kind::Value:
    return refOf(buffer.value, buffer.offset);
  case StepBuffer::Kind::Weights:
    return {BufferRef::Space::Weights, weightIndex[&buffer], buffer.offset};
  case StepBuffer::Kind::Output:
    return {BufferRef::Space::Output, buffer.number, buffer.offset};
  case StepBuffer::Kind::Scratch:
    break;
  }
  BufferRef ref = storage.scratchOf(opIndex, buffer.number);
  ref.offset += buffer.offset;
  return ref;
}

void PlanBuilder::addStep(PlanStep step, PlannedStep origin) {
  result.plan.steps.push_back(std::move(step));
  result.steps.push_back(std::move(origin));
}

static bool isSamePlace(const BufferRef &a, const BufferRef &b) {
  return a.space == b.space && a.index == b.index && a.offset == b.offset;
}

/// Null for the copy of an output, which is called after what it copies.
static Operation *graphOp(const LoweredOp &op, const std::vector<LoweredOp> &copies) {
  bool isCopy = !copies.empty() && &op >= &copies.front() && &op <= &copies.back();
  return isCopy ? nullptr : op.op;
}

void PlanBuilder::addKernelStep(const LoweredOp &op, size_t part, size_t opIndex) {
  const LoweredStep &step = op.steps[part];
  KernelStep work;
  work.buffers.reserve(step.buffers.size());
  for (const StepBuffer &buffer : step.buffers)
    work.buffers.push_back(refOf(buffer, opIndex));
  if (step.copiesWhole && isSamePlace(work.buffers[0], work.buffers[1]))
    return;
  work.dims.assign(step.dims.begin(), step.dims.end()); // without spare room
  work.tasks = step.tasks;
  work.grain = step.grain;
  work.scratchBytes = step.scratchBytes;
  work.copiesWhole = step.copiesWhole;
  timeline.add(lowering.estimate(step, op.cost * step.share), step, work, result.plan,
               [&](Value value) { return bytesOf(value); });
  addStep({std::move(work), op.nodes, step.kernel.name, op.cost * step.share},
          {.kernel = kernelNumbers.at(step.kernel.key),
           .op = graphOp(op, result.decisions.copies),
           .opIndex = opIndex,
           .part = part,
           .way = step.way});
}

Status PlanBuilder::addPart(const StepOrder::Entry &entry) {
  const LoweredOp &op = *order[entry.op];
  // Where somebody observes, the steps of an op follow each other.
  if (entry.part == 0)
    firstOfOp = result.plan.steps.size();
  if (entry.part < op.steps.size())
    addKernelStep(op, entry.part, entry.op);
  if (op.runsBodies)
    QUERN_TRY(addBodyStep(op));
  else if (op.reference)
    QUERN_TRY(addReferenceStep(op));
  if (entry.part + 1 >= op.steps.size() && graphOp(op, result.decisions.copies))
    observers.add(op, firstOfOp);
  return Status::ok();
}

/// All of them, wave by wave; a later stage comes before the copies to outputs.
Status PlanBuilder::addSteps() {
  size_t firstCopy = result.decisions.order.size(), next = 0;
  bool isStageMissing = !graph.later.outputs.empty();
  for (uint32_t size : steps.waves) {
    if (isStageMissing && steps.entries[next].op >= firstCopy) {
      addStageStep();
      isStageMissing = false;
    }
    size_t first = result.plan.steps.size();
    for (uint32_t i = 0; i < size; ++i)
      QUERN_TRY(addPart(steps.entries[next++]));
    if (size > 1)
      result.plan.steps[first].wave = size;
  }
  if (isStageMissing)
    addStageStep();
  return Status::ok();
}

ValueRef PlanBuilder::valueRefOf(Value value) {
  ValueRef ref{refOf(value), dtypeOfValue(value), {}};
  ref.number = graph.values.numberOf(value);
  ref.kind = kindOf(value);
  if (graph.values.hasSizes(value) && !ref.buffer.isDynamic())
    ref.dims = Tensor::Dims(graph.values.sizesOf(value));
  return ref;
}

/// The elements of a constant as `value`, which may be an alias of it: of another shape, or of
/// another type as wide.
Tensor PlanBuilder::constantAs(Value value, const Tensor &constant) const {
  DType dtype = dtypeOfValue(value);
  Tensor::Dims dims = graph.values.hasSizes(value) ? Tensor::Dims(graph.values.sizesOf(value))
                                                   : Tensor::Dims(constant.dims());
  if (dtype == constant.dtype())
    return constant.reshaped(std::move(dims));
  return Tensor::borrow(dtype, std::move(dims), constant.rawData(),
                        std::make_shared<const Tensor>(constant));
}

Expected<ValueRef> PlanBuilder::operandOf(Value operand) {
  ValueRef ref;
  Value base = graph.resolve(operand);
  if (isConstant(base)) {
    QUERN_ASSIGN(Tensor tensor, weights.unpacked(*graph.values.weightOf(base)));
    ref.constant = constantAs(operand, tensor);
    ref.number = graph.values.numberOf(operand);
  } else if (!nn::isNone(operand)) {
    ref = valueRefOf(operand);
  }
  return ref;
}

Expected<std::vector<ValueRef>> PlanBuilder::operandsOf(Operation *op) {
  std::vector<ValueRef> refs;
  for (Value operand : op->getOperands()) {
    QUERN_ASSIGN(ValueRef ref, operandOf(operand));
    refs.push_back(std::move(ref));
  }
  return refs;
}

std::vector<ValueRef> PlanBuilder::resultsOf(Operation *op) {
  std::vector<ValueRef> refs;
  for (Value value : op->getResults())
    refs.push_back(valueRefOf(value));
  return refs;
}

Status PlanBuilder::addBodyStep(const LoweredOp &op) {
  auto number = static_cast<size_t>(cast<nn::RunBodiesOp>(op.op).getNumber());
  QUERN_ASSIGN(std::vector<ValueRef> operands, operandsOf(op.op));
  addStep(bodyStep(outlined[number], op.nodes, std::move(operands), resultsOf(op.op)),
          {.op = op.op, .outlined = number});
  return Status::ok();
}

Status PlanBuilder::addReferenceStep(const LoweredOp &op) {
  ReferenceStep work;
  work.function = op.reference;
  QUERN_ASSIGN(work.inputs, operandsOf(op.op));
  work.outputs = resultsOf(op.op);
  std::string name = op.op->getName().getStringRef().str();
  if (Operation *anchor = nn::groupAnchor(op.op))
    name = anchor->getName().getStringRef().str();
  addStep({std::move(work), op.nodes, name, op.cost}, {.reason = op.reason, .op = op.op});
  return Status::ok();
}

/// The step that runs what must wait for the steps before it.
void PlanBuilder::addStageStep() {
  StageStep work;
  for (Value input : graph.later.inputs)
    work.inputs.push_back(valueRefOf(input));
  for (Value output : graph.later.outputs)
    work.outputs.push_back(valueRefOf(output));
  result.later = graph.later;
  addStep(
      {std::move(work), graph.waiting.front().node->nodes.str() + " and what follows", "stage", {}},
      {.reason = sizeToCome()});
}

/// Fills the slot of an output that no step makes: a string input or constant, or what a body was
/// given with sizes that only a run can tell.
Status PlanBuilder::addSlotCopy(Value from, const std::string &output) {
  ReferenceStep work;
  ValueRef source, target;
  target.buffer = {BufferRef::Space::Dynamic, slotOf(from), 0};
  target.dtype = dtypeOfValue(from);
  if (std::optional<Tensor> tensor = graph.values.tensorOf(from)) {
    source.constant = *tensor;
  } else {
    source = valueRefOf(from);
  }
  work.inputs.push_back(std::move(source));
  work.outputs.push_back(std::move(target));
  work.function = [](const ReferenceArguments &arguments) -> Expected<std::vector<AnyValue>> {
    return std::vector<AnyValue>{arguments.inputs[0]};
  };
  bool lacksSizes = kindOf(from) == ValueType::Kind::Tensor && !graph.values.hasSizes(from);
  addStep({std::move(work), output, "copy", {}},
          {.reason = lacksSizes ? sizeToCome()
                                : Reason{ReasonCode::ElementType, "no native code for strings"}});
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Ports
//===----------------------------------------------------------------------===//

void PlanBuilder::addInputPorts() {
  for (Value input : graph.part.inputs) {
    auto argument = dyn_cast<BlockArgument>(input);
    PlanPort port;
    port.name = argument ? nn::inputName(main, argument.getArgNumber())
                         : nn::nodeName(input.getDefiningOp()->getLoc());
    port.dtype = dtypeOfValue(input);
    port.kind = kindOf(input);
    if (port.kind != ValueType::Kind::Tensor) {
      port.dynamic = true;
      port.slot = slotOf(input);
    }
    if (graph.values.hasSizes(input))
      port.dims = Tensor::Dims(graph.values.sizesOf(input));
    result.plan.inputs.push_back(std::move(port));
  }
}

Status PlanBuilder::addOutputPorts() {
  for (auto [i, value] : llvm::enumerate(graph.part.outputs)) {
    PlanPort port;
    port.name = nn::outputName(main, graph.part.outputNumbers[i]);
    port.dtype = dtypeOfValue(value);
    port.kind = kindOf(value);
    port.dynamic = !graph.hasPlace(value);
    if (port.dynamic) {
      Value base = graph.resolve(value);
      bool isFilled = slots.count(base) != 0;
      port.slot = slotOf(base);
      if (!isFilled)
        QUERN_TRY(addSlotCopy(base, "output " + std::to_string(i)));
    } else {
      port.dims = Tensor::Dims(graph.values.sizesOf(value));
    }
    result.plan.outputs.push_back(std::move(port));
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

void PlanBuilder::orderOps() {
  for (auto [number, op] : llvm::enumerate(graph.ops))
    if (!storage.isElided(op.op)) {
      order.push_back(&op);
      result.decisions.order.push_back(number);
    }
  for (const LoweredOp &copy : result.decisions.copies)
    order.push_back(&copy);
}

void PlanBuilder::numberKernels() {
  for (const LoweredOp *op : order)
    for (const LoweredStep &step : op->steps)
      if (kernelNumbers.try_emplace(step.kernel.key, result.kernels.size()).second)
        result.kernels.push_back(step.kernel);
}

Expected<UnlinkedPlan> PlanBuilder::build(std::vector<Refusal> *refusals) {
  bindPorts();
  storage.placeConcats();
  orderOps();
  numberKernels();
  QUERN_TRY(packWeights());
  steps = orderSteps(graph, order, result.decisions.order.size(), storage.valuePlaces(), lowering);
  QUERN_ASSIGN(result.decisions.arena, storage.assign(order, steps, limits, refusals));
  result.plan.arenaBytes = result.decisions.arena.plan.totalBytes;
  // Plans are kept: no room for more steps than there are.
  size_t most = steps.entries.size() + (graph.later.outputs.empty() ? 0 : 1);
  result.plan.steps.reserve(most);
  result.steps.reserve(most);
  QUERN_TRY(addSteps());
  addInputPorts();
  QUERN_TRY(addOutputPorts());
  result.plan.dynamicSlots = static_cast<uint32_t>(slots.size());
  QUERN_TRY(weightError);
  timeline.setTimes(result.plan, lowering);
  releaseSlotsAfterLastUse(result.plan);
  findUpdatedInputs(result.plan, refusals);
  return std::move(result);
}

Expected<UnlinkedPlan> plan::buildPlan(func::FuncOp main,
                                       std::span<const passes::OutlinedOp> outlined,
                                       const LoweredGraph &graph, const OpLowering &lowering,
                                       PackedWeights &weights, const Limits &limits,
                                       std::vector<Refusal> *refusals) {
  return PlanBuilder(main, outlined, graph, lowering, weights, limits).build(refusals);
}
