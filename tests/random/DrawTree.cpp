//===- DrawTree.cpp - random ensembles of decision trees ------------------===//
//
// Thresholds are halves and features whole numbers, so that every row takes one way.
// Weights are small integers; their sums are exact.
//
//===----------------------------------------------------------------------===//
#include "tests/random/ModelDraw.h"

#include <limits>

using namespace quern;
using namespace quern::random;
using quern::onnx::proto::AttributeProto;
using quern::onnx::test::ModelBuilder;

namespace {
void setFloats(ModelBuilder &node, const std::string &name, const std::vector<float> &values) {
  auto &list = node.attribute(name, AttributeProto::FLOATS);
  for (float value : values)
    list.add_floats(value);
}

void setStrings(ModelBuilder &node, const std::string &name,
                const std::vector<std::string> &values) {
  auto &list = node.attribute(name, AttributeProto::STRINGS);
  for (const std::string &value : values)
    list.add_strings(value);
}

void setTensor(ModelBuilder &node, const std::string &name, const Tensor &tensor) {
  auto &held = *node.attribute(name, AttributeProto::TENSOR).mutable_t();
  held.set_data_type(static_cast<int>(tensor.dtype()));
  held.add_dims(tensor.numElements());
  held.set_raw_data(tensor.rawData(), static_cast<size_t>(tensor.numBytes()));
}

/// Rows of whole numbers, some of them missing.
Drawn drawRows(ModelDraw &draw, std::initializer_list<DType> types) {
  DType dtype = draw.pick(types);
  auto fits = [&](const Drawn &v) {
    return v.dtype == dtype && v.rank() == 2 && v.isExact() && v.bound <= 1024 && v.dims[1] > 0 &&
           v.elements() <= 4000;
  };
  return draw.any(fits, [&] {
    Tensor::Dims dims = {draw.drawSize(), draw.between(1, 6)};
    if (dtype != DType::Float32 || draw.percent(60))
      return draw.leaf(dtype, dims, -4, 4);
    Tensor tensor = Tensor::allocate(dtype, dims).take();
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      tensor.mutableData<float>()[i] = draw.percent(20) ? std::numeric_limits<float>::quiet_NaN()
                                                        : static_cast<float>(draw.between(-4, 4));
    // Only trees know what to do with missing values: it is not kept.
    Drawn rows{draw.initializer(tensor), dtype, dims, 4, 0};
    return rows;
  });
}

/// The attributes of the older ops.
struct Forest {
  std::vector<int64_t> treeIds, nodeIds, features, trueIds, falseIds, missing;
  std::vector<std::string> modes;
  std::vector<float> values;
  std::vector<int64_t> voteTrees, voteNodes, voteTargets;
  std::vector<float> weights;
  double bound = 0;
};

constexpr int64_t kMaxDepth = 4;

std::string drawMode(ModelDraw &draw) {
  return draw.pick<std::string>(
      {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"});
}

struct ForestDraw {
  ModelDraw &draw;
  int64_t features, targets;
  /// Whether weights are at least 0.
  bool isPositive;
  Forest forest = {};

  void addLeaf(int64_t tree, int64_t id);
  int64_t addNode(int64_t tree, int64_t &nextId, int64_t depth, const std::string &mode);
};

void ForestDraw::addLeaf(int64_t tree, int64_t id) {
  for (int64_t t = draw.percent(70) ? draw.below(targets) : 0; t < targets; ++t) {
    forest.voteTrees.push_back(tree);
    forest.voteNodes.push_back(id);
    forest.voteTargets.push_back(t);
    forest.weights.push_back(static_cast<float>(draw.between(isPositive ? 0 : -3, 3)));
    if (draw.percent(60))
      break;
  }
}

/// Adds a node and what is below it; its number.
int64_t ForestDraw::addNode(int64_t tree, int64_t &nextId, int64_t depth, const std::string &mode) {
  int64_t id = nextId++;
  bool isLeaf = depth == kMaxDepth || draw.percent(depth == 0 ? 10 : 35);
  size_t at = forest.nodeIds.size();
  forest.treeIds.push_back(tree);
  forest.nodeIds.push_back(id);
  forest.features.push_back(isLeaf ? 0 : draw.below(features));
  forest.missing.push_back(isLeaf ? 0 : draw.below(2));
  forest.modes.push_back(isLeaf ? "LEAF" : mode.empty() ? drawMode(draw) : mode);
  // Equal values are frequent where they matter.
  forest.values.push_back(static_cast<float>(draw.between(-4, 4)) +
                          (draw.percent(50) ? 0.5f : 0.0f));
  forest.trueIds.push_back(0);
  forest.falseIds.push_back(0);
  if (isLeaf) {
    addLeaf(tree, id);
    return id;
  }
  bool trueFirst = draw.percent(50);
  int64_t first = addNode(tree, nextId, depth + 1, mode);
  int64_t second = addNode(tree, nextId, depth + 1, mode);
  forest.trueIds[at] = trueFirst ? first : second;
  forest.falseIds[at] = trueFirst ? second : first;
  return id;
}

Forest drawForest(ModelDraw &draw, int64_t features, int64_t targets, bool isPositive) {
  ForestDraw in{draw, features, targets, isPositive};
  int64_t trees = draw.pick<int64_t>({1, 1, 2, 3, 5, 9});
  // One mode for all has kernels of its own.
  std::string mode = draw.percent(60) ? drawMode(draw) : "";
  for (int64_t tree = 0; tree < trees; ++tree) {
    int64_t nextId = draw.percent(80) ? 0 : 3;
    in.addNode(tree, nextId, 0, mode);
  }
  in.forest.bound = 3.0 * static_cast<double>(trees);
  return in.forest;
}

void setForest(ModelDraw &draw, ModelBuilder &node, const Forest &forest,
               const std::string &prefix) {
  node.attr("nodes_treeids", forest.treeIds).attr("nodes_nodeids", forest.nodeIds);
  node.attr("nodes_featureids", forest.features);
  node.attr("nodes_truenodeids", forest.trueIds).attr("nodes_falsenodeids", forest.falseIds);
  if (draw.percent(60))
    node.attr("nodes_missing_value_tracks_true", forest.missing);
  setStrings(node, "nodes_modes", forest.modes);
  setFloats(node, "nodes_values", forest.values);
  node.attr(prefix + "_treeids", forest.voteTrees).attr(prefix + "_nodeids", forest.voteNodes);
  node.attr(prefix + "_ids", forest.voteTargets);
  setFloats(node, prefix + "_weights", forest.weights);
}

std::vector<float> drawBase(ModelDraw &draw, int64_t count) {
  std::vector<float> base;
  for (int64_t i = 0; i < count; ++i)
    base.push_back(static_cast<float>(draw.between(-2, 2)));
  return base;
}

/// The bound and error of transformed scores.
void describeTransformed(Drawn &y, const std::string &transform) {
  if (transform == "NONE")
    return;
  y.error = 16 * roundingUnit(DType::Float32);
  y.bound = 1;
}

std::string drawTransform(ModelDraw &draw) {
  return draw.percent(50) ? "NONE"
                          : draw.pick<std::string>({"SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"});
}

bool drawRegressor(ModelDraw &draw) {
  if (draw.mlVersion() >= 5)
    return false;
  Drawn x =
      drawRows(draw, {DType::Float32, DType::Float32, DType::Float64, DType::Int64, DType::Int32});
  int64_t targets = draw.pick<int64_t>({1, 1, 2, 4});
  Forest forest = drawForest(draw, x.dims[1], targets, draw.percent(30));
  if (forest.weights.empty())
    return false;
  std::string transform = drawTransform(draw);
  std::string aggregate = draw.pick<std::string>({"SUM", "SUM", "AVERAGE", "MIN", "MAX"});
  Drawn y{draw.fresh(), DType::Float32, {x.dims[0], targets}, forest.bound + 2, 0};
  if (aggregate == "AVERAGE")
    y.error = 4 * roundingUnit(DType::Float32) * y.bound;
  describeTransformed(y, transform);
  auto &node = draw.result("TreeEnsembleRegressor", {x.name}, y);
  draw.domain("ai.onnx.ml", draw.mlVersion());
  setForest(draw, node, forest, "target");
  node.attr("n_targets", targets);
  if (aggregate != "SUM" || draw.percent(50))
    node.attr("aggregate_function", aggregate.c_str());
  if (transform != "NONE" || draw.percent(50))
    node.attr("post_transform", transform.c_str());
  if (draw.percent(40))
    setFloats(node, "base_values", drawBase(draw, targets));
  return true;
}

bool drawClassifier(ModelDraw &draw) {
  if (draw.mlVersion() >= 5)
    return false;
  Drawn x =
      drawRows(draw, {DType::Float32, DType::Float32, DType::Float64, DType::Int64, DType::Int32});
  int64_t classes = draw.pick<int64_t>({2, 2, 3, 5});
  // Converters give two classes the weights of one.
  bool binary = classes == 2 && draw.percent(50);
  Forest forest = drawForest(draw, x.dims[1], binary ? 1 : classes, draw.percent(50));
  if (forest.weights.empty())
    return false;
  if (binary && draw.percent(50))
    for (int64_t &target : forest.voteTargets)
      target = 1;
  std::string transform = drawTransform(draw);
  Drawn labels{draw.fresh(), DType::Int64, {x.dims[0]}, 10, 0};
  Drawn scores{draw.fresh(), DType::Float32, {x.dims[0], classes}, forest.bound + 2, 0};
  describeTransformed(scores, transform);
  auto &node = draw.node("TreeEnsembleClassifier", {x.name}, {labels.name, scores.name});
  draw.domain("ai.onnx.ml", draw.mlVersion());
  setForest(draw, node, forest, "class");
  std::vector<int64_t> names;
  for (int64_t i = 0; i < classes; ++i)
    names.push_back(i * 2 - 1);
  node.attr("classlabels_int64s", names);
  if (transform != "NONE" || draw.percent(50))
    node.attr("post_transform", transform.c_str());
  if (draw.percent(40))
    setFloats(node, "base_values", drawBase(draw, binary ? 1 : classes));
  draw.keep(labels);
  draw.keep(scores);
  return true;
}

template <typename T> Tensor vectorOf(const std::vector<float> &values) {
  std::vector<T> elements(values.begin(), values.end());
  return Tensor::of<T>({static_cast<int64_t>(elements.size())}, elements);
}

/// The newest op: splits and leaves are numbered apart.
struct Splits {
  std::vector<int64_t> roots, features, trueIds, falseIds, trueLeafs, falseLeafs, missing, targets;
  std::vector<uint8_t> modes;
  std::vector<float> splits, members, weights;
};

/// Adds a split and what is below it; its number. A member test has a list of values.
int64_t addSplit(ModelDraw &draw, Splits &to, int64_t features, int64_t targets, int64_t depth,
                 bool allowMembers) {
  auto id = static_cast<int64_t>(to.features.size());
  to.features.push_back(draw.below(features));
  bool isMember = allowMembers && draw.percent(20);
  to.modes.push_back(static_cast<uint8_t>(isMember ? 6 : draw.below(6)));
  to.splits.push_back(static_cast<float>(draw.between(-4, 4)) + (draw.percent(50) ? 0.5f : 0.0f));
  to.missing.push_back(draw.below(2));
  for (auto *list : {&to.trueIds, &to.falseIds, &to.trueLeafs, &to.falseLeafs})
    list->push_back(0);
  if (isMember) {
    for (int64_t i = draw.between(1, 3); i > 0; --i)
      to.members.push_back(static_cast<float>(draw.between(-4, 4)));
    to.members.push_back(std::numeric_limits<float>::quiet_NaN());
  }
  auto addBelow = [&](std::vector<int64_t> Splits::*ids, std::vector<int64_t> Splits::*leafs) {
    if (depth < kMaxDepth && draw.percent(55)) {
      int64_t below = addSplit(draw, to, features, targets, depth + 1, allowMembers);
      (to.*ids)[id] = below;
      return;
    }
    (to.*ids)[id] = static_cast<int64_t>(to.targets.size());
    (to.*leafs)[id] = 1;
    to.targets.push_back(draw.below(targets));
    to.weights.push_back(static_cast<float>(draw.between(-3, 3)));
  };
  addBelow(&Splits::trueIds, &Splits::trueLeafs);
  addBelow(&Splits::falseIds, &Splits::falseLeafs);
  return id;
}

template <typename T> void setNumbers(ModelBuilder &node, const Splits &splits) {
  setTensor(node, "nodes_splits", vectorOf<T>(splits.splits));
  setTensor(node, "leaf_weights", vectorOf<T>(splits.weights));
  if (!splits.members.empty())
    setTensor(node, "membership_values", vectorOf<T>(splits.members));
}

bool drawEnsemble(ModelDraw &draw) {
  if (draw.mlVersion() < 5)
    return false;
  Drawn x = drawRows(draw, {DType::Float32, DType::Float32, DType::Float64});
  int64_t targets = draw.pick<int64_t>({1, 2, 4}), trees = draw.between(1, 6);
  Splits splits;
  bool allowMembers = draw.percent(30);
  for (int64_t i = 0; i < trees; ++i)
    splits.roots.push_back(addSplit(draw, splits, x.dims[1], targets, 0, allowMembers));
  int64_t aggregate = draw.below(4), transform = draw.percent(60) ? 0 : draw.between(1, 3);
  Drawn y{draw.fresh(), x.dtype, {x.dims[0], targets}, 3.0 * static_cast<double>(trees), 0};
  if (aggregate == 0)
    y.error = 4 * roundingUnit(x.dtype) * y.bound;
  describeTransformed(y, transform == 0 ? "NONE" : "SOFTMAX");
  auto &node = draw.result("TreeEnsemble", {x.name}, y);
  draw.domain("ai.onnx.ml", draw.mlVersion());
  node.attr("tree_roots", splits.roots).attr("nodes_featureids", splits.features);
  node.attr("nodes_truenodeids", splits.trueIds).attr("nodes_falsenodeids", splits.falseIds);
  node.attr("nodes_trueleafs", splits.trueLeafs).attr("nodes_falseleafs", splits.falseLeafs);
  if (draw.percent(60))
    node.attr("nodes_missing_value_tracks_true", splits.missing);
  node.attr("leaf_targetids", splits.targets).attr("n_targets", targets);
  auto modes = static_cast<int64_t>(splits.modes.size());
  setTensor(node, "nodes_modes", Tensor::of<uint8_t>({modes}, splits.modes));
  if (x.dtype == DType::Float64)
    setNumbers<double>(node, splits);
  else
    setNumbers<float>(node, splits);
  if (aggregate != 1 || draw.percent(50))
    node.attr("aggregate_function", aggregate);
  if (transform != 0 || draw.percent(50))
    node.attr("post_transform", transform);
  return true;
}
} // namespace

OpFamily random::treeFamily() {
  return {3, 1, {drawRegressor, drawClassifier, drawEnsemble, drawEnsemble}};
}
