//===- PlanTemplate.cpp - a plan that is filled in for other sizes --------===//
#include "backends/plan/PlanTemplate.h"

#include "backends/plan/IndexData.h"
#include "backends/plan/LoweredForm.h"
#include "ir/NNDialect.h"
#include "runtime/running/Budget.h"

#include <bit>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

//===----------------------------------------------------------------------===//
// What is decided
//===----------------------------------------------------------------------===//

PlanTemplate::PlanTemplate(Instance lowered, UnlinkedPlan unlinked,
                           std::shared_ptr<const OpLowering> lowering, const Limits &limits)
    : instance(std::move(lowered)), planned(std::move(unlinked)), lowering(std::move(lowering)),
      limits(limits), valuesByNumber(graph().values()), places(instance.lowered) {
  this->limits.deadline = Deadline();
  noteValues();
  orderOps();
  notePlaces();
  noteArena();
}

bool PlanTemplate::isOf(const PlanRequest &request) const {
  const PlanRequest &own = instance.request;
  return own.graph == request.graph && own.unknown == request.unknown &&
         own.stage == request.stage && own.depth == request.depth &&
         own.part.inputs == request.part.inputs && own.part.outputs == request.part.outputs &&
         own.part.outputNumbers == request.part.outputNumbers &&
         own.part.sizeInputs == request.part.sizeInputs;
}

void PlanTemplate::noteValues() {
  for (uint32_t number : graph().openValues()) {
    Value value = valuesByNumber[number];
    bool isCounted = isa<TensorType>(value.getType()) && dtypeOfValue(value) != DType::String;
    open.push_back({number, isCounted ? dtypeBytes(dtypeOfValue(value)) : 0});
  }
  // Those inside a group follow from what it is given, and are only known with it.
  auto noteComputed = [&](Value value) {
    if (const auto &facts = graph().factsOf(value); facts.isIndexData && !facts.weight)
      computed.push_back({value, facts.number, instance.lowered.values.tensorOf(value)});
  };
  llvm::for_each(graph().main().getArguments(), noteComputed);
  for (const OptimizedGraph::Node &node : graph().nodes())
    llvm::for_each(node.op->getResults(), noteComputed);
  for (const OptimizedGraph::Node &node : graph().nodes())
    if (isa<nn::TransposeOp, nn::ExpandOp>(node.op))
      aliases.emplace_back(node.op, isAlias(node.op, instance.lowered.values));
}

/// The first op that `op` may be filled in as, of those in `firsts`.
size_t PlanTemplate::findAlike(size_t op, std::vector<size_t> &firsts) const {
  const OrderedOp &wanted = ops[op];
  const AlikeNodes &alike = graph().alike();
  ArrayRef<uint32_t> own = alike.valuesOf(*wanted.node);
  const ShapeEnvironment &values = instance.lowered.values;
  for (size_t first : firsts) {
    ArrayRef<uint32_t> others = alike.valuesOf(*ops[first].node);
    bool haveSameSizes = llvm::all_of(llvm::zip_equal(own, others), [&](auto pair) {
      return values.sizesAt(std::get<0>(pair)) == values.sizesAt(std::get<1>(pair));
    });
    if (!haveSameSizes)
      continue;
    ValueMap map;
    for (auto [mine, its] : llvm::zip_equal(own, others))
      map[valuesByNumber[its]] = valuesByNumber[mine];
    if (areLoweredAlike(*ops[first].lowered, *wanted.lowered, map))
      return first;
  }
  firsts.push_back(op);
  return op;
}

void PlanTemplate::orderOps() {
  llvm::DenseMap<size_t, std::vector<size_t>> firstsOfModel;
  for (size_t number : planned.decisions.order) {
    const LoweredOp &op = instance.lowered.ops[number];
    auto node = static_cast<size_t>(&graph().nodeOf(op.op) - graph().nodes().data());
    size_t self = ops.size();
    ops.push_back({&op, node, self});
    bool mayBeAlike = !op.takesValues() && !graph().alike().readsElements(node);
    if (mayBeAlike)
      ops[self].first = findAlike(self, firstsOfModel[graph().alike().modelOf(node)]);
  }
  for (const LoweredOp &copy : planned.decisions.copies)
    ops.push_back({&copy, std::nullopt, ops.size()});
}

void PlanTemplate::notePlaces() {
  for (const LoweredOp &op : llvm::reverse(instance.lowered.ops)) {
    hasConcats |= isa<nn::ConcatOp>(op.op);
    places.placeConcat(op, [&](Value v) { return planned.decisions.ports.contains(v); });
  }
  for (const PlanStep &step : planned.plan.steps)
    if (auto *kernel = step.as<KernelStep>())
      mayUpdate |= kernel->copiesWhole && kernel->buffers[0].space == BufferRef::Space::Input &&
                   kernel->buffers[1].space == BufferRef::Space::Output;
}

/// Notes who owns which memory of the arena.
void PlanTemplate::noteArena() {
  const ArenaUse &arena = planned.decisions.arena;
  for (auto [i, owner] : llvm::enumerate(arena.owners)) {
    bool isOpen = true;
    if (owner.value) {
      ownerOf[owner.value] = i;
      isOpen = !graph().factsOf(owner.value).sizes;
    } else {
      ownerOfScratch[{owner.op, owner.scratch}] = i;
    }
    isOpenOwner.push_back(isOpen);
  }
  ArenaPlaces exact{{}, arena.plan.offsets, arena.plan.totalBytes};
  for (const Lifetime &lifetime : arena.lifetimes)
    exact.bytes.push_back(lifetime.bytes);
  known.push_back(std::make_shared<const ArenaPlaces>(std::move(exact)));
  for (auto [step, origin] : llvm::zip_equal(planned.plan.steps, planned.steps)) {
    auto &found = owners.emplace_back();
    if (!origin.kernel)
      continue;
    for (const StepBuffer &buffer : ops[origin.opIndex].lowered->steps[origin.part].buffers) {
      found.emplace_back();
      if (buffer.kind == StepBuffer::Kind::Scratch)
        found.back() = ownerOfScratch.at({origin.opIndex, buffer.number});
      else if (buffer.kind == StepBuffer::Kind::Value)
        if (auto at = ownerOf.find(places.placeOf(buffer.value).base); at != ownerOf.end())
          found.back() = at->second;
    }
  }
}

//===----------------------------------------------------------------------===//
// The arena for other sizes
//===----------------------------------------------------------------------===//

/// Places that hold so much: those of other sizes, unless most of them would be left empty.
std::shared_ptr<const PlanTemplate::ArenaPlaces>
PlanTemplate::placesFor(const std::vector<int64_t> &bytes) const {
  constexpr size_t kMostKnown = 8;
  auto fits = [&](const std::shared_ptr<const ArenaPlaces> &candidate) {
    double wanted = 1, there = 1;
    for (auto [need, have] : llvm::zip_equal(bytes, candidate->bytes)) {
      if (need > have)
        return false;
      wanted += double(need);
      there += double(have);
    }
    return there <= 1.3 * wanted;
  };
  std::lock_guard lock(mutex);
  auto at = llvm::find_if(known, fits);
  if (at == known.end()) {
    std::shared_ptr<const ArenaPlaces> made = planPlaces(bytes);
    if (!made)
      return nullptr;
    if (known.size() == kMostKnown)
      known.pop_back();
    at = known.insert(known.end(), std::move(made));
  }
  std::rotate(known.begin(), at, at + 1);
  return known.front();
}

/// A little more than wanted, so that most sizes to come find enough.
static int64_t roundUp(int64_t bytes) {
  int64_t unit = std::max(kArenaAlignment,
                          static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes)) / 8));
  return CheckedSize(bytes).alignedTo(unit).valid() ? CheckedSize(bytes).alignedTo(unit).value()
                                                    : bytes;
}

std::shared_ptr<const PlanTemplate::ArenaPlaces>
PlanTemplate::planPlaces(const std::vector<int64_t> &bytes) const {
  const ArenaUse &arena = planned.decisions.arena;
  std::vector<Lifetime> lifetimes = arena.lifetimes;
  ArenaPlaces made;
  for (auto [i, lifetime] : llvm::enumerate(lifetimes)) {
    lifetime.bytes = isOpenOwner[i] ? roundUp(bytes[i]) : bytes[i];
    made.bytes.push_back(lifetime.bytes);
  }
  auto memory = planMemory(lifetimes);
  if (!memory || !Budget(limits).hold(memory->totalBytes).isOk())
    return nullptr;
  // Copies have been left out where they would copy to the same place.
  for (auto [i, lifetime] : llvm::enumerate(lifetimes))
    if (int64_t before = lifetime.inPlaceOf; before >= 0)
      if ((memory->offsets[i] == memory->offsets[before]) !=
          (arena.plan.offsets[i] == arena.plan.offsets[before]))
        return nullptr;
  made.offsets = std::move(memory->offsets);
  made.totalBytes = memory->totalBytes;
  return std::make_shared<const ArenaPlaces>(std::move(made));
}
