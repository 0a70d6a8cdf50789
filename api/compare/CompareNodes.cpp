//===- CompareNodes.cpp - where native code first differs -----------------===//
#include "quern/NodeComparison.h"

#include "api/ComparedRuns.h"
#include "api/ModelState.h"
#include "api/PreparedRunner.h"
#include "api/RunCount.h"
#include "api/compare/NodeObserver.h"
#include "ir/Signature.h"
#include "quern/RandomSeed.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using Fate = ExplainedNode::Fate;

Status NodeComparison::verdict() const {
  if (fault == Fault::Code)
    return Status(StatusCode::AccuracyMismatch,
                  fmt::format("native code of node '{}' ({}) gives something else than the "
                              "interpreter for the same operands",
                              nodes[*first].node, nodes[*first].op));
  Comparison whole;
  whole.outputs = outputs;
  Status status = whole.verdict();
  if (fault != Fault::Graph || status.isOk())
    return status;
  if (!first)
    return status.withContext(
        "each node's native code is right, but not what was made of the graph");
  return status.withContext(fmt::format(
      "each node's native code is right, but not what was made of the graph before node '{}'",
      nodes[*first].node));
}

/// Why there is nothing to compare of a node; empty where there is.
static std::string missingValue(const ExplainedNode &node, const Explanation &explanation,
                                const std::vector<ComparedNode> &compared) {
  switch (node.fate) {
  case Fate::Step:
    break;
  case Fate::Constant:
    return "constant";
  case Fate::View:
    return "elements of another value, where they lie";
  case Fate::Body:
    return "in a branch or a body";
  case Fate::Removed:
    return fmt::format("removed by {}", node.by);
  case Fate::Unused:
    return "no output depends on it";
  }
  for (const ComparedNode &each : compared)
    if (std::ranges::find(each.nodes, node.name) != each.nodes.end())
      return fmt::format("fused: its value goes to '{}' only", each.node);
  return fmt::format("computed in '{}'", explanation.steps[node.step].name);
}

static std::vector<UncomparedNode> uncomparedNodes(const Explanation &explanation,
                                                   const std::vector<ComparedNode> &compared) {
  std::vector<UncomparedNode> others;
  for (const ExplainedNode &node : explanation.nodes)
    if (std::ranges::find(compared, node.name, &ComparedNode::node) == compared.end())
      others.push_back({node.name, missingValue(node, explanation, compared)});
  return others;
}

Expected<NodeComparison> quern::compareNodes(const Model &model, std::span<const AnyValue> inputs,
                                             const CompileOptions &compile,
                                             const RunnerOptions &session,
                                             const CompareOptions &options) {
  QUERN_TRY(checkInputs(model.inputs(), inputs));
  QUERN_ASSIGN(CompileOptions settled, settledOptions(model, inputs, compile));
  QUERN_ASSIGN(nn::OwnedModule source, model.state->copyModule());
  ImportedNodes imported(nn::findMain(*source.module));
  auto observer = std::make_shared<NodeObserver>(
      imported, NodeObserver::Settings{.tolerance = options.tolerance,
                                       .isLowered = settled.precision != Precision::Float32,
                                       .flushes = session.flushDenormals});
  QUERN_ASSIGN(nn::OwnedModule copy, model.state->copyModule());
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled,
               compileToNative(std::move(copy), settled, model.files(), observer));
  QUERN_TRY(compiled->planForInputs(inputs, settled.limits.deadline));
  QUERN_ASSIGN(std::unique_ptr<Runner> native, compiled->createRunner(session));
  QUERN_ASSIGN(PreparedRunner reference,
               prepareRunner(model, inputs, compile.interpreted(), session));

  seedRandomOps(options.seed);
  QUERN_ASSIGN(std::vector<AnyValue> wanted, imported.interpret(inputs, session.limits));
  Comparison whole;
  whole.tolerance = options.tolerance.value_or(toleranceFor(model, settled));
  Status status = addDifferences(*reference.runner, *native, inputs, wanted, options.seed, whole);
  NodeComparison result;
  result.isComplete = !isEndedEarly(status, options.keepsCancelled, /*done=*/1);
  if (result.isComplete)
    QUERN_TRY(status);
  result.tolerance = whole.tolerance;
  result.outputs = std::move(whole.outputs);
  observer->finish(result);
  QUERN_ASSIGN(Explanation explanation, model.explainPlan(settled, dimsOf(inputs)));
  result.others = uncomparedNodes(explanation, result.nodes);
  return result;
}
