//===- BufferAssignment.h - where the values of a plan lie --------------------===//
#pragma once

#include "backends/plan/LowerGraph.h"
#include "backends/plan/MemoryPlanner.h"
#include "backends/plan/StepOrder.h"
#include "backends/plan/ValuePlaces.h"
#include "quern/Explanation.h"
#include "runtime/plan/ValueRef.h"

#include <map>

namespace quern::plan {

/// What lies in the arena, and when. Places of other sizes are planned with the same lifetimes.
struct ArenaUse {
  struct Owner {
    /// Null for a scratch buffer: that of the op with this number in the order.
    mlir::Value value;
    size_t op = 0;
    uint32_t scratch = 0;
  };
  std::vector<Owner> owners;
  /// One for each of the owners, and where they are.
  std::vector<Lifetime> lifetimes;
  MemoryPlan plan;
  /// Results that may be written in place of operands, where both are all of their storage.
  std::vector<std::pair<mlir::Value, mlir::Value>> inPlace;
};

/// Gives every value that has a place, and every scratch buffer, its storage: what the
/// caller owns, or bytes of the arena for as long as it is in use.
class BufferAssignment {
public:
  /// `graph` outlives the table.
  explicit BufferAssignment(const LoweredGraph &graph) : graph(graph), places(graph) {}

  /// Says that a value lies outside the arena.
  void fix(mlir::Value value, BufferRef::Space space, uint32_t index);
  bool has(mlir::Value value) const { return storage.count(value) > 0; }
  /// Decides which concatenations have nothing to do, when all outside is said.
  void placeConcats();
  bool isElided(mlir::Operation *op) const { return places.isElided(op); }
  /// Which values lie in others' storage.
  const ValuePlaces &valuePlaces() const { return places; }

  /// Places all that the ops, and the later part, use, when they run as `steps` says: what steps
  /// side by side read and write is in use in all of their wave.
  /// ResourceLimit, naming the node, for what is too large. What might have been written in place
  /// and is not is appended to `refusals`, unless that is null.
  Expected<ArenaUse> assign(const std::vector<const LoweredOp *> &order, const StepOrder &steps,
                            const Limits &limits, std::vector<Refusal> *refusals = nullptr);

  /// The value whose storage this one lies in, and where in it.
  ValuePlaces::Place placeOf(mlir::Value value) const { return places.placeOf(value); }
  /// Where the storage of such a value is; nullopt when it has none.
  std::optional<BufferRef> find(mlir::Value base) const;
  /// A scratch buffer of the op with this number in the order.
  BufferRef scratchOf(size_t opIndex, uint32_t number) const;

private:
  /// From which wave to which the storage of a base value, or a scratch buffer, is in use.
  struct Storage {
    int64_t first = -1, last = -1, bytes = 0;
    /// An op that uses it in the last wave, and whether others do.
    size_t lastOp = 0;
    bool othersAtLast = false;
    /// Whose memory this one takes over, unless null.
    Storage *inPlaceOf = nullptr;
    /// Set for storage outside the arena.
    std::optional<BufferRef> fixed;
    void use(int64_t wave, size_t op) {
      first = first < 0 ? wave : std::min(first, wave);
      othersAtLast = wave == last ? othersAtLast || op != lastOp : wave < last && othersAtLast;
      if (wave >= last)
        lastOp = op;
      last = std::max(last, wave);
    }
  };

  int64_t bytesOf(mlir::Value value) const;
  Status useValue(mlir::Value value, size_t opIndex, StepOrder::Waves when, const SharedText &nodes,
                  const Limits &limits);
  Status useOp(const LoweredOp &op, size_t opIndex, StepOrder::Waves when, const Limits &limits);
  Storage *wholeStorage(mlir::Value value);
  /// Why memory is not taken over; it is asked for each step of each plan, so no text is made.
  struct Obstacle {
    ReasonCode code = ReasonCode::Form;
    const char *text = nullptr;
  };
  Obstacle obstacleAt(const LoweredStep &step, uint32_t buffer, int64_t wave);
  Storage *overwritable(const LoweredStep &step, mlir::Value result, int64_t wave,
                        Obstacle &obstacle);
  Obstacle takeOver(const LoweredOp &op, int64_t wave);
  void chooseInPlace(const std::vector<const LoweredOp *> &order, const StepOrder &steps,
                     std::vector<Refusal> *refusals);

  const LoweredGraph &graph;
  /// Which values lie in others' storage.
  ValuePlaces places;
  llvm::DenseMap<mlir::Value, Storage> storage;
  ArenaUse arena;
  /// By op and scratch number.
  std::map<std::pair<size_t, uint32_t>, Storage> scratch;
};

} // namespace quern::plan
