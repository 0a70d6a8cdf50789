//===- LowerTree.cpp - decision trees -------------------------------------===//
#include "backends/native/kernels/TreeKernel.h"
#include "backends/native/kernels/TreeMaskKernel.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/lowering/Way.h"
#include "backends/native/target/CpuRates.h"
#include "ir/Constants.h"
#include "ir/TreeOps.h"
#include "runtime/values/CeilDiv.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
/// The tables of the trees, which are constants: those of int32, of tests and of floats.
enum Table { kNodes, kTests, kThresholds, kRoots, kLeaves, kTargets, kWeights, kTableCount };
using TreeSources = std::array<std::optional<nn::WeightSource>, kTableCount>;

/// What an ensemble is, for any way of computing it.
struct Forest {
  TreeSources sources;
  TreeProblem problem;
  TreeSpec spec;
  /// None where its leaves are no bits of a mask.
  std::optional<TreeMasks> masks;
  int64_t leaves = 0;
};
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

/// The tables of integers, as views of those that were loaded; tests refuse features that rows
/// lack.
static reference::Trees treesOf(const std::array<Tensor, kTableCount> &tables, int64_t targets) {
  auto ints = [&](Table table) { return tables[table].elementsAs<int32_t>(); };
  return {.nodes = ints(kNodes),
          .tests = tables[kTests].elementsAs<uint8_t>(),
          .roots = ints(kRoots),
          .leaves = ints(kLeaves),
          .targets = ints(kTargets),
          // The kernel asks how many there are.
          .features = int64_t{1} << TreeLayout::kFeatureBits,
          .targetCount = targets};
}

using PackFunction = Expected<Tensor> (*)(const reference::Trees &trees, const Tensor &thresholds,
                                          const Tensor &weights);

/// A block that plans share, made when it is asked for.
static StepBuffer packedTrees(const TreeSources &sources, int64_t targets, const std::string &how,
                              PackFunction pack) {
  StepBuffer buffer;
  buffer.kind = StepBuffer::Kind::Weights;
  std::string key;
  for (const auto &source : sources) {
    buffer.sourceBytes += source->numBytes();
    key += source->key() + ":";
  }
  buffer.packKey = key + how + " of " + std::to_string(targets);
  buffer.pack = [sources, targets, pack]() -> Expected<Tensor> {
    QUERN_ASSIGN(auto tables, loadTables(sources));
    auto block = pack(treesOf(tables, targets), tables[kThresholds], tables[kWeights]);
    for (const auto &source : sources)
      source->release();
    return block;
  };
  return buffer;
}

/// Leaves that are bits of a mask: of float32, with one target and one vote each. Small
/// forests only: all is looked at again for new sizes.
static std::optional<TreeMasks> masksOf(const Forest &forest, const Tensor &nodes,
                                        const Tensor &tests, const LoweringContext &context) {
  const TreeSpec &spec = forest.spec;
  if (!context.target.has(Isa::Avx512) || spec.dtype != DType::Float32 || !spec.hasOneVote ||
      !spec.hasOneTarget || !spec.turnsRows ||
      forest.problem.features < forest.problem.usedFeatures ||
      forest.leaves > 64 * forest.problem.trees)
    return std::nullopt;
  auto roots = forest.sources[kRoots]->load();
  if (!roots)
    return std::nullopt;
  // Places are checked against the leaves.
  std::vector<int32_t> leaves(static_cast<size_t>(forest.leaves) + 1);
  return TreeMasks::of({.nodes = nodes.elementsAs<int32_t>(),
                        .tests = tests.elementsAs<uint8_t>(),
                        .roots = roots->elementsAs<int32_t>(),
                        .leaves = leaves});
}

/// Fills in what the ensemble is; why there is no native code for it, if that is so.
static std::optional<Reason> read(nn::TreeEnsembleOp op, const LoweringContext &context,
                                  Forest &forest) {
  if (op.getKind() != ReduceKind::Sum)
    return Reason{ReasonCode::Attributes, "the smallest or the largest of trees"};
  TreeSources &sources = forest.sources;
  for (size_t i = 0; i < sources.size(); ++i) {
    sources[i] = nn::weightSource(op->getOperand(static_cast<unsigned>(i) + 1));
    if (!sources[i])
      return Reason{ReasonCode::NotConstant, "trees that are no constants"};
  }
  auto nodes = sources[kNodes]->load(), tests = sources[kTests]->load(),
       leaves = sources[kLeaves]->load();
  if (!nodes || !tests || !leaves)
    return Reason{ReasonCode::Missing, "trees that are not at hand"};
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  TreeProblem &problem = forest.problem;
  problem = {.rows = sizes[0],
             .features = sizes[1],
             .targets = op.getTargetCount(),
             .trees = sources[kRoots]->dims()[0],
             .usedFeatures = featuresOf(nodes->elementsAs<int32_t>())};
  TreeSpec &spec = forest.spec;
  spec = {.dtype = sources[kThresholds]->dtype(),
          .test = commonTest(tests->elementsAs<uint8_t>()),
          .hasOneTarget = problem.targets == 1};
  int64_t nodeCount = sources[kTests]->dims()[0];
  forest.leaves = sources[kLeaves]->dims()[0] - 1;
  auto layout = TreeLayout::choose(spec.dtype, spec.test, nodeCount, forest.leaves, problem.trees,
                                   problem.usedFeatures);
  spec.isWide = layout.isWide;
  problem.recordBytes = layout.end(nodeCount, problem.trees);
  if (forest.leaves < 0 || problem.recordBytes / TreeLayout::kUnitBytes > kMostPlaces ||
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
  forest.masks = masksOf(forest, *nodes, *tests, context);
  return std::nullopt;
}

/// The step that `make` makes of the forest, its rows and its result; none for no rows.
template <typename Make>
static LoweringResult lowerForest(Operation *op, const LoweringContext &context, Make make) {
  auto ensemble = cast<nn::TreeEnsembleOp>(op);
  if (context.elementsOf(ensemble.getResult()) == 0)
    return LoweredSteps();
  Forest forest;
  if (std::optional<Reason> reason = read(ensemble, context, forest))
    return *reason;
  return oneStep(
      make(forest, StepBuffer::of(ensemble.getInput()), StepBuffer::of(ensemble.getResult())));
}

//===----------------------------------------------------------------------===//
// Walks
//===----------------------------------------------------------------------===//

static std::optional<Reason> refuseWalks(Operation *op, const LoweringContext &context) {
  Forest forest;
  return read(cast<nn::TreeEnsembleOp>(op), context, forest);
}

/// A step of a walk takes 4.7 cycles beside fifteen others.
static double costWalks(Operation *op, const LoweringContext &context) {
  Forest forest;
  if (read(cast<nn::TreeEnsembleOp>(op), context, forest))
    return 0;
  auto trees = static_cast<double>(std::max<int64_t>(forest.problem.trees, 1));
  double levels = std::bit_width(static_cast<uint64_t>(static_cast<double>(forest.leaves) / trees));
  return ratesOf(context.target)
      .nanoseconds(4.7 * static_cast<double>(forest.problem.rows) * trees * levels);
}

static LoweringResult lowerWalks(Operation *op, const LoweringContext &context) {
  return lowerForest(op, context, [&](const Forest &forest, StepBuffer rows, StepBuffer result) {
    return makeTrees(forest.spec, forest.problem, context.threads, rows,
                     packedTrees(forest.sources, forest.problem.targets, "trees", packTrees),
                     result);
  });
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

static std::optional<Reason> refuseMasks(Operation *op, const LoweringContext &context) {
  Forest forest;
  if (std::optional<Reason> reason = read(cast<nn::TreeEnsembleOp>(op), context, forest))
    return reason;
  if (!forest.masks)
    return Reason{ReasonCode::Form, "leaves of trees that are no bits of a mask"};
  return std::nullopt;
}

/// Of 32 rows at once, whether there are as many or not; of 16 at the end, where that is enough.
static double costMasks(Operation *op, const LoweringContext &context) {
  Forest forest;
  if (read(cast<nn::TreeEnsembleOp>(op), context, forest) || !forest.masks)
    return 0;
  double ofNode = 2.6, ofTree = forest.masks->leaves == 32 ? 25 : 45;
  constexpr double kHalf = 0.8;
  int64_t rows = forest.problem.rows, whole = rows / TreeMasks::kRows;
  int64_t rest = rows % TreeMasks::kRows;
  double last = rest == 0 ? 0 : rest <= TreeMasks::kRows / 2 ? kHalf : 1;
  double groups = static_cast<double>(whole) + last;
  double cycles = ofNode * static_cast<double>(forest.masks->nodes) +
                  ofTree * static_cast<double>(forest.masks->trees) +
                  1.5 * static_cast<double>(TreeMasks::kRows * forest.problem.usedFeatures);
  return ratesOf(context.target).nanoseconds(groups * cycles);
}

static LoweringResult lowerMasks(Operation *op, const LoweringContext &context) {
  return lowerForest(op, context, [&](const Forest &forest, StepBuffer rows, StepBuffer result) {
    return makeTreeMasks({forest.masks->test, forest.masks->leaves}, forest.problem, *forest.masks,
                         context.threads, rows,
                         packedTrees(forest.sources, 1, "tree masks", packTreeMasks), result);
  });
}

static std::span<const Way> treeWays() {
  static constexpr Way ways[] = {{"walks", refuseWalks, costWalks, lowerWalks},
                                 {"masks", refuseMasks, costMasks, lowerMasks}};
  return ways;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::treeLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::TreeEnsembleOp>(treeWays()),
  };
  return rows;
}
