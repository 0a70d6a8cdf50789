//===- OnDemandPlanner.cpp - the plans of a graph that runs ask for -------===//
#include "backends/plan/OnDemandPlanner.h"

#include "backends/plan/BodySteps.h"
#include "ir/Types.h"
#include "runtime/running/TraceScope.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

std::shared_ptr<OnDemandPlanner> OnDemandPlanner::create(std::shared_ptr<GraphFamily> family,
                                                         std::shared_ptr<Instantiator> instantiator,
                                                         std::shared_ptr<KernelLinker> linker,
                                                         int64_t planCacheBytes) {
  std::shared_ptr<OnDemandPlanner> planner(new OnDemandPlanner(
      std::move(family), std::move(instantiator), std::move(linker), planCacheBytes));
  for (size_t op = 0; op < planner->family->outlined().size(); ++op) {
    std::vector<std::shared_ptr<OnDemandPlanner>> &planners = planner->bodies.emplace_back();
    for (const std::shared_ptr<GraphFamily> &body : planner->family->bodiesOf(op))
      planners.push_back(create(body, planner->instantiator, planner->linker, planCacheBytes));
  }
  return planner;
}

/// What a step asks `owner` for. The plan does not own its planner, which may keep it.
template <typename Plan> static Planner askLater(std::weak_ptr<OnDemandPlanner> owner, Plan plan) {
  return [owner = std::move(owner), plan = std::move(plan)](
             std::span<const AnyValue> operands,
             const Deadline &deadline) -> Expected<OnDemandPlanner::SharedPlan> {
    std::shared_ptr<OnDemandPlanner> planner = owner.lock();
    if (!planner)
      return internalError("a plan has outlived its executable");
    return plan(*planner, operands, deadline);
  };
}

void OnDemandPlanner::setPlannersOf(Plan &plan, std::span<const PlannedStep> origins,
                                    const GraphPart &later, const PlanRequest &request) {
  for (auto [step, origin] : llvm::zip_equal(plan.steps, origins)) {
    if (origin.kernel)
      continue;
    std::vector<Planner> planners;
    if (step.as<StageStep>())
      planners.push_back(askLater(
          weak_from_this(), [stage = request.later(later)](OnDemandPlanner &planner, auto operands,
                                                           const Deadline &deadline) {
            return planner.planStage(stage, operands, deadline);
          }));
    else if (origin.outlined)
      for (const std::shared_ptr<OnDemandPlanner> &body : bodies[*origin.outlined])
        planners.push_back(
            askLater(body, [](OnDemandPlanner &planner, auto operands, const Deadline &deadline) {
              return planner.planBody(knownSizes(operands), deadline);
            }));
    setPlanners(step, std::move(planners));
  }
}

/// Steps on reference kernels keep why they are: profiles say so.
static void keepReasons(UnlinkedPlan &unlinked) {
  for (auto [step, origin] : llvm::zip_equal(unlinked.plan.steps, unlinked.steps))
    if (auto *reference = step.as<ReferenceStep>())
      reference->reason = origin.reason;
}

Expected<OnDemandPlanner::SharedPlan> OnDemandPlanner::make(PlanRequest request,
                                                            const Deadline &deadline) {
  TraceScope span("compile", "planning");
  QUERN_ASSIGN(ShapeEnvironment values, instantiator->infer(*family, request, deadline));
  if (SharedPlan filled = fillTemplate(request, values))
    return filled;
  const FrozenGraph *asked = request.graph.get();
  QUERN_ASSIGN(Instance instance,
               instantiator->lower(*family, std::move(request), std::move(values), deadline));
  QUERN_ASSIGN(UnlinkedPlan unlinked, instantiator->build(*family, instance, deadline));
  QUERN_TRY(linker->link(unlinked, deadline));
  keepReasons(unlinked);
  // Where groups are cut for some sizes, others may leave them whole.
  bool mayHaveOthers = instance.request.graph.get() == asked &&
                       !asked->get().openValues().empty() && !instantiator->isObserved();
  if (!mayHaveOthers) {
    setPlannersOf(unlinked.plan, unlinked.steps, unlinked.later, instance.request);
    return std::make_shared<const Plan>(std::move(unlinked.plan));
  }
  auto plan = std::make_shared<Plan>(unlinked.plan);
  setPlannersOf(*plan, unlinked.steps, unlinked.later, instance.request);
  keepTemplate(instantiator->makeTemplate(std::move(instance), std::move(unlinked)));
  return SharedPlan(std::move(plan));
}

/// The plan by a template; null where none will do.
OnDemandPlanner::SharedPlan OnDemandPlanner::fillTemplate(const PlanRequest &request,
                                                          const ShapeEnvironment &values) {
  std::vector<std::shared_ptr<const PlanTemplate>> candidates;
  {
    std::lock_guard lock(mutex);
    llvm::copy_if(templates, std::back_inserter(candidates),
                  [&](const auto &each) { return each->isOf(request); });
  }
  for (const std::shared_ptr<const PlanTemplate> &each : candidates) {
    std::unique_ptr<Plan> plan = each->fill(values);
    if (!plan)
      continue;
    setPlannersOf(*plan, each->steps(), each->later(), request);
    std::lock_guard lock(mutex);
    auto at = llvm::find(templates, each);
    if (at != templates.end())
      templates.splice(templates.begin(), templates, at);
    return plan;
  }
  return nullptr;
}

void OnDemandPlanner::keepTemplate(std::shared_ptr<const PlanTemplate> made) {
  constexpr size_t kMostTemplates = 8;
  std::lock_guard lock(mutex);
  templates.push_front(std::move(made));
  if (templates.size() > kMostTemplates)
    templates.pop_back();
}

Expected<OnDemandPlanner::SharedPlan>
OnDemandPlanner::planWhole(std::span<const KnownValue> arguments, const Deadline &deadline) {
  QUERN_ASSIGN(SharedGraph graph, family->graphFor(arguments, deadline));
  return make(PlanRequest::wholeOf(std::move(graph), arguments, UnknownSizes::NextStage), deadline);
}

Expected<OnDemandPlanner::SharedPlan> OnDemandPlanner::plan(std::span<const Tensor::Dims> inputDims,
                                                            const Deadline &deadline) {
  return planWhole(knownSizes(family->main(), inputDims), deadline);
}

Expected<OnDemandPlanner::SharedPlan>
OnDemandPlanner::planBody(std::span<const KnownValue> arguments, const Deadline &deadline) {
  // Keys of stages start with the number of a graph, which is not 0.
  PlanKey key = {0};
  appendSizes(key, arguments);
  if (SharedPlan known = kept.find(key))
    return known;
  QUERN_ASSIGN(SharedPlan made, planWhole(arguments, deadline));
  return kept.insert(key, std::move(made));
}

Expected<OnDemandPlanner::SharedPlan> OnDemandPlanner::planStage(const PlanRequest &stage,
                                                                 std::span<const AnyValue> operands,
                                                                 const Deadline &deadline) {
  PlanKey key = stage.key(operands);
  if (SharedPlan known = kept.find(key))
    return known;
  QUERN_ASSIGN(PlanRequest request, stage.withInputs(operands));
  QUERN_ASSIGN(SharedPlan made, make(std::move(request), deadline));
  return kept.insert(key, std::move(made));
}

//===----------------------------------------------------------------------===//
// Before a run
//===----------------------------------------------------------------------===//

/// The plan as a body, for what is known of the arguments, and those of the bodies in it. Where
/// they break a rule there is none: a run may never come to it.
Status OnDemandPlanner::planAhead(std::vector<KnownValue> arguments, const Deadline &deadline) {
  for (auto [argument, known] : llvm::zip_equal(family->main().getArguments(), arguments)) {
    if (isa<TensorType>(argument.getType()) && !known.sizes)
      return Status::ok();
    // A run asks for the sizes alone.
    known.elements = Tensor();
  }
  Status status = planBody(arguments, deadline).status();
  if (status.isOk())
    status = planBodiesIn(arguments, deadline);
  return status.code() == StatusCode::InvalidInput ? Status::ok() : status;
}

Status OnDemandPlanner::planBodiesIn(std::span<const KnownValue> arguments,
                                     const Deadline &deadline) {
  if (bodies.empty())
    return Status::ok();
  QUERN_ASSIGN(SharedGraph graph, family->graphFor(arguments, deadline));
  PlanRequest request = PlanRequest::wholeOf(std::move(graph), arguments, UnknownSizes::NextStage);
  QUERN_ASSIGN(Instance instance, instantiator->lower(*family, std::move(request), deadline));
  for (const LoweredOp &each : instance.lowered.ops) {
    auto op = dyn_cast<nn::RunBodiesOp>(each.op);
    if (!op)
      continue;
    BodyCall call = lookThroughBodies(family->tree(), op, instance.lowered.values, deadline,
                                      instance.request.depth);
    for (const std::shared_ptr<OnDemandPlanner> &body : bodies[static_cast<size_t>(op.getNumber())])
      QUERN_TRY(body->planAhead(call.arguments, deadline).withContext(nn::nodeContext(op)));
  }
  return Status::ok();
}

Status OnDemandPlanner::planBodies(std::span<const Tensor::Dims> inputDims,
                                   const Deadline &deadline) {
  return planBodiesIn(knownSizes(family->main(), inputDims), deadline);
}
