//===- MemoryPlanner.cpp - offsets for values with lifetimes --------------===//
#include "backends/plan/MemoryPlanner.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

using namespace quern;

namespace {
/// Among more living values than these no gap is looked for: it would take time
/// that grows with the square of their number.
constexpr size_t kMaxNeighbours = 1000;

/// Values that share one place: a value and those in place of it, one after another.
struct Slot {
  int64_t firstStep;
  int64_t lastStep;
  int64_t bytes;
  int64_t offset = 0;

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

/// The slots placed so far, by time. What it costs to ask depends on the answer,
/// not on how many slots there are.
class PlacedSlots {
public:
  /// Time is counted in slots' first steps: two slots overlap in time exactly when
  /// one holds the first step of the other.
  explicit PlacedSlots(std::span<const Slot> slots) {
    for (const Slot &slot : slots)
      times.push_back(slot.firstStep);
    std::sort(times.begin(), times.end());
    times.erase(std::unique(times.begin(), times.end()), times.end());
    leaves = std::bit_ceil(std::max<size_t>(times.size(), 1));
    nodes.resize(2 * leaves);
  }

  void add(const Slot &slot);
  /// The slots that overlap `slot` in time; false when there are more than `most`.
  bool findOverlapping(const Slot &slot, size_t most, std::vector<const Slot *> &found) const;
  /// The end of the highest of them.
  int64_t highestEnd(const Slot &slot) const;

private:
  /// A node of a segment tree over `times`.
  struct Node {
    /// The slots that are alive in all of its times, but not in all of its parent's.
    std::vector<const Slot *> covering;
    /// The highest end of `covering`, and that of the nodes below.
    int64_t coveringEnd = 0, endBelow = 0;
  };

  size_t timeOf(int64_t step) const {
    return std::lower_bound(times.begin(), times.end(), step) - times.begin();
  }
  /// The times in which the slot is alive: a half-open range.
  std::pair<size_t, size_t> timesOf(const Slot &slot) const {
    return {timeOf(slot.firstStep), timeOf(slot.lastStep + 1)};
  }
  /// Calls `function` with the nodes that make up the range.
  template <typename Function> void forNodesOf(const Slot &slot, Function function) const {
    auto [first, last] = timesOf(slot);
    for (first += leaves, last += leaves; first < last; first /= 2, last /= 2) {
      if (first % 2)
        function(first++);
      if (last % 2)
        function(--last);
    }
  }

  std::vector<int64_t> times;
  size_t leaves;
  /// The root is 1; the children of n are 2n and 2n + 1.
  std::vector<Node> nodes;
  std::multimap<int64_t, const Slot *> byFirstStep;
};

void PlacedSlots::add(const Slot &slot) {
  byFirstStep.emplace(slot.firstStep, &slot);
  forNodesOf(slot, [&](size_t node) {
    nodes[node].covering.push_back(&slot);
    nodes[node].coveringEnd = std::max(nodes[node].coveringEnd, slot.end());
    for (size_t above = node / 2; above > 0; above /= 2)
      nodes[above].endBelow = std::max(nodes[above].endBelow, slot.end());
  });
}

bool PlacedSlots::findOverlapping(const Slot &slot, size_t most,
                                  std::vector<const Slot *> &found) const {
  found.clear();
  // Those alive at its first step, and those that start later in its time.
  for (size_t node = timeOf(slot.firstStep) + leaves; node > 0; node /= 2) {
    if (found.size() + nodes[node].covering.size() > most)
      return false;
    found.insert(found.end(), nodes[node].covering.begin(), nodes[node].covering.end());
  }
  for (auto it = byFirstStep.upper_bound(slot.firstStep);
       it != byFirstStep.end() && it->first <= slot.lastStep; ++it) {
    if (found.size() == most)
      return false;
    found.push_back(it->second);
  }
  return true;
}

int64_t PlacedSlots::highestEnd(const Slot &slot) const {
  int64_t end = 0;
  forNodesOf(slot, [&](size_t node) {
    end = std::max({end, nodes[node].coveringEnd, nodes[node].endBelow});
    for (size_t above = node / 2; above > 0; above /= 2)
      end = std::max(end, nodes[above].coveringEnd);
  });
  return end;
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

Expected<MemoryPlan> quern::planMemory(std::span<const Lifetime> lifetimes,
                                       const Deadline &deadline) {
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
  PlacedSlots placed(slots);
  std::vector<const Slot *> neighbours;
  for (size_t i : order) {
    QUERN_TRY(deadline.check("planning memory"));
    if (placed.findOverlapping(slots[i], kMaxNeighbours, neighbours)) {
      std::sort(neighbours.begin(), neighbours.end(),
                [](const Slot *a, const Slot *b) { return a->offset < b->offset; });
      slots[i].offset = findGap(neighbours, slots[i].bytes);
    } else {
      slots[i].offset = placed.highestEnd(slots[i]);
    }
    plan.totalBytes = std::max(plan.totalBytes, slots[i].end());
    placed.add(slots[i]);
  }
  for (size_t slot : slotOf)
    plan.offsets.push_back(slots[slot].offset);
  return plan;
}
