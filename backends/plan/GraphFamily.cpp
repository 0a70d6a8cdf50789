//===- GraphFamily.cpp - a graph with its bodies and variants -------------===//
#include "backends/plan/GraphFamily.h"

#include "backends/plan/LowerGraph.h"
#include "ir/Signature.h"
#include "passes/GraphLog.h"
#include "passes/OptimizeGraph.h"
#include "passes/SpecializeInputs.h"
#include "passes/SplitGroup.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

Expected<std::shared_ptr<GraphFamily>> GraphFamily::create(nn::OwnedModule owned,
                                                           const passes::PipelineOptions &options) {
  std::shared_ptr<MLIRContext> context = owned.context;
  QUERN_ASSIGN(std::shared_ptr<GraphFamily> family, make(std::move(owned), options));
  nn::freezeContext(*context);
  return family;
}

Expected<std::shared_ptr<GraphFamily>> GraphFamily::make(nn::OwnedModule owned,
                                                         const passes::PipelineOptions &given) {
  std::shared_ptr<GraphFamily> family(new GraphFamily(given));
  passes::GraphLog log;
  passes::PipelineOptions options = given;
  options.log = &log;
  QUERN_ASSIGN(family->outlinedOps, passes::simplifyAndOutline(*owned.module, options));
  QUERN_TRY(family->makeBodies(owned.context));
  if (passes::hasUnrankedValues(*owned.module)) {
    family->source.emplace(std::move(owned));
    return family;
  }
  QUERN_TRY(passes::layOutAndFuse(*owned.module, options));
  family->general = std::make_shared<const FrozenGraph>(std::move(owned), log.explanation());
  family->bodyTree.graph = &family->general->get();
  return family;
}

Status GraphFamily::makeBodies(const std::shared_ptr<MLIRContext> &context) {
  bodyTree.outlined = &outlinedOps;
  for (auto [number, op] : llvm::enumerate(outlinedOps)) {
    std::vector<std::shared_ptr<GraphFamily>> &families = bodies.emplace_back();
    std::vector<const BodyTree *> &trees = bodyTree.bodies.emplace_back();
    for (auto [i, body] : llvm::enumerate(op.bodies)) {
      QUERN_ASSIGN(std::shared_ptr<GraphFamily> family,
                   make(nn::OwnedModule(context, std::move(body)),
                        passes::optionsOfBody(options, op, number, i)));
      trees.push_back(&family->bodyTree);
      families.push_back(std::move(family));
    }
    op.bodies.clear();
  }
  return Status::ok();
}

func::FuncOp GraphFamily::main() const {
  return general ? general->get().main() : nn::findMain(*source->module);
}

//===----------------------------------------------------------------------===//
// For some sizes only
//===----------------------------------------------------------------------===//

Expected<SharedGraph> GraphFamily::graphFor(std::span<const KnownValue> arguments,
                                            const Deadline &deadline) {
  if (general)
    return general;
  return specialize(arguments, deadline);
}

Expected<SharedGraph> GraphFamily::specialize(std::span<const KnownValue> arguments,
                                              const Deadline &deadline) {
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(*source->module));
  std::vector<std::optional<Tensor::Dims>> sizes;
  for (const KnownValue &argument : arguments)
    sizes.push_back(argument.sizes);
  QUERN_TRY(passes::specializeInputs(nn::findMain(*copy.module), sizes));
  passes::PipelineOptions current = passes::optionsOfSizes(options, specialized++, deadline);
  passes::GraphLog log;
  current.log = &log;
  QUERN_TRY(passes::optimize(*copy.module, current));
  nn::freezeContext(*copy.context);
  return std::make_shared<const FrozenGraph>(std::move(copy), log.explanation());
}

/// Found, or to be made.
std::shared_ptr<GraphFamily::Variant> GraphFamily::variantOf(const SharedGraph &graph,
                                                             std::vector<CutPlace> cuts) {
  std::lock_guard lock(variantsMutex);
  auto at = llvm::find_if(variants, [&](const std::shared_ptr<Variant> &variant) {
    return variant->of == graph && variant->cuts == cuts;
  });
  if (at != variants.end()) {
    variants.splice(variants.begin(), variants, at);
    return variants.front();
  }
  variants.push_front(std::make_shared<Variant>(graph, std::move(cuts)));
  if (variants.size() > kMaxVariants)
    variants.pop_back();
  return variants.front();
}

static Block &bodyOf(Operation *group) { return cast<nn::GroupOp>(group).getBody().front(); }

static CutPlace placeOf(const GroupCut &cut, const OptimizedGraph &graph) {
  CutPlace place{static_cast<size_t>(&graph.nodeOf(cut.group) - graph.nodes().data()), {}};
  if (cut.misfit)
    place.misfit = std::distance(bodyOf(cut.group).begin(), Block::iterator(cut.misfit));
  return place;
}

static GroupCut cutAt(const CutPlace &place, const OptimizedGraph &graph) {
  GroupCut cut{graph.nodes()[place.group].op};
  if (place.misfit)
    cut.misfit = &*std::next(bodyOf(cut.group).begin(), static_cast<ptrdiff_t>(*place.misfit));
  return cut;
}

/// A copy of `graph` with groups cut at these places.
static Expected<SharedGraph> copyWithCuts(const FrozenGraph &graph,
                                          const std::vector<CutPlace> &places) {
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(graph.module()));
  OptimizedGraph same(nn::findMain(*copy.module));
  std::vector<Value> origins = same.values();
  std::vector<GroupCut> cuts;
  for (const CutPlace &place : places)
    cuts.push_back(cutAt(place, same));
  for (const GroupCut &cut : cuts)
    passes::cutGroup(cut.group, cut.misfit);
  nn::freezeContext(*copy.context);
  return std::make_shared<const FrozenGraph>(std::move(copy), graph, std::move(origins));
}

Expected<SharedGraph> GraphFamily::cutGroups(const SharedGraph &graph,
                                             const std::vector<GroupCut> &cuts) {
  std::vector<CutPlace> places;
  for (const GroupCut &cut : cuts)
    places.push_back(placeOf(cut, graph->get()));
  std::shared_ptr<Variant> variant = variantOf(graph, std::move(places));
  std::lock_guard lock(variant->mutex);
  if (!variant->graph) {
    QUERN_ASSIGN(variant->graph, copyWithCuts(*graph, variant->cuts));
  }
  return variant->graph;
}
