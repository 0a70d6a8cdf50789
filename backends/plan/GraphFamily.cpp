//===- GraphFamily.cpp - a graph with its bodies and variants -------------===//
#include "backends/plan/GraphFamily.h"

#include "backends/plan/LowerGraph.h"
#include "ir/Signature.h"
#include "passes/GraphLog.h"
#include "passes/OptimizeGraph.h"
#include "passes/SpecializeInputs.h"

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
                                                             std::vector<size_t> groups) {
  std::lock_guard lock(variantsMutex);
  auto at = llvm::find_if(variants, [&](const std::shared_ptr<Variant> &variant) {
    return variant->of == graph && variant->groups == groups;
  });
  if (at != variants.end()) {
    variants.splice(variants.begin(), variants, at);
    return variants.front();
  }
  variants.push_front(std::make_shared<Variant>(graph, std::move(groups)));
  if (variants.size() > kMaxVariants)
    variants.pop_back();
  return variants.front();
}

/// A copy of `graph` in which the groups at these places among its nodes are split.
static Expected<SharedGraph> copyWithSplit(const FrozenGraph &graph,
                                           const std::vector<size_t> &groups) {
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(graph.module()));
  OptimizedGraph same(nn::findMain(*copy.module));
  std::vector<Value> origins = same.values();
  std::vector<Operation *> copied;
  for (size_t position : groups)
    copied.push_back(same.nodes()[position].op);
  for (Operation *group : copied)
    splitGroup(group);
  nn::freezeContext(*copy.context);
  return std::make_shared<const FrozenGraph>(std::move(copy), graph, std::move(origins));
}

Expected<SharedGraph> GraphFamily::splitGroups(const SharedGraph &graph,
                                               const std::vector<Operation *> &groups) {
  std::vector<size_t> positions;
  for (Operation *group : groups)
    positions.push_back(&graph->get().nodeOf(group) - graph->get().nodes().data());
  std::shared_ptr<Variant> variant = variantOf(graph, std::move(positions));
  std::lock_guard lock(variant->mutex);
  if (!variant->graph) {
    QUERN_ASSIGN(variant->graph, copyWithSplit(*graph, variant->groups));
  }
  return variant->graph;
}
