//===- BufferAssignment.cpp - where the values of a plan lie ------------------===//
#include "backends/plan/BufferAssignment.h"

#include "backends/plan/MemoryPlanner.h"
#include "runtime/running/Budget.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

void BufferAssignment::fix(Value value, BufferRef::Space space, uint32_t index) {
  storage[value].fixed = BufferRef{space, index, 0};
}

void BufferAssignment::placeConcats() {
  for (const LoweredOp &op : llvm::reverse(graph.ops))
    places.placeConcat(op, [&](Value value) { return has(value); });
}

std::optional<BufferRef> BufferAssignment::find(Value base) const {
  auto entry = storage.find(base);
  return entry == storage.end() ? std::nullopt : entry->second.fixed;
}

BufferRef BufferAssignment::scratchOf(size_t opIndex, uint32_t number) const {
  return *scratch.at({opIndex, number}).fixed;
}

int64_t BufferAssignment::bytesOf(Value value) const {
  return graph.values.elementsOf(value) * dtypeBytes(dtypeOfValue(value));
}

//===----------------------------------------------------------------------===//
// Lifetimes
//===----------------------------------------------------------------------===//

/// Notes that the steps from `first` to `last`, of `nodes`, read or write a value.
Status BufferAssignment::useValue(Value value, int64_t first, int64_t last, const SharedText &nodes,
                                  const Limits &limits) {
  if (nn::isNone(value) || !graph.hasPlace(value))
    return Status::ok();
  Value base = places.placeOf(value).base;
  if (graph.values.isKnown(base))
    return Status::ok();
  QUERN_ASSIGN(int64_t bytes, graph.checkedBytes(base, nodes, limits));
  Storage &entry = storage[base];
  entry.bytes = bytes;
  entry.use(first);
  entry.use(last);
  return Status::ok();
}

Status BufferAssignment::useOp(const LoweredOp &op, size_t opIndex, int64_t first, int64_t last,
                               const Limits &limits) {
  if (op.takesValues()) {
    for (Value operand : op.op->getOperands())
      QUERN_TRY(useValue(operand, first, last, op.nodes, limits));
    for (Value value : op.op->getResults())
      QUERN_TRY(useValue(value, first, last, op.nodes, limits));
  }
  for (const LoweredStep &step : op.steps)
    for (const StepBuffer &buffer : step.buffers) {
      // What a first copy reads may be overwritten by the steps after it.
      bool isCopied = step.copiesWhole && &buffer == &step.buffers.front();
      if (buffer.kind == StepBuffer::Kind::Value)
        QUERN_TRY(useValue(buffer.value, first, isCopied ? first : last, op.nodes, limits));
      if (buffer.kind != StepBuffer::Kind::Scratch)
        continue;
      if (!buffer.bytes.valid())
        return resourceLimit("node '" + op.nodes.str() + "' needs more memory than there can be");
      Storage &entry = scratch[{opIndex, buffer.number}];
      entry.bytes = std::max(entry.bytes, buffer.bytes.value());
      entry.use(first);
      entry.use(last);
    }
  return Status::ok();
}

/// Where the storage of the whole of `value` is; null when it is a part of another's,
/// or no place of this plan.
BufferAssignment::Storage *BufferAssignment::wholeStorage(Value value) {
  ValuePlaces::Place place = places.placeOf(value);
  auto entry = storage.find(place.base);
  bool isWhole =
      entry != storage.end() && place.offset == 0 && bytesOf(value) == entry->second.bytes;
  return isWhole ? &entry->second : nullptr;
}

/// The operand whose memory a step may write its result to, element by element, as
/// nothing reads it afterwards.
BufferAssignment::Storage *BufferAssignment::overwritable(const LoweredStep &step,
                                                          int64_t stepIndex) {
  auto sharesBase = [&](const StepBuffer &a, const StepBuffer &b) {
    return b.kind == StepBuffer::Kind::Value &&
           places.placeOf(a.value).base == places.placeOf(b.value).base;
  };
  for (uint32_t index : step.overwritable) {
    const StepBuffer &buffer = step.buffers[index];
    if (buffer.kind != StepBuffer::Kind::Value || buffer.offset != 0)
      continue;
    Storage *entry = wholeStorage(buffer.value);
    if (!entry || entry->fixed || entry->last != stepIndex)
      continue;
    auto readers = llvm::count_if(
        step.buffers, [&](const StepBuffer &other) { return sharesBase(buffer, other); });
    if (readers == 1)
      return entry;
  }
  return nullptr;
}

/// Decides which values take over the memory of an operand.
void BufferAssignment::chooseInPlace(const std::vector<const LoweredOp *> &order) {
  int64_t stepIndex = 0;
  for (const LoweredOp *op : order) {
    bool writesOnce = op->steps.size() == 1 || (!op->steps.empty() && op->steps[0].copiesWhole);
    if (writesOnce && op->op->getNumResults() == 1 && !op->reference)
      if (Storage *result = wholeStorage(op->op->getResult(0)); result && !result->fixed)
        result->inPlaceOf = overwritable(op->steps.front(), stepIndex);
    stepIndex += std::max<int64_t>(op->steps.size(), 1);
  }
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Expected<int64_t> BufferAssignment::assign(const std::vector<const LoweredOp *> &order,
                                           const Limits &limits) {
  int64_t steps = 0;
  for (auto [opIndex, op] : llvm::enumerate(order)) {
    int64_t first = steps;
    steps += std::max<int64_t>(op->steps.size(), 1);
    QUERN_TRY(useOp(*op, opIndex, first, steps - 1, limits));
  }
  for (Value passed : graph.later.inputs)
    QUERN_TRY(useValue(passed, steps, steps, graph.waiting.front().node->nodes, limits));
  chooseInPlace(order);
  std::vector<Lifetime> lifetimes;
  std::vector<Storage *> owners;
  llvm::DenseMap<Storage *, int64_t> indices;
  auto add = [&](Storage &entry) {
    if (entry.fixed || entry.first < 0)
      return;
    auto before = indices.find(entry.inPlaceOf);
    int64_t inPlaceOf = before == indices.end() ? -1 : before->second;
    indices[&entry] = static_cast<int64_t>(lifetimes.size());
    lifetimes.push_back({entry.first, entry.last, entry.bytes, inPlaceOf});
    owners.push_back(&entry);
  };
  // In program order, so that equal graphs get equal plans; elided concatenations
  // have no step, but storage.
  for (const LoweredOp &op : graph.ops)
    for (Value value : op.op->getResults())
      if (auto it = storage.find(value); it != storage.end())
        add(it->second);
  for (auto &[key, entry] : scratch)
    add(entry);
  QUERN_ASSIGN(MemoryPlan memory, planMemory(lifetimes, limits.deadline));
  QUERN_TRY(Budget(limits).hold(memory.totalBytes));
  for (size_t i = 0; i < owners.size(); ++i)
    owners[i]->fixed = BufferRef{BufferRef::Space::Arena, 0, memory.offsets[i]};
  return memory.totalBytes;
}
