//===- ImportTreeTest.cpp - ensembles of decision trees -------------------===//
//
// The scores of classes are those of ONNX Runtime 1.31; where both of two classes have weights,
// scores and labels are those of onnx.reference.
//
//===----------------------------------------------------------------------===//
#include "ir/TreeOps.h"
#include "tests/frontend/MlModel.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

namespace {
struct Vote {
  int64_t target;
  float weight;
};
using Votes = std::vector<Vote>;
} // namespace

/// x <= 0 ? what `low` has : what `high` has; of version 3.
static MlModel stump(const std::string &op, const Votes &low, const Votes &high) {
  bool isClassifier = op == "TreeEnsembleClassifier";
  std::string prefix = isClassifier ? "class" : "target";
  MlModel b(op, 3, 1, DType::Float32,
            isClassifier ? std::vector<std::string>{"label", "y"} : std::vector<std::string>{"y"});
  b.ints("nodes_treeids", {0, 0, 0}).ints("nodes_nodeids", {0, 1, 2});
  b.ints("nodes_featureids", {0, 0, 0}).floats("nodes_values", {0, 0, 0});
  b.ints("nodes_truenodeids", {1, 0, 0}).ints("nodes_falsenodeids", {2, 0, 0});
  b.strings("nodes_modes", {"BRANCH_LEQ", "LEAF", "LEAF"}).floats("nodes_hitrates", {1, 1, 1});
  Ints trees, nodes, ids;
  Floats weights;
  for (int64_t leaf : {1, 2})
    for (const Vote &vote : leaf == 1 ? low : high) {
      trees.push_back(0);
      nodes.push_back(leaf);
      ids.push_back(vote.target);
      weights.push_back(vote.weight);
    }
  b.ints(prefix + "_treeids", trees).ints(prefix + "_nodeids", nodes);
  b.ints(prefix + "_ids", ids).floats(prefix + "_weights", weights);
  return b;
}

static MlModel classifier(const Votes &low, const Votes &high, const Ints &labels = {10, 20}) {
  MlModel b = stump("TreeEnsembleClassifier", low, high);
  b.ints("classlabels_int64s", labels);
  return b;
}

/// Rows on either side of the threshold.
static const Tensor &bothSides() {
  static const Tensor x = Tensor::of<float>({2, 1}, {-1, 1});
  return x;
}

static void expectClasses(const MlModel &model, const Ints &labels, const Doubles &scores) {
  auto outputs = run(model, {bothSides()});
  ASSERT_EQ(outputs.size(), 2u);
  expectInts(outputs[0], labels);
  auto rows = static_cast<int64_t>(labels.size());
  expectFloats(outputs[1], {rows, static_cast<int64_t>(scores.size()) / rows}, scores);
}

TEST(ImportTree, Regression) {
  MlModel b = stump("TreeEnsembleRegressor", {{0, 1.5f}}, {{0, -2}, {1, 3}});
  b.set("n_targets", 2).floats("base_values", {10, 20});
  // What gets no weight gets no base value either.
  expectFloats(run(b, {bothSides()})[0], {2, 2}, {11.5, 0, 8, 23});
  b.set("post_transform", "LOGISTIC");
  EXPECT_EQ(Imported(b).count<nn::SigmoidOp>(), 1);
  // Of one target nothing is transformed.
  MlModel one = stump("TreeEnsembleRegressor", {{0, 1.5f}}, {{0, -2}});
  one.set("post_transform", "LOGISTIC").set("aggregate_function", "AVERAGE");
  expectFloats(run(one, {bothSides()})[0], {2, 1}, {1.5, -2});
  one.floats("base_values", {1, 2});
  expectError(one, kInvalid, {"has 2 base values for 1 targets"});
}

TEST(ImportTree, IntegersAndDoubles) {
  MlModel b = stump("TreeEnsembleRegressor", {{0, 1}}, {{0, 2}});
  auto *type = b.graph().mutable_input(0)->mutable_type()->mutable_tensor_type();
  type->set_elem_type(static_cast<int>(DType::Int64));
  expectFloats(run(b, {Tensor::of<int64_t>({2, 1}, {0, 1})})[0], {2, 1}, {1, 2});
  // The threshold in between is no float32.
  MlModel exact = stump("TreeEnsembleRegressor", {{0, 1}}, {{0, 2}});
  exact.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      static_cast<int>(DType::Float64));
  auto *attributes = exact.graph().mutable_node(0)->mutable_attribute();
  for (auto it = attributes->begin(); it != attributes->end(); ++it)
    if (it->name() == "nodes_values") {
      attributes->erase(it);
      break;
    }
  double threshold = 1 + 1e-12;
  exact.tensor("nodes_values_as_tensor", Tensor::of<double>({3}, {threshold, 0, 0}));
  expectFloats(run(exact, {Tensor::of<double>({2, 1}, {1, 1 + 2e-12})})[0], {2, 1}, {1, 2});
}

TEST(ImportTree, TwoClassesOfWhichOneHasWeights) {
  // Positive weights are a probability, others a score that may be mirrored.
  expectClasses(classifier({{0, 0.3f}}, {{0, 0.8f}}), {10, 20}, {0.7, 0.3, 0.2, 0.8});
  expectClasses(classifier({{1, 0.3f}}, {{1, 0.8f}}), {10, 20}, {0, 0.3, 0, 0.8});
  expectClasses(classifier({{0, -0.3f}}, {{0, 0.8f}}), {10, 20}, {0.3, -0.3, -0.8, 0.8});
  expectClasses(classifier({{0, -0.3f}}, {{0, 0.8f}}).set("post_transform", "LOGISTIC"), {10, 20},
                {0.5744425, 0.4255575, 0.3100255, 0.6899745});
  expectClasses(classifier({{0, 0.3f}}, {{0, 0.8f}}).floats("base_values", {0.25f}), {20, 20},
                {0.45, 0.55, -0.05, 1.05});
  // What has no weight gets no base value.
  expectClasses(classifier({{0, 0.3f}}, {{0, 0.8f}}).floats("base_values", {0.25f, 0.5f}), {20, 20},
                {0.55, 0, 1.05, 0});
}

TEST(ImportTree, TwoClassesWithWeights) {
  Votes low = {{0, 0.7f}, {1, 0.3f}}, high = {{0, 0.2f}, {1, 0.8f}};
  expectClasses(classifier(low, high), {10, 20}, {0.7, 0.3, 0.2, 0.8});
  expectClasses(classifier({{0, 0.7f}, {1, -0.3f}}, high), {10, 20}, {0.7, -0.3, 0.2, 0.8});
  expectClasses(classifier(low, high).floats("base_values", {1, 1.5f}), {20, 20},
                {1.7, 1.8, 1.2, 2.3});
  expectClasses(classifier(low, high).floats("base_values", {1}), {10, 20}, {1.7, 1.3, 1.2, 1.8});
  // Without a weight a class has the score 0, which may be the larger one.
  expectClasses(classifier({{0, 0.7f}}, {{1, -0.8f}}), {10, 10}, {0.7, 0, 0, -0.8});
  MlModel named = stump("TreeEnsembleClassifier", low, high);
  named.strings("classlabels_strings", {"five", "nine"});
  expectStrings(run(named, {bothSides()})[0], {"five", "nine"});
}

TEST(ImportTree, TheOnlyClassIsThatOfAllRows) {
  expectClasses(classifier({{0, -0.5f}}, {{0, 0.5f}}, {5}), {5, 5}, {-0.5, 0.5});
  // Converters write 1 for a class that rows are in or not.
  expectClasses(classifier({{0, -0.5f}}, {{0, 0.5f}}, {1}), {0, 1}, {-0.5, 0.5});
  MlModel named = stump("TreeEnsembleClassifier", {{0, -0.5f}}, {{0, 0.5f}});
  named.strings("classlabels_strings", {"c8"});
  expectStrings(run(named, {bothSides()})[0], {"c8", "c8"});
}

TEST(ImportTree, ManyClassesOfWhichTheLargestWins) {
  // What has no weight does not win with its 0.
  expectClasses(classifier({{0, -0.7f}, {1, -0.2f}}, {{2, -0.8f}}, {10, 20, 30}), {20, 30},
                {-0.7, -0.2, 0, 0, 0, -0.8});
  MlModel b = stump("TreeEnsembleClassifier", {{0, 1}}, {{2, 2}});
  b.strings("classlabels_strings", {"a", "b", "c"}).set("post_transform", "SOFTMAX");
  auto outputs = run(b, {bothSides()});
  expectStrings(outputs[0], {"a", "c"});
  expectFloats(outputs[1], {2, 3},
               {0.5761169, 0.2119416, 0.2119416, 0.1065070, 0.1065070, 0.7869860});
  expectError(classifier({{0, 1}}, {{2, 2}}, {1, 2, 3}).floats("base_values", {1}), kInvalid,
              {"has 1 base values for 3 classes"});
}

TEST(ImportTree, RefusesWhatIsNotATree) {
  auto damaged = [](auto &&damage) {
    MlModel b = stump("TreeEnsembleRegressor", {{0, 1}}, {{0, 2}});
    for (auto &attribute : *b.graph().mutable_node(0)->mutable_attribute())
      damage(attribute);
    return b;
  };
  auto setInt = [&](const char *name, int i, int64_t value) {
    return damaged([=](proto::AttributeProto &attribute) {
      if (attribute.name() == name)
        attribute.set_ints(i, value);
    });
  };
  expectError(
      setInt("nodes_truenodeids", 0, 7), kInvalid,
      {"node 'y_node' (TreeEnsembleRegressor", "node 0 of tree 0 leads to a node that is not"});
  expectError(setInt("nodes_truenodeids", 0, 0), kInvalid, {"the nodes of a tree form a cycle"});
  expectError(setInt("nodes_nodeids", 1, 0), kInvalid, {"tree 0 has node 0 twice"});
  expectError(setInt("nodes_featureids", 0, -1), kInvalid, {"there is no feature -1"});
  expectError(setInt("target_nodeids", 0, 9), kInvalid, {"a weight is for node 9 of tree 0"});
  expectError(setInt("target_ids", 0, -1), kInvalid, {"-1 is none of the 1 targets"});
  expectError(damaged([](proto::AttributeProto &attribute) {
                if (attribute.name() == "nodes_modes")
                  attribute.set_strings(0, "BRANCH_MAYBE");
              }),
              kUnsupported, {"node mode 'BRANCH_MAYBE'"});
  expectError(damaged([](proto::AttributeProto &attribute) {
                if (attribute.name() == "nodes_values")
                  attribute.mutable_floats()->RemoveLast();
              }),
              kInvalid, {"nodes_values has 2 elements, expected 3"});
}

/// x in {1, 3} ? leaf 0 : x < 0 ? leaf 1 : leaf 2.
static MlModel members(DType dtype) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  MlModel b("TreeEnsemble", 5, 1, dtype);
  b.ints("tree_roots", {0}).set("n_targets", 1);
  b.tensor("nodes_modes", Tensor::of<uint8_t>({2}, {6, 1}));
  b.ints("nodes_featureids", {0, 0}).ints("nodes_truenodeids", {0, 1});
  b.ints("nodes_falsenodeids", {1, 2}).ints("nodes_trueleafs", {1, 1});
  b.ints("nodes_falseleafs", {0, 1}).ints("leaf_targetids", {0, 0, 0});
  b.tensor("nodes_splits", Tensor::of<float>({2}, {0, 0}));
  b.tensor("membership_values", Tensor::of<float>({3}, {1, 3, nan}));
  b.tensor("leaf_weights", Tensor::of<float>({3}, {10, 20, 30}));
  return b;
}

TEST(ImportTree, SetMembership) {
  MlModel b = members(DType::Float32);
  Tensor x = Tensor::of<float>({5, 1}, {1, 2, 3, -1, std::numeric_limits<float>::quiet_NaN()});
  expectFloats(run(b, {x})[0], {5, 1}, {10, 30, 10, 20, 30});
  Tensor half = Tensor::of<Float16>({1, 1}, {Float16(3.0f)});
  EXPECT_EQ(run(members(DType::Float16), {half})[0].dtype(), DType::Float16);
  b.ints("nodes_missing_value_tracks_true", {1, 0});
  expectFloats(run(b, {x})[0], {5, 1}, {10, 30, 10, 20, 10});
  b.set("aggregate_function", 4);
  expectError(b, kUnsupported, {"aggregate_function 4"});
  MlModel lost = members(DType::Float32);
  lost.graph().mutable_node(0)->mutable_attribute(4)->set_ints(0, 5); // nodes_truenodeids
  expectError(lost, kInvalid, {"a node leads to leaf 5 of 3"});
}

TEST(ImportTree, MissingValuesGoWhereTheirNodeSays) {
  Tensor missing = Tensor::of<float>({1, 1}, {std::numeric_limits<float>::quiet_NaN()});
  for (int64_t tracksTrue : {0, 1}) {
    MlModel b = stump("TreeEnsembleRegressor", {{0, 1}}, {{0, 2}});
    b.ints("nodes_missing_value_tracks_true", {tracksTrue, 0, 0});
    auto outputs = run(b, {missing});
    ASSERT_EQ(outputs.size(), 1U);
    expectFloats(outputs[0], {1, 1}, {tracksTrue ? 1.0 : 2.0});
  }
}

TEST(ImportTree, SoftmaxZeroLeavesZerosOut) {
  MlModel b = classifier({{1, 1}, {2, 2}}, {{1, 1}, {2, 2}}, {10, 20, 30});
  b.set("post_transform", "SOFTMAX_ZERO");
  double sum = std::exp(-1) + 1;
  expectClasses(b, {30, 30}, {0, std::exp(-1) / sum, 1 / sum, 0, std::exp(-1) / sum, 1 / sum});
}
