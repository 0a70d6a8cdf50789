//===- ImportFeatureTest.cpp - what is done to features -------------------===//
#include "tests/frontend/MlModel.h"

#include <limits>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

TEST(ImportFeature, ScalerShiftsThenScales) {
  MlModel b("Scaler", 1, 2);
  b.floats("offset", {1, 2}).floats("scale", {10, 100});
  expectFloats(run(b, {Tensor::of<float>({1, 2}, {3, 4})})[0], {1, 2}, {20, 200});
  MlModel one("Scaler", 1, 2, DType::Int32);
  one.floats("scale", {0.5f});
  expectFloats(run(one, {Tensor::of<int32_t>({1, 2}, {3, -4})})[0], {1, 2}, {1.5, -2});
  MlModel wrong("Scaler", 1, 3);
  wrong.floats("offset", {1, 2});
  expectError(wrong, kInvalid, {"node 'y_node' (Scaler", "'offset' has 2 elements, but input 0"});
}

TEST(ImportFeature, NormalizerByRow) {
  Tensor x = Tensor::of<float>({2, 2}, {3, -4, 0, 0});
  auto normalized = [&](const char *norm) {
    MlModel b("Normalizer", 1, 2);
    b.set("norm", norm);
    return run(b, {x})[0];
  };
  expectFloats(normalized("MAX"), {2, 2}, {1, -4 / 3.0, 0, 0});
  expectFloats(normalized("L1"), {2, 2}, {3 / 7.0, -4 / 7.0, 0, 0});
  expectFloats(normalized("L2"), {2, 2}, {0.6, -0.8, 0, 0});
  MlModel b("Normalizer", 1, 2);
  b.set("norm", "L3");
  expectError(b, kUnsupported, {"norm 'L3'"});
}

TEST(ImportFeature, BinarizerKeepsTheType) {
  MlModel b("Binarizer", 1, 3, DType::Int64);
  b.attr("threshold", 1.5f);
  expectInts(run(b, {Tensor::of<int64_t>({1, 3}, {1, 2, -9})})[0], {0, 1, 0});
  MlModel strings("Binarizer", 1, 3, DType::String);
  expectError(strings, kInvalid, {"input 0 must hold float32, float64, int32 or int64"});
}

TEST(ImportFeature, ImputerReplacesNaNAndNumbers) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  MlModel b("Imputer", 1, 2);
  b.floats("imputed_value_floats", {5, 6}).attr("replaced_value_float", nan);
  expectFloats(run(b, {Tensor::of<float>({2, 2}, {nan, 1, 2, nan})})[0], {2, 2}, {5, 1, 2, 6});
  MlModel ints("Imputer", 1, 2, DType::Int64);
  ints.ints("imputed_value_int64s", {7}).set("replaced_value_int64", -1);
  expectInts(run(ints, {Tensor::of<int64_t>({1, 2}, {-1, 3})})[0], {7, 3});
  expectError(MlModel("Imputer", 1, 2), kInvalid, {"needs 'imputed_value_floats'"});
}

TEST(ImportFeature, FeatureVectorizerCutsAndPads) {
  MlModel b("FeatureVectorizer", 1, 2);
  b.input("z", {-1, 1}, DType::Int32);
  b.graph().mutable_node(0)->add_input("z");
  b.ints("inputdimensions", {1, 2});
  Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4}), z = Tensor::of<int32_t>({2, 1}, {5, 6});
  expectFloats(run(b, {x, z})[0], {2, 3}, {1, 5, 0, 3, 6, 0});
  b.graph().mutable_node(0)->mutable_attribute(0)->add_ints(1);
  expectError(b, kInvalid, {"inputdimensions has 3 elements for 2 inputs"});
}

TEST(ImportFeature, ArrayFeatureExtractorGathersColumns) {
  MlModel b("ArrayFeatureExtractor", 1, 3);
  b.input("i", {1, 2}, DType::Int64);
  b.graph().mutable_node(0)->add_input("i");
  Tensor x = Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5}), i = Tensor::of<int64_t>({1, 2}, {2, 0});
  expectFloats(run(b, {x, i})[0], {2, 2}, {2, 0, 5, 3});
  auto *shape = b.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->mutable_dim()->DeleteSubrange(0, 1);
  expectFloats(run(b, {Tensor::of<float>({3}, {7, 8, 9}), i})[0], {1, 2}, {9, 7});
}

TEST(ImportFeature, OneHotEncoder) {
  MlModel b("OneHotEncoder", 1, 2, DType::Float32);
  b.ints("cats_int64s", {4, 2});
  Tensor x = Tensor::of<float>({1, 2}, {2.5f, 3});
  expectFloats(run(b, {x})[0], {1, 2, 2}, {0, 1, 0, 0});
  MlModel strict("OneHotEncoder", 1, 2, DType::Int64);
  strict.ints("cats_int64s", {4, 2}).set("zeros", int64_t{0});
  expectFloats(run(strict, {Tensor::of<int64_t>({1, 2}, {4, 2})})[0], {1, 2, 2}, {1, 0, 0, 1});
  Imported imported(strict);
  auto outputs = interpreter::interpret(nn::findMain(**imported.module),
                                        std::vector{Tensor::of<int64_t>({1, 2}, {4, 3})});
  ASSERT_FALSE(outputs);
  expectContains(outputs.status().message(), "node 'y_node' (nn.lookup): 3 is none of the 2 keys");
  expectError(MlModel("OneHotEncoder", 1, 2, DType::String), kInvalid, {"needs 'cats_strings'"});
}
