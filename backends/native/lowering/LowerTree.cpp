//===- LowerTree.cpp - decision trees -------------------------------------===//
#include "backends/native/kernels/TreeKernel.h"
#include "backends/native/lowering/LoweringTable.h"
#include "ir/Constants.h"
#include "ir/TreeOps.h"

#include <algorithm>
#include <array>
#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
/// The tables of the trees, which are constants: those of int32, of tests and of floats.
enum Table { kNodes, kTests, kThresholds, kRoots, kLeaves, kTargets, kWeights, kTableCount };
using TreeSources = std::array<std::optional<nn::WeightSource>, kTableCount>;
} // namespace

/// Places are int32, with room for those of missing roots.
static constexpr int64_t kMostPlaces = std::numeric_limits<int32_t>::max() - 64;

/// The elements of all tables, aligned.
static Expected<std::array<Tensor, kTableCount>> loadTables(const TreeSources &sources) {
  std::array<Tensor, kTableCount> tables;
  for (size_t i = 0; i < tables.size(); ++i) {
    QUERN_ASSIGN(tables[i], sources[i]->load());
  }
  return tables;
}

/// A block that plans share, made when it is asked for.
static StepBuffer packedTrees(const TreeSources &sources, int64_t targets) {
  StepBuffer buffer;
  buffer.kind = StepBuffer::Kind::Weights;
  std::string key;
  for (const auto &source : sources) {
    buffer.sourceBytes += source->numBytes();
    key += source->key() + ":";
  }
  buffer.packKey = key + "trees of " + std::to_string(targets);
  buffer.pack = [sources, targets]() -> Expected<Tensor> {
    QUERN_ASSIGN(auto tables, loadTables(sources));
    auto ints = [&](Table table) { return tables[table].elementsAs<int32_t>(); };
    reference::Trees trees{.nodes = ints(kNodes),
                           .tests = tables[kTests].elementsAs<uint8_t>(),
                           .roots = ints(kRoots),
                           .leaves = ints(kLeaves),
                           .targets = ints(kTargets),
                           // The kernel asks how many there are.
                           .features = int64_t{1} << TreeLayout::kFeatureBits,
                           .targetCount = targets};
    auto block = packTrees(trees, tables[kThresholds], tables[kWeights]);
    for (const auto &source : sources)
      source->release();
    return block;
  };
  return buffer;
}

static LoweringResult lower(nn::TreeEnsembleOp op, const LoweringContext &context) {
  if (op.getKind() != ReduceKind::Sum)
    return Reason{ReasonCode::Attributes, "the smallest or the largest of trees"};
  TreeSources sources;
  for (size_t i = 0; i < sources.size(); ++i) {
    sources[i] = nn::weightSource(op->getOperand(static_cast<unsigned>(i) + 1));
    if (!sources[i])
      return Reason{ReasonCode::NotConstant, "trees that are no constants"};
  }
  if (context.elementsOf(op.getResult()) == 0)
    return LoweredSteps();
  auto nodes = sources[kNodes]->load(), tests = sources[kTests]->load(),
       leaves = sources[kLeaves]->load();
  if (!nodes || !tests || !leaves)
    return Reason{ReasonCode::Missing, "trees that are not at hand"};
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  TreeProblem problem{.rows = sizes[0],
                      .features = sizes[1],
                      .targets = op.getTargetCount(),
                      .trees = sources[kRoots]->dims()[0],
                      .usedFeatures = featuresOf(nodes->elementsAs<int32_t>())};
  TreeSpec spec{.dtype = sources[kThresholds]->dtype(),
                .test = commonTest(tests->elementsAs<uint8_t>()),
                .hasOneTarget = problem.targets == 1};
  int64_t nodeCount = sources[kTests]->dims()[0], leafCount = sources[kLeaves]->dims()[0] - 1;
  auto layout = TreeLayout::choose(spec.dtype, spec.test, nodeCount, leafCount, problem.trees,
                                   problem.usedFeatures);
  spec.isWide = layout.isWide;
  problem.recordBytes = layout.end(nodeCount, problem.trees);
  if (leafCount < 0 || problem.recordBytes / TreeLayout::kUnitBytes > kMostPlaces ||
      std::max(problem.features, problem.usedFeatures) > int64_t{1} << TreeLayout::kFeatureBits)
    return Reason{ReasonCode::Limit, "trees of this size"};
  // Where walks read more features than rows have.
  constexpr int64_t kFeaturesOfTree = 16, kMostFeatures = 4096;
  spec.turnsRows = problem.usedFeatures <= kMostFeatures &&
                   problem.usedFeatures <= kFeaturesOfTree * problem.trees;
  auto begins = leaves->elementsAs<int32_t>();
  spec.hasOneVote = true;
  for (size_t leaf = 0; leaf < begins.size() && spec.hasOneVote; ++leaf)
    spec.hasOneVote = begins[leaf] == static_cast<int32_t>(leaf);
  return oneStep(makeTrees(spec, problem, context.threads, StepBuffer::of(op.getInput()),
                           packedTrees(sources, problem.targets), StepBuffer::of(op.getResult())));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::treeLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::TreeEnsembleOp, lower>(),
  };
  return rows;
}
