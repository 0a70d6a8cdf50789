//===- ImportLinearModelTest.cpp - linear models and SVMs -----------------===//
//
// Scores by hand; what ONNX leaves open is that of ONNX Runtime 1.31.
//
//===----------------------------------------------------------------------===//
#include "ir/LabelOps.h"
#include "tests/frontend/MlModel.h"

#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

static MlModel classifier(const std::string &op, int64_t features) {
  return MlModel(op, 1, features, DType::Float32, {"label", "y"});
}

TEST(ImportLinearModel, Regressor) {
  MlModel b("LinearRegressor", 1, 2);
  b.floats("coefficients", {1, 2, 3, 4}).floats("intercepts", {10, 20}).set("targets", 2);
  expectFloats(run(b, {Tensor::of<float>({1, 2}, {1, 1})})[0], {1, 2}, {13, 27});
  b.set("post_transform", "SOFTMAX");
  EXPECT_EQ(Imported(b).count<nn::SoftmaxOp>(), 1);
  MlModel uneven("LinearRegressor", 1, 2);
  uneven.floats("coefficients", {1, 2, 3}).set("targets", 2);
  expectError(uneven, kInvalid, {"3 coefficients do not divide into 2 rows"});
  MlModel wrong("LinearRegressor", 1, 2);
  wrong.floats("coefficients", {1, 2}).floats("intercepts", {1, 2});
  expectError(wrong, kInvalid, {"has 2 intercepts, expected 1"});
}

TEST(ImportLinearModel, ClassifierOfManyClasses) {
  MlModel b = classifier("LinearClassifier", 1);
  b.floats("coefficients", {1, -1, 0}).floats("intercepts", {0, 0, 0.5f});
  b.strings("classlabels_strings", {"up", "down", "flat"}).set("post_transform", "LOGISTIC");
  b.set("multi_class", 1);
  auto outputs = run(b, {Tensor::of<float>({3, 1}, {2, -2, 0})});
  expectStrings(outputs[0], {"up", "down", "flat"});
  EXPECT_NEAR(floatAt(outputs[1], 0), 1 / (1 + std::exp(-2.0)), 1e-6);
  MlModel few = classifier("LinearClassifier", 1);
  few.floats("coefficients", {1, -1, 0}).floats("intercepts", {0, 0, 0});
  few.ints("classlabels_ints", {1, 2});
  expectError(few, kInvalid, {"3 scores do not fit 2 labels"});
}

TEST(ImportLinearModel, ClassifierOfOneScore) {
  MlModel b = classifier("LinearClassifier", 1);
  b.floats("coefficients", {1}).floats("intercepts", {0.25f}).ints("classlabels_ints", {7, 9});
  auto outputs = run(b, {Tensor::of<float>({2, 1}, {0.5f, -1})});
  expectInts(outputs[0], {9, 7});
  expectFloats(outputs[1], {2, 2}, {0.25, 0.75, 1.75, -0.75});
  b.set("post_transform", "LOGISTIC");
  expectFloats(run(b, {Tensor::of<float>({1, 1}, {-0.25f})})[1], {1, 2}, {0.5, 0.5});
}

TEST(ImportLinearModel, LabelsAreThoseOfTheModel) {
  auto labelled = [](const std::vector<int64_t> &labels) {
    MlModel b = classifier("LinearClassifier", 1);
    return b.floats("coefficients", {1}).floats("intercepts", {0}).ints("classlabels_ints", labels);
  };
  Tensor x = Tensor::of<float>({2, 1}, {2, -1});
  expectInts(run(labelled({5}), {x})[0], {5, 5});
  expectInts(run(labelled({1}), {x})[0], {1, 0}); // in the class or not
  MlModel named = classifier("LinearClassifier", 1);
  named.floats("coefficients", {1}).floats("intercepts", {0}).strings("classlabels_strings", {"a"});
  expectStrings(run(named, {x})[0], {"a", "a"});
  expectError(labelled({5, 6, 7}), kInvalid, {"1 scores do not fit 3 labels"});
}

TEST(ImportLinearModel, SvmRegressorKernels) {
  Tensor x = Tensor::of<float>({1, 2}, {1, 2});
  auto regress = [&](const char *kernel) {
    MlModel b("SVMRegressor", 1, 2);
    b.floats("coefficients", {2, -1}).floats("rho", {0.5f}).set("n_supports", 2);
    b.floats("support_vectors", {1, 0, 0, 1}).set("kernel_type", kernel);
    b.floats("kernel_params", {0.5f, 1, 2});
    return run(b, {x})[0];
  };
  expectFloats(regress("LINEAR"), {1, 1}, {2 * 1 - 2 + 0.5});
  expectFloats(regress("POLY"), {1, 1}, {2 * 1.5 * 1.5 - 4 + 0.5});
  expectFloats(regress("SIGMOID"), {1, 1}, {2 * std::tanh(1.5) - std::tanh(2.0) + 0.5});
  // Squared distances 4 and 2.
  expectFloats(regress("RBF"), {1, 1}, {2 * std::exp(-2.0) - std::exp(-1.0) + 0.5});
  MlModel b("SVMRegressor", 1, 2);
  b.floats("coefficients", {2, -1}).floats("rho", {0.5f}).set("one_class", 1);
  expectFloats(run(b, {x})[0], {1, 1}, {1});
  b.set("kernel_type", "COSINE");
  expectError(b, kUnsupported, {"kernel_type 'COSINE'"});
}

TEST(ImportLinearModel, RbfOfLargeNumbersIsExact) {
  MlModel b("SVMRegressor", 1, 1);
  b.floats("coefficients", {1}).floats("rho", {0}).set("n_supports", 1);
  b.floats("support_vectors", {10000}).set("kernel_type", "RBF").floats("kernel_params", {1, 0, 0});
  expectFloats(run(b, {Tensor::of<float>({1, 1}, {10000.5f})})[0], {1, 1}, {std::exp(-0.25)});
}

/// Classes at -1, 0 and 1, with a support vector each.
static MlModel svmOfThree() {
  MlModel b = classifier("SVMClassifier", 1);
  b.floats("coefficients", {-1, 1, 1, -1, -1, 1}).floats("rho", {-0.5f, 0, 0.5f});
  b.ints("vectors_per_class", {1, 1, 1}).floats("support_vectors", {-1, 0, 1});
  b.ints("classlabels_ints", {10, 20, 30}).set("kernel_type", "LINEAR");
  return b;
}

TEST(ImportLinearModel, SvmClassifierVotes) {
  MlModel b = svmOfThree();
  auto outputs = run(b, {Tensor::of<float>({1, 1}, {-3})});
  // Pair scores: 0|1: -k0 + k1 - 0.5; 0|2: -k0 + k2; 1|2: -k1 - k2... of k = 3, 0, -3.
  expectInts(outputs[0], {30});
  expectFloats(outputs[1], {1, 3}, {-3.5, -6, -2.5});
  b.floats("prob_a", {-1, -1, -1}).floats("prob_b", {0, 0, 0});
  outputs = run(b, {Tensor::of<float>({1, 1}, {-3})});
  ASSERT_EQ(outputs[1].dims(), (Tensor::Dims{1, 3}));
  EXPECT_NEAR(floatAt(outputs[1], 0) + floatAt(outputs[1], 1) + floatAt(outputs[1], 2), 1, 1e-5);
  b.floats("prob_a", {});
  MlModel wrong = svmOfThree();
  wrong.floats("prob_a", {-1}).floats("prob_b", {0});
  expectError(wrong, kInvalid, {"prob_a: found 1 elements, expected 3"});
}

// A coefficient for each vector and each pair of classes: more than the model has.
TEST(ImportLinearModel, SvmClassifierWithinTheLimit) {
  constexpr int64_t kClasses = 300, kPairs = kClasses * (kClasses - 1) / 2;
  MlModel b = classifier("SVMClassifier", 1);
  std::vector<int64_t> labels(kClasses), perClass(kClasses, 1);
  std::iota(labels.begin(), labels.end(), 0);
  b.floats("coefficients", std::vector<float>((kClasses - 1) * kClasses, 1));
  b.floats("rho", std::vector<float>(kPairs, 0)).ints("vectors_per_class", perClass);
  b.floats("support_vectors", std::vector<float>(kClasses, 1)).ints("classlabels_ints", labels);
  b.set("kernel_type", "LINEAR");
  Limits limits;
  limits.maxFoldedBytes = 4 * kClasses * kPairs - 1;
  expectError(b, StatusCode::ResourceLimit,
              {"a matrix of 300 by 44850 pairs of classes is too large"}, limits);
  EXPECT_TRUE(Imported(b).module);
}

TEST(ImportLinearModel, SvmClassifierOfTwoClasses) {
  MlModel b = classifier("SVMClassifier", 1);
  b.floats("coefficients", {1, -1}).floats("rho", {0.5f}).ints("vectors_per_class", {1, 1});
  b.floats("support_vectors", {1, -1}).strings("classlabels_strings", {"a", "b"});
  auto outputs = run(b, {Tensor::of<float>({2, 1}, {1, -1})});
  expectStrings(outputs[0], {"a", "b"});
  expectFloats(outputs[1], {2, 2}, {-2.5, 2.5, 1.5, -1.5});
  b.set("post_transform", "LOGISTIC");
  expectFloats(run(b, {Tensor::of<float>({1, 1}, {1})})[1], {1, 2},
               {1 / (1 + std::exp(2.5)), 1 / (1 + std::exp(-2.5))});
}

TEST(ImportLinearModel, SvmClassifierWithoutVectors) {
  MlModel b = classifier("SVMClassifier", 1);
  b.floats("coefficients", {1, -1}).floats("rho", {0.25f}).ints("classlabels_ints", {3, 4});
  auto outputs = run(b, {Tensor::of<float>({2, 1}, {1, -1})});
  expectInts(outputs[0], {3, 4});
  expectFloats(outputs[1], {2, 2}, {1.25, -0.75, -0.75, 1.25});
  // Without negative coefficients the second class wins where the best score is 0.5 or more.
  MlModel positive = classifier("SVMClassifier", 1);
  positive.floats("coefficients", {1, 0}).floats("rho", {0.25f}).ints("classlabels_ints", {3, 4});
  expectInts(run(positive, {Tensor::of<float>({3, 1}, {1, 0.125f, -1})})[0], {4, 3, 4});
}

TEST(ImportLinearModel, SvmClassifierHasCoefficientsForEachOtherClass) {
  MlModel b = classifier("SVMClassifier", 1);
  b.floats("coefficients", {1, 2, 3, 4, 5, 6}).floats("rho", {-0.5f, 0, 0.5f});
  b.ints("vectors_per_class", {1, 1, 1}).floats("support_vectors", {1, 2, 3});
  b.ints("classlabels_ints", {10, 20, 30}).set("kernel_type", "LINEAR");
  auto outputs = run(b, {Tensor::of<float>({1, 1}, {1})});
  ASSERT_EQ(outputs.size(), 2U);
  // 0|1: 1 k0 + 2 k1 - 0.5; 0|2: 4 k0 + 3 k2; 1|2: 5 k1 + 6 k2 + 0.5 of k = 1, 2, 3.
  expectFloats(outputs[1], {1, 3}, {4.5, 13, 28.5});
  expectInts(outputs[0], {10});
}
