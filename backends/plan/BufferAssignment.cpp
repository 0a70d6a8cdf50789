//===- BufferAssignment.cpp - where the values of a plan lie ------------------===//
#include "backends/plan/BufferAssignment.h"

#include "ir/NodeNames.h"
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

/// Notes that steps of an op, of `nodes`, read or write a value.
Status BufferAssignment::useValue(Value value, size_t opIndex, StepOrder::Waves when,
                                  const SharedText &nodes, const Limits &limits) {
  if (nn::isNone(value) || !graph.hasPlace(value))
    return Status::ok();
  Value base = places.placeOf(value).base;
  if (graph.values.isKnown(base))
    return Status::ok();
  QUERN_ASSIGN(int64_t bytes, graph.checkedBytes(base, nodes, limits));
  Storage &entry = storage[base];
  entry.bytes = bytes;
  entry.use(when.first, opIndex);
  entry.use(when.last, opIndex);
  return Status::ok();
}

Status BufferAssignment::useOp(const LoweredOp &op, size_t opIndex, StepOrder::Waves when,
                               const Limits &limits) {
  if (op.takesValues()) {
    for (Value operand : op.op->getOperands())
      QUERN_TRY(useValue(operand, opIndex, when, op.nodes, limits));
    for (Value value : op.op->getResults())
      QUERN_TRY(useValue(value, opIndex, when, op.nodes, limits));
  }
  for (const LoweredStep &step : op.steps)
    for (const StepBuffer &buffer : step.buffers) {
      // What a first copy reads may be overwritten by the steps after it.
      bool isCopied = step.copiesWhole && &buffer == &step.buffers.front();
      if (buffer.kind == StepBuffer::Kind::Value)
        QUERN_TRY(useValue(buffer.value, opIndex, {when.first, isCopied ? when.first : when.last},
                           op.nodes, limits));
      if (buffer.kind != StepBuffer::Kind::Scratch)
        continue;
      if (!buffer.bytes.valid())
        return resourceLimit("node '" + op.nodes.str() + "' needs more memory than there can be");
      Storage &entry = scratch[{opIndex, buffer.number}];
      entry.bytes = std::max(entry.bytes, buffer.bytes.value());
      entry.use(when.first, opIndex);
      entry.use(when.last, opIndex);
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

/// Why a step must not write its result over this operand; no text if it may.
BufferAssignment::Obstacle BufferAssignment::obstacleAt(const LoweredStep &step, uint32_t index,
                                                        int64_t wave) {
  const StepBuffer &buffer = step.buffers[index];
  if (buffer.kind != StepBuffer::Kind::Value || graph.values.isKnown(buffer.value))
    return {ReasonCode::Form, "the operand is a constant"};
  Storage *entry = buffer.offset == 0 ? wholeStorage(buffer.value) : nullptr;
  if (!entry)
    return {ReasonCode::Layout, "the operand is a part of another value"};
  if (entry->fixed)
    return {ReasonCode::Layout, "the operand lies in memory of the caller"};
  if (entry->last != wave || entry->othersAtLast)
    return {ReasonCode::SeveralUses, "the operand is needed later"};
  Value base = places.placeOf(buffer.value).base;
  auto readers = llvm::count_if(step.buffers, [&](const StepBuffer &other) {
    return other.kind == StepBuffer::Kind::Value && places.placeOf(other.value).base == base;
  });
  if (readers > 1)
    return {ReasonCode::SeveralUses, "the operand is read in several ways"};
  return {};
}

/// The operand whose memory a step may write its result to, element by element, as
/// nothing reads it afterwards. Null, with the last obstacle, when there is none.
BufferAssignment::Storage *BufferAssignment::overwritable(const LoweredStep &step, Value result,
                                                          int64_t wave, Obstacle &obstacle) {
  for (uint32_t index : step.overwritable) {
    obstacle = obstacleAt(step, index, wave);
    if (obstacle.text)
      continue;
    arena.inPlace.emplace_back(result, step.buffers[index].value);
    return wholeStorage(step.buffers[index].value);
  }
  return nullptr;
}

/// Lets the result of an op take over an operand's memory; no text if it does, or could not in
/// any graph.
BufferAssignment::Obstacle BufferAssignment::takeOver(const LoweredOp &op, int64_t wave) {
  bool writesOnce = op.steps.size() == 1 || (!op.steps.empty() && op.steps[0].copiesWhole);
  if (!writesOnce || op.op->getNumResults() != 1 || op.reference ||
      op.steps.front().overwritable.empty())
    return {};
  Storage *result = wholeStorage(op.op->getResult(0));
  if (!result)
    return {ReasonCode::Layout, "the result is a part of another value"};
  if (result->fixed)
    return {ReasonCode::Layout, "the result lies in memory of the caller"};
  Obstacle obstacle;
  result->inPlaceOf = overwritable(op.steps.front(), op.op->getResult(0), wave, obstacle);
  return obstacle;
}

/// Decides which values take over the memory of an operand.
void BufferAssignment::chooseInPlace(const std::vector<const LoweredOp *> &order,
                                     const StepOrder &steps, std::vector<Refusal> *refusals) {
  for (auto [op, waves] : llvm::zip_equal(order, steps.ofOps)) {
    Obstacle obstacle = takeOver(*op, waves.first);
    if (refusals && obstacle.text && obstacle.code != ReasonCode::Form)
      refusals->push_back({Refusal::Kind::InPlace,
                           {obstacle.code, obstacle.text, nn::nodeNames(op->op->getLoc())}});
  }
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Expected<ArenaUse> BufferAssignment::assign(const std::vector<const LoweredOp *> &order,
                                            const StepOrder &steps, const Limits &limits,
                                            std::vector<Refusal> *refusals) {
  for (auto [opIndex, op] : llvm::enumerate(order))
    QUERN_TRY(useOp(*op, opIndex, steps.ofOps[opIndex], limits));
  auto end = static_cast<int64_t>(steps.waves.size());
  for (Value passed : graph.later.inputs)
    QUERN_TRY(
        useValue(passed, order.size(), {end, end}, graph.waiting.front().node->nodes, limits));
  chooseInPlace(order, steps, refusals);
  std::vector<Storage *> owners;
  llvm::DenseMap<Storage *, int64_t> indices;
  auto add = [&](Storage &entry, ArenaUse::Owner owner) {
    if (entry.fixed || entry.first < 0)
      return;
    auto before = indices.find(entry.inPlaceOf);
    int64_t inPlaceOf = before == indices.end() ? -1 : before->second;
    indices[&entry] = static_cast<int64_t>(owners.size());
    arena.lifetimes.push_back({entry.first, entry.last, entry.bytes, inPlaceOf});
    arena.owners.push_back(owner);
    owners.push_back(&entry);
  };
  // In program order, so that equal graphs get equal plans; elided concatenations
  // have no step, but storage.
  for (const LoweredOp &op : graph.ops)
    for (Value value : op.op->getResults())
      if (auto it = storage.find(value); it != storage.end())
        add(it->second, {value});
  for (auto &[key, entry] : scratch)
    add(entry, {nullptr, key.first, key.second});
  QUERN_ASSIGN(arena.plan, planMemory(arena.lifetimes, limits.deadline));
  QUERN_TRY(Budget(limits).hold(arena.plan.totalBytes));
  for (size_t i = 0; i < owners.size(); ++i)
    owners[i]->fixed = BufferRef{BufferRef::Space::Arena, 0, arena.plan.offsets[i]};
  return std::move(arena);
}
