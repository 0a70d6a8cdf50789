//===- MemoryPlanner.cpp - offsets for values with lifetimes --------------===//
#include "passes/MemoryPlanner.h"

#include <algorithm>
#include <numeric>

using namespace quern;

namespace {
/// Values that share one place: a value and those in place of it, one after another.
struct Slot {
  int64_t firstStep;
  int64_t lastStep;
  int64_t bytes;
  int64_t offset = 0;

  bool overlapsInTime(const Slot &o) const {
    return firstStep <= o.lastStep && o.firstStep <= lastStep;
  }
  int64_t end() const { return offset + bytes; }
};

/// Groups lifetimes into slots; `slotOf` tells the slot of each.
std::vector<Slot> formSlots(std::span<const Lifetime> lifetimes, std::vector<size_t> &slotOf) {
  std::vector<Slot> slots;
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(lifetimes[a].firstStep, a) < std::pair(lifetimes[b].firstStep, b);
  });
  constexpr size_t kNone = -1;
  slotOf.assign(lifetimes.size(), kNone);
  std::vector<bool> taken(lifetimes.size());
  for (size_t i : order) {
    const Lifetime &value = lifetimes[i];
    auto before = static_cast<size_t>(value.inPlaceOf);
    bool fits = value.inPlaceOf >= 0 && before < lifetimes.size() && slotOf[before] != kNone &&
                !taken[before] && lifetimes[before].lastStep == value.firstStep &&
                value.bytes <= slots[slotOf[before]].bytes;
    if (fits) {
      taken[before] = true;
      slotOf[i] = slotOf[before];
      slots[slotOf[i]].lastStep = value.lastStep;
      continue;
    }
    slotOf[i] = slots.size();
    slots.push_back({value.firstStep, value.lastStep, value.bytes});
  }
  return slots;
}

/// The start of the smallest gap between `neighbours` (sorted by offset) that
/// holds `bytes`, or their end.
int64_t findGap(const std::vector<const Slot *> &neighbours, int64_t bytes) {
  int64_t end = 0, best = -1, bestSize = 0;
  for (const Slot *n : neighbours) {
    int64_t gap = n->offset - end;
    if (gap >= bytes && (best < 0 || gap < bestSize)) {
      best = end;
      bestSize = gap;
    }
    end = std::max(end, n->end());
  }
  return best >= 0 ? best : end;
}
} // namespace

Expected<MemoryPlan> quern::planMemory(std::span<const Lifetime> lifetimes) {
  std::vector<size_t> slotOf;
  std::vector<Slot> slots = formSlots(lifetimes, slotOf);
  // Every offset below stays within the sum of the aligned sizes.
  CheckedSize sum;
  for (Slot &slot : slots) {
    CheckedSize aligned = CheckedSize(slot.bytes).alignedTo(kArenaAlignment);
    sum += aligned;
    slot.bytes = aligned.value();
  }
  if (!sum.valid())
    return resourceLimit("the sizes of the activations overflow");

  std::vector<size_t> order(slots.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(slots[b].bytes, a) < std::pair(slots[a].bytes, b);
  });
  MemoryPlan plan;
  std::vector<const Slot *> placed;
  for (size_t i : order) {
    std::vector<const Slot *> neighbours;
    for (const Slot *other : placed)
      if (other->overlapsInTime(slots[i]))
        neighbours.push_back(other);
    std::sort(neighbours.begin(), neighbours.end(),
              [](const Slot *a, const Slot *b) { return a->offset < b->offset; });
    slots[i].offset = findGap(neighbours, slots[i].bytes);
    plan.totalBytes = std::max(plan.totalBytes, slots[i].end());
    placed.push_back(&slots[i]);
  }
  for (size_t slot : slotOf)
    plan.offsets.push_back(slots[slot].offset);
  return plan;
}
