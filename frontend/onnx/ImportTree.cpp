//===- ImportTree.cpp - ensembles of decision trees -----------------------===//
//
// One core op sums up what the leaves of all trees give; what follows is composed. Of two
// classes of which only one has weights, its score decides, and gives the other's: as ONNX
// Runtime has it, of which converters make use. If both have weights, the class with the
// larger score wins, as onnx.reference has it; ONNX Runtime takes the second where its score is
// above 0, and gives 0 and 1 for the model's integer labels.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/Scores.h"
#include "frontend/onnx/TreeTables.h"
#include "ir/TreeOps.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// Numbers of a tensor attribute of floats.
static std::vector<double> doublesOf(NodeReader &node, const Tensor &tensor,
                                     std::string_view name) {
  auto count = static_cast<size_t>(tensor.numElements());
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i) {
    if (tensor.dtype() == DType::Float32)
      values[i] = tensor.data<float>()[i];
    else if (tensor.dtype() == DType::Float64)
      values[i] = tensor.data<double>()[i];
    else if (tensor.dtype() == DType::Float16)
      values[i] = static_cast<float>(tensor.data<Float16>()[i]);
  }
  if (tensor.isPresent() && !isFloat(tensor.dtype()))
    node.invalid(fmt::format("attribute '{}' must hold floats, found {}", name, tensor.describe()));
  return values;
}

static std::vector<double> readTensorOfFloats(NodeReader &node, const std::string &name) {
  return doublesOf(node, readTensorAttribute(node, name), name);
}

/// A list of floats, in an attribute of this name or a tensor of a like one.
static std::vector<double> readFloats(NodeReader &node, const std::string &name) {
  std::vector<float> floats = node.getFloats(name);
  std::vector<double> values = readTensorOfFloats(node, name + "_as_tensor");
  if (!floats.empty() && !values.empty())
    node.invalid(fmt::format("has both '{0}' and '{0}_as_tensor'", name));
  return values.empty() ? std::vector<double>(floats.begin(), floats.end()) : values;
}

/// The attributes of both older ops; those of votes start with `prefix`.
static NodeLists readNodeLists(NodeReader &node, const std::string &prefix) {
  node.ignoreAttribute("nodes_hitrates");
  node.ignoreAttribute("nodes_hitrates_as_tensor");
  return {.treeIds = node.getInts("nodes_treeids"),
          .nodeIds = node.getInts("nodes_nodeids"),
          .featureIds = node.getInts("nodes_featureids"),
          .trueIds = node.getInts("nodes_truenodeids"),
          .falseIds = node.getInts("nodes_falsenodeids"),
          .missingTracksTrue = node.getInts("nodes_missing_value_tracks_true"),
          .modes = node.getStrings("nodes_modes"),
          .values = readFloats(node, "nodes_values"),
          .voteTreeIds = node.getInts(prefix + "_treeids"),
          .voteNodeIds = node.getInts(prefix + "_nodeids"),
          .voteTargets = node.getInts(prefix + "_ids"),
          .voteWeights = readFloats(node, prefix + "_weights")};
}

//===----------------------------------------------------------------------===//
// Trees
//===----------------------------------------------------------------------===//

template <typename To, typename From>
static Value listConstant(NodeReader &node, const std::vector<From> &values, Tensor::Dims dims) {
  auto tensor = Tensor::allocateUninitialized(dtypeOf<To>(), std::move(dims), node.graph().limits);
  if (!tensor) {
    node.fail(tensor.status());
    return node.none();
  }
  std::transform(values.begin(), values.end(), tensor->template mutableData<To>(),
                 [](From value) { return static_cast<To>(value); });
  return node.constant(*tensor);
}

template <typename To, typename From>
static Value vectorConstant(NodeReader &node, const std::vector<From> &values) {
  return listConstant<To>(node, values, {static_cast<int64_t>(values.size())});
}

static Value doublesLike(NodeReader &node, const std::vector<double> &values, Value like) {
  return dtypeOf(like) == DType::Float64 ? vectorConstant<double>(node, values)
                                         : vectorConstant<float>(node, values);
}

static Value createTrees(NodeReader &node, Value x, const TreeTables &tables, ReduceKind kind,
                         int64_t targetCount) {
  Tensor::Dims nodeDims = {static_cast<int64_t>(tables.tests.size()), 3};
  return node.create<nn::TreeEnsembleOp>(
      x, listConstant<int32_t>(node, tables.nodes, nodeDims),
      vectorConstant<uint8_t>(node, tables.tests), doublesLike(node, tables.thresholds, x),
      vectorConstant<int32_t>(node, tables.roots), vectorConstant<int32_t>(node, tables.leaves),
      vectorConstant<int32_t>(node, tables.targets), doublesLike(node, tables.weights, x), kind,
      targetCount);
}

/// Whether rows get a weight for each target, [rows, targets].
static Value createVoted(NodeReader &node, Value x, const TreeTables &tables, int64_t targets) {
  TreeTables counts = tables;
  std::fill(counts.weights.begin(), counts.weights.end(), 1);
  Value count = createTrees(node, x, counts, ReduceKind::Sum, targets);
  return createGreater(node, count, constantLike(node, 0, count));
}

/// What the number of an aggregate function stands for.
struct Aggregate {
  ReduceKind kind;
  bool isAverage = false;
};
static constexpr Aggregate kAggregates[] = {
    {ReduceKind::Sum, true}, {ReduceKind::Sum}, {ReduceKind::Min}, {ReduceKind::Max}};

/// The scores of a regression, [rows, targets], of the type of `x`.
static Value createRegression(NodeReader &node, Value x, const TreeTables &tables,
                              Aggregate aggregate, int64_t targets,
                              const std::vector<double> &base) {
  if (!base.empty() && static_cast<int64_t>(base.size()) != targets) {
    node.invalid(fmt::format("has {} base values for {} targets", base.size(), targets));
    return x;
  }
  Value scores = createTrees(node, x, tables, aggregate.kind, targets);
  if (aggregate.isAverage && !tables.roots.empty())
    scores = node.create<nn::DivOp>(
        scores, constantLike(node, static_cast<double>(tables.roots.size()), scores));
  if (!base.empty())
    scores = node.create<nn::AddOp>(scores, doublesLike(node, base, scores));
  return scores;
}

/// Fails the node where there are no tables.
static std::optional<TreeTables> taken(NodeReader &node, Expected<TreeTables> tables) {
  if (tables && !node.failed())
    return tables.take();
  if (!tables)
    node.fail(tables.status());
  return std::nullopt;
}

/// The number of targets; at most what int32 counts.
static int64_t readTargetCount(NodeReader &node, const std::vector<int64_t> &targets) {
  int64_t largest = targets.empty() ? 0 : *std::max_element(targets.begin(), targets.end());
  largest = std::clamp<int64_t>(largest, 0, std::numeric_limits<int32_t>::max() - 1);
  int64_t count = node.getInt("n_targets", largest + 1);
  if (count < 1 || count > std::numeric_limits<int32_t>::max())
    node.invalid(fmt::format("n_targets is {}", count));
  return count;
}

//===----------------------------------------------------------------------===//
// Regressors
//===----------------------------------------------------------------------===//

static void importTreeEnsembleRegressor(NodeReader &node) {
  constexpr std::array<std::string_view, 4> kNames = {"AVERAGE", "SUM", "MIN", "MAX"};
  std::string name = node.getString("aggregate_function", "SUM");
  auto function = std::find(kNames.begin(), kNames.end(), name);
  if (function == kNames.end())
    return node.unsupported(fmt::format("aggregate_function '{}'", name));
  NodeLists lists = readNodeLists(node, "target");
  std::vector<double> base = readFloats(node, "base_values");
  int64_t targets = readTargetCount(node, lists.voteTargets);
  PostTransform transform = readPostTransform(node);
  Value x = readFeatures(node);
  auto tables = taken(node, tablesOf(lists, targets));
  if (!tables)
    return;
  Value scores =
      createRegression(node, x, *tables, kAggregates[function - kNames.begin()], targets, base);
  if (node.failed())
    return;
  // A target without weights stays 0, whatever its base value.
  if (!base.empty() && static_cast<int64_t>(targetsOfAllRows(lists).size()) < targets)
    scores = node.create<nn::WhereOp>(createVoted(node, x, *tables, targets), scores,
                                      constantLike(node, 0, scores));
  scores = convert(node, scores, DType::Float32);
  node.setOutput(0, transformScores(node, scores, targets, transform));
}

static void importTreeEnsemble(NodeReader &node) {
  int64_t function = node.getInt("aggregate_function", 1),
          transform = node.getInt("post_transform", 0);
  if (function < 0 || function > 3)
    return node.unsupported(fmt::format("aggregate_function {}", function));
  if (transform < 0 || transform > static_cast<int64_t>(PostTransform::Probit))
    return node.unsupported(fmt::format("post_transform {}", transform));
  node.ignoreAttribute("nodes_hitrates");
  Tensor modes = readTensorAttribute(node, "nodes_modes");
  if (modes.dtype() != DType::UInt8)
    return node.invalid("attribute 'nodes_modes' must hold uint8");
  std::span<const uint8_t> modeBytes = modes.elementsAs<uint8_t>();
  SplitLists lists{.roots = node.getInts("tree_roots"),
                   .featureIds = node.getInts("nodes_featureids"),
                   .trueIds = node.getInts("nodes_truenodeids"),
                   .falseIds = node.getInts("nodes_falsenodeids"),
                   .trueLeafs = node.getInts("nodes_trueleafs"),
                   .falseLeafs = node.getInts("nodes_falseleafs"),
                   .missingTracksTrue = node.getInts("nodes_missing_value_tracks_true"),
                   .modes = {modeBytes.begin(), modeBytes.end()},
                   .splits = readTensorOfFloats(node, "nodes_splits"),
                   .members = readTensorOfFloats(node, "membership_values"),
                   .leafTargets = node.getInts("leaf_targetids"),
                   .leafWeights = readTensorOfFloats(node, "leaf_weights")};
  int64_t targets = readTargetCount(node, lists.leafTargets);
  Value x = readFeatures(node);
  auto tables = taken(node, tablesOf(lists, targets));
  if (!tables)
    return;
  Value scores = createRegression(node, x, *tables, kAggregates[function], targets, {});
  scores = transformScores(node, scores, targets, static_cast<PostTransform>(transform));
  node.setOutput(0, convert(node, scores, node.inputDType(0)));
}

//===----------------------------------------------------------------------===//
// Classifier
//===----------------------------------------------------------------------===//

namespace {
/// A TreeEnsembleClassifier on its way.
struct Classifier {
  NodeReader &node;
  NodeLists lists;
  TreeTables tables;
  ClassLabels labels;
  std::vector<double> base;
  PostTransform transform;
  Value x;
  /// [rows, classes] of float32.
  Value scores = {};

  int64_t classes() const { return labels.count(); }
  /// Whether the leaves have weights for one class only.
  bool hasOneVotedClass() const;
  bool isAllPositive() const;
  Value isVoted() const { return createVoted(node, x, tables, classes()); }
  void finishOne();
  /// Takes the class with the largest score, whether or not a row has weights for it.
  void finishByScores();
  void finishTwo();
  void finishMany();

  // Of two classes, one of which has weights: what is made of their columns, [rows, 1].
  struct Decision {
    /// The score that decides.
    Value score;
    /// The scores to give, [rows, 2].
    Value scores;
  };
  Decision decideByFirst() const;
  Decision decideBySecond() const;
  /// The column of a class with its base value.
  Value plusBase(int64_t i) const;
  /// `score` where rows have a weight for class `i`, else 0.
  Value whereVoted(int64_t i, Value score) const;
  Value columns[2] = {}, voted[2] = {};
};
} // namespace

bool Classifier::hasOneVotedClass() const {
  return std::set(lists.voteTargets.begin(), lists.voteTargets.end()).size() == 1;
}

bool Classifier::isAllPositive() const {
  return std::all_of(lists.voteWeights.begin(), lists.voteWeights.end(),
                     [](double weight) { return weight >= 0; });
}

Value Classifier::plusBase(int64_t i) const {
  return i < static_cast<int64_t>(base.size())
             ? node.create<nn::AddOp>(columns[i], constantLike(node, base[i], columns[i]))
             : columns[i];
}

// Without weights the column is 0.
Value Classifier::whereVoted(int64_t i, Value score) const {
  if (targetsOfAllRows(lists).count(i))
    return score;
  bool mayVote = std::count(lists.voteTargets.begin(), lists.voteTargets.end(), i) > 0;
  return mayVote ? node.create<nn::WhereOp>(voted[i], score, columns[i]) : columns[i];
}

static Value beside(NodeReader &node, Value a, Value b) {
  return node.create<nn::ConcatOp>(mlir::ValueRange{a, b}, /*axis=*/1);
}

/// Where a row has no weight for the second class.
Classifier::Decision Classifier::decideByFirst() const {
  Value first = whereVoted(0, plusBase(0));
  if (base.size() == 2)
    return {first, transformScores(node, beside(node, first, columns[1]), 2, transform)};
  return {first, isAllPositive() ? complementScores(node, first, transform)
                                 : mirrorScores(node, first, transform)};
}

/// Where it has one. Two base values are taken for equal, and the second for the only one.
Classifier::Decision Classifier::decideBySecond() const {
  Value first = plusBase(0), second = columns[1];
  if (base.size() == 2) {
    second = node.create<nn::AddOp>(columns[0], constantLike(node, base[1], second));
    first = node.create<nn::NegOp>(second);
  }
  Value both = beside(node, whereVoted(0, first), second);
  return {second, transformScores(node, both, 2, transform)};
}

void Classifier::finishOne() {
  columns[0] = scores;
  Value score = plusBase(0);
  Value isSecond = createGreater(node, score, constantLike(node, 0, score));
  node.setOutput(0, createBinaryLabels(node, labels, isSecond));
  node.setOutput(1, transformScores(node, score, 1, transform));
}

void Classifier::finishByScores() {
  if (!base.empty())
    scores = node.create<nn::AddOp>(scores, doublesLike(node, base, scores));
  node.setOutput(0, createLabels(node, labels, createTopClass(node, scores)));
  node.setOutput(1, transformScores(node, scores, classes(), transform));
}

void Classifier::finishTwo() {
  if (!hasOneVotedClass())
    return finishByScores();
  auto split = [&](Value value, Value *parts) {
    auto results = node.createMulti<nn::SplitOp>(2, value, node.none(), /*axis=*/1);
    std::copy(results.begin(), results.end(), parts);
  };
  split(scores, columns);
  std::set<int64_t> all = targetsOfAllRows(lists);
  bool mayVote = std::count(lists.voteTargets.begin(), lists.voteTargets.end(), 1) > 0;
  // A target that only some rows have a weight for: it takes a run to tell which.
  if (all.size() < std::set(lists.voteTargets.begin(), lists.voteTargets.end()).size())
    split(isVoted(), voted);
  Decision decision;
  if (all.count(1)) {
    decision = decideBySecond();
  } else if (!mayVote) {
    decision = decideByFirst();
  } else {
    Decision byFirst = decideByFirst(), bySecond = decideBySecond();
    decision = {node.create<nn::WhereOp>(voted[1], bySecond.score, byFirst.score),
                node.create<nn::WhereOp>(voted[1], bySecond.scores, byFirst.scores)};
  }
  Value bound = constantLike(node, isAllPositive() ? 0.5 : 0, decision.score);
  Value isSecond = createGreater(node, decision.score, bound);
  node.setOutput(0, createBinaryLabels(node, labels, isSecond));
  node.setOutput(1, decision.scores);
}

/// The class with the largest score, of those that have weights or base values.
void Classifier::finishMany() {
  if (!base.empty())
    scores = node.create<nn::AddOp>(scores, doublesLike(node, base, scores));
  Value candidates = scores;
  bool allVoted = static_cast<int64_t>(targetsOfAllRows(lists).size()) == classes();
  bool allAboveZero = std::all_of(lists.voteWeights.begin(), lists.voteWeights.end(),
                                  [](double weight) { return weight > 0; });
  if (base.empty() && !allVoted && !allAboveZero)
    candidates = node.create<nn::WhereOp>(
        isVoted(), scores, constantLike(node, -std::numeric_limits<double>::infinity(), scores));
  node.setOutput(0, createLabels(node, labels, createTopClass(node, candidates)));
  node.setOutput(1, transformScores(node, scores, classes(), transform));
}

static void importTreeEnsembleClassifier(NodeReader &node) {
  NodeLists lists = readNodeLists(node, "class");
  ClassLabels labels = readClassLabels(node, "classlabels_int64s");
  std::vector<double> base = readFloats(node, "base_values");
  PostTransform transform = readPostTransform(node);
  Value x = readFeatures(node);
  auto tables = taken(node, tablesOf(lists, labels.count()));
  if (!tables)
    return;
  auto baseCount = static_cast<int64_t>(base.size());
  if (baseCount > 0 && baseCount != labels.count() && !(baseCount == 1 && labels.count() == 2))
    return node.invalid(
        fmt::format("has {} base values for {} classes", baseCount, labels.count()));
  Classifier classifier{
      node, std::move(lists), std::move(*tables), std::move(labels), std::move(base), transform, x};
  Value sums = createTrees(node, x, classifier.tables, ReduceKind::Sum, classifier.classes());
  classifier.scores = convert(node, sums, DType::Float32);
  if (node.failed())
    return;
  if (classifier.classes() == 1)
    classifier.finishOne();
  else if (classifier.classes() == 2)
    classifier.finishTwo();
  else
    classifier.finishMany();
}

std::span<const OpsetRow> quern::onnx::treeImports() {
  static constexpr OpsetRow rows[] = {
      {"TreeEnsemble", 5, kNewestMlOpset, 1, 1, 1, importTreeEnsemble, kMlDomain},
      {"TreeEnsembleClassifier", 1, kNewestMlOpset, 1, 1, 2, importTreeEnsembleClassifier,
       kMlDomain},
      {"TreeEnsembleRegressor", 1, kNewestMlOpset, 1, 1, 1, importTreeEnsembleRegressor, kMlDomain},
  };
  return rows;
}
