//===- PlanTemplate.h - a plan that is filled in for other sizes ----------===//
//
// Of two plans of a graph for different sizes, nearly everything is the same: which ops have
// steps, their kernels, packed weights and buffers, what lies in the arena when. A template is a
// plan with all that was decided on the way to it. For other sizes it lowers again only ops whose
// sizes have changed, once for all that are alike and have the same sizes, and compares what comes
// of it with what there is: where only numbers differ, they are filled in; where anything else
// does, the graph is planned as if there were no template. So which sizes came before decides
// nothing but where the buffers of a plan lie in its arena.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/plan/Instantiator.h"

#include <map>
#include <mutex>

namespace quern::plan {

/// Immutable but for the places in memory that it knows. Thread-safe.
class PlanTemplate {
public:
  /// What a plan and its steps come from, and the plan, linked. The deadline of `limits` does not
  /// count.
  PlanTemplate(Instance instance, UnlinkedPlan planned, std::shared_ptr<const OpLowering> lowering,
               const Limits &limits);

  /// Whether it is of such a request: what is known of its sizes aside.
  bool isOf(const PlanRequest &request) const;
  /// The plan for these sizes of all values, but for what finds the plans that its steps run; null
  /// where decisions differ.
  std::unique_ptr<Plan> fill(const ShapeEnvironment &values) const;

  /// One for each step of the plans.
  const std::vector<PlannedStep> &steps() const { return planned.steps; }
  /// What the StageStep of its plans is to run.
  const GraphPart &later() const { return planned.later; }

private:
  friend class PlanFilling;

  /// An op in the order of its steps.
  struct OrderedOp {
    const LoweredOp *lowered;
    /// Its number among the graph's nodes; none for a copy to an output.
    std::optional<size_t> node;
    /// The first op in the order that is alike, has the same sizes and was lowered in the same
    /// way.
    size_t first;
  };
  /// A value whose sizes no type tells.
  struct OpenValue {
    uint32_t number;
    int64_t elementBytes;
  };
  /// An integer tensor that is computed, with its elements where they are known before the run.
  struct ComputedValue {
    mlir::Value value;
    uint32_t number;
    std::optional<Tensor> elements;
  };
  /// Bytes that are there for each owner in the arena, and where.
  struct ArenaPlaces {
    std::vector<int64_t> bytes, offsets;
    int64_t totalBytes = 0;
  };

  const OptimizedGraph &graph() const { return instance.request.graph->get(); }
  void orderOps();
  size_t findAlike(size_t op, std::vector<size_t> &firsts) const;
  void noteValues();
  void notePlaces();
  void noteArena();
  std::shared_ptr<const ArenaPlaces> placesFor(const std::vector<int64_t> &bytes) const;
  std::shared_ptr<const ArenaPlaces> planPlaces(const std::vector<int64_t> &bytes) const;

  Instance instance;
  UnlinkedPlan planned;
  std::shared_ptr<const OpLowering> lowering;
  Limits limits;

  std::vector<OrderedOp> ops;
  std::vector<OpenValue> open;
  std::vector<ComputedValue> computed;
  /// Ops that may be aliases for some sizes, and whether they are for these.
  std::vector<std::pair<mlir::Operation *, bool>> aliases;
  std::vector<mlir::Value> valuesByNumber;
  ValuePlaces places;
  bool hasConcats = false;
  /// Whether outputs may be made in the memory of inputs.
  bool mayUpdate = false;
  /// The numbers of owners in the arena.
  llvm::DenseMap<mlir::Value, size_t> ownerOf;
  std::map<std::pair<size_t, uint32_t>, size_t> ownerOfScratch;
  /// For each step the owners of its buffers; none for what lies elsewhere.
  std::vector<std::vector<std::optional<size_t>>> owners;
  /// Whether the sizes of owners may change.
  std::vector<bool> isOpenOwner;

  mutable std::mutex mutex;
  /// What was used last comes first.
  mutable std::vector<std::shared_ptr<const ArenaPlaces>> known;
};

} // namespace quern::plan
