//===- OnDemandPlanner.h - the plans of a graph that runs ask for ---------===//
#pragma once

#include "backends/plan/PlanTemplate.h"
#include "runtime/plan/PlanCache.h"

#include <list>
#include <mutex>

namespace quern::plan {

/// Gives the kernel steps of plans their code; a backend's. Thread-safe.
class KernelLinker {
public:
  virtual ~KernelLinker() = default;
  /// Makes the code of the plan's kernels, unless it is there.
  virtual Status link(UnlinkedPlan &plan, const Deadline &deadline) = 0;
};

/// Makes the plans of a graph for its input sizes, of its later stages, and of the bodies in
/// it, when a run asks for them. Thread-safe; threads plan side by side.
class OnDemandPlanner : public std::enable_shared_from_this<OnDemandPlanner> {
public:
  using SharedPlan = std::shared_ptr<const Plan>;

  /// `planCacheBytes` of plans of stages after the first, and of each body, are kept.
  static std::shared_ptr<OnDemandPlanner> create(std::shared_ptr<GraphFamily> family,
                                                 std::shared_ptr<Instantiator> instantiator,
                                                 std::shared_ptr<KernelLinker> linker,
                                                 int64_t planCacheBytes);

  /// The plan for inputs of these dims, those of other values than tensors aside.
  Expected<SharedPlan> plan(std::span<const Tensor::Dims> inputDims, const Deadline &deadline);
  /// Makes the plans that a run on such inputs may ask for when it comes to branches and bodies:
  /// of both branches of each, where the inputs' dims tell the dims of what is passed to them.
  Status planBodies(std::span<const Tensor::Dims> inputDims, const Deadline &deadline);

private:
  OnDemandPlanner(std::shared_ptr<GraphFamily> family, std::shared_ptr<Instantiator> instantiator,
                  std::shared_ptr<KernelLinker> linker, int64_t planCacheBytes)
      : family(std::move(family)), instantiator(std::move(instantiator)), linker(std::move(linker)),
        kept(planCacheBytes) {}

  Expected<SharedPlan> planWhole(std::span<const KnownValue> arguments, const Deadline &deadline);
  Expected<SharedPlan> planBody(std::span<const KnownValue> arguments, const Deadline &deadline);
  Expected<SharedPlan> planStage(const PlanRequest &stage, std::span<const AnyValue> operands,
                                 const Deadline &deadline);
  Expected<SharedPlan> make(PlanRequest request, const Deadline &deadline);
  SharedPlan fillTemplate(const PlanRequest &request, const ShapeEnvironment &values);
  void keepTemplate(std::shared_ptr<const PlanTemplate> made);
  Status planBodiesIn(std::span<const KnownValue> arguments, const Deadline &deadline);
  Status planAhead(std::vector<KnownValue> arguments, const Deadline &deadline);
  void setPlannersOf(Plan &plan, std::span<const PlannedStep> origins, const GraphPart &later,
                     const PlanRequest &request);

  std::shared_ptr<GraphFamily> family;
  std::shared_ptr<Instantiator> instantiator;
  std::shared_ptr<KernelLinker> linker;
  PlanCache kept;
  std::mutex mutex;
  /// What was used last comes first.
  std::list<std::shared_ptr<const PlanTemplate>> templates;
  /// Of each of the family's outlined ops.
  std::vector<std::vector<std::shared_ptr<OnDemandPlanner>>> bodies;
};

} // namespace quern::plan
