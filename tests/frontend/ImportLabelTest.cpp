//===- ImportLabelTest.cpp - labels and maps ------------------------------===//
#include "ir/LabelOps.h"
#include "tests/frontend/MlModel.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
using Strings = std::vector<std::string>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

static Tensor stringTensor(const Tensor::Dims &dims, const Strings &values) {
  Tensor tensor = Tensor::allocate(DType::String, dims).take();
  std::copy(values.begin(), values.end(), tensor.mutableData<std::string>());
  return tensor;
}

TEST(ImportLabel, CategoryMapper) {
  MlModel b("CategoryMapper", 1, 3, DType::Int64);
  b.ints("cats_int64s", {7, 8}).strings("cats_strings", {"x", "y"});
  expectStrings(run(b, {Tensor::of<int64_t>({1, 3}, {8, 9, 7})})[0], {"y", "_Unused", "x"});
  MlModel back("CategoryMapper", 1, 2, DType::String);
  back.ints("cats_int64s", {7, 8}).strings("cats_strings", {"x", "y"}).set("default_int64", -5);
  expectInts(run(back, {stringTensor({1, 2}, {"y", "z"})})[0], {8, -5});
  back.ints("cats_int64s", {7});
  MlModel uneven("CategoryMapper", 1, 2, DType::String);
  uneven.ints("cats_int64s", {7}).strings("cats_strings", {"x", "y"});
  expectError(uneven, kInvalid, {"has 1 integers for 2 strings"});
}

TEST(ImportLabel, LabelEncoderOfEachVersion) {
  MlModel first("LabelEncoder", 1, 3, DType::String);
  first.strings("classes_strings", {"a", "b"});
  expectInts(run(first, {stringTensor({1, 3}, {"b", "c", "a"})})[0], {1, -1, 0});
  MlModel second("LabelEncoder", 2, 2, DType::Float32);
  second.floats("keys_floats", {1, 1}).strings("values_strings", {"first", "last"});
  expectStrings(run(second, {Tensor::of<float>({1, 2}, {1, 2})})[0], {"first", "_Unused"});
  second.model.mutable_opset_import(1)->set_version(4);
  expectStrings(run(second, {Tensor::of<float>({1, 2}, {1, 2})})[0], {"last", "_Unused"});
  MlModel tensors("LabelEncoder", 4, 2, DType::Int64);
  tensors.tensor("keys_tensor", Tensor::ofInts({1, 2}));
  tensors.tensor("values_tensor", Tensor::of<double>({2}, {0.5, 0.25}));
  tensors.tensor("default_tensor", Tensor::of<double>({1}, {9}));
  expectFloats(run(tensors, {Tensor::of<int64_t>({1, 2}, {2, 3})})[0], {1, 2}, {0.25, 9});
}

TEST(ImportLabel, LabelEncoderRefusesListsThatDoNotFit) {
  MlModel b("LabelEncoder", 2, 2, DType::Int64);
  b.ints("keys_int64s", {1, 2});
  expectError(b, kInvalid,
              {"node 'y_node' (LabelEncoder", "needs one of 'values_floats', 'values_int64s', "
                                              "'values_strings' and 'values_tensor', found 0"});
  b.strings("values_strings", {"a"});
  expectError(b, kInvalid, {"has 2 keys for 1 values"});
  MlModel type("LabelEncoder", 2, 2, DType::Float32);
  type.ints("keys_int64s", {1}).ints("values_int64s", {2});
  expectError(type, kInvalid, {"input 0 is float32, but the keys are int64"});
}

TEST(ImportLabel, ZipMapGivesASequenceOfMaps) {
  MlModel b("ZipMap", 1, 2);
  b.strings("classlabels_strings", {"no", "yes"});
  EXPECT_EQ(Imported(b).outputType(), "!nn.sequence<!nn.map<!nn.string, tensor<*xf32>>>");
  b.ints("classlabels_int64s", {1, 2});
  expectError(b, kInvalid, {"needs either 'classlabels_int64s' or 'classlabels_strings'"});
}

/// A model of one op on the map "x".
static MlModel onMap(const std::string &op, DType key, DType value) {
  MlModel b(op, 1, 1);
  auto *type = b.graph().mutable_input(0)->mutable_type()->mutable_map_type();
  type->set_key_type(static_cast<int>(key));
  type->mutable_value_type()->mutable_tensor_type()->set_elem_type(static_cast<int>(value));
  return b;
}

/// The first output of a model of one map.
static Tensor runOnMap(const MlModel &model, const Tensor &keys, const std::vector<float> &values) {
  Imported imported(model);
  EXPECT_TRUE(imported.module) << imported.text();
  if (!imported.module)
    return {};
  auto program =
      interpreter::ReferenceProgram::create(nn::findMain(**imported.module).getBody().front());
  EXPECT_TRUE(program) << program.status().message();
  std::vector<AnyValue> elements;
  for (float value : values)
    elements.push_back(Tensor::of<float>({}, {value}));
  AnyValue map =
      AnyValue::map(keys, ValueType::tensor(DType::Float32, PortShape()), elements).take();
  Budget budget{Limits()};
  std::vector<AnyValue> operands = {map};
  auto results = program->run({operands, budget});
  EXPECT_TRUE(results) << results.status().message();
  return results ? *results->front().asTensor() : Tensor();
}

TEST(ImportLabel, DictVectorizerFollowsItsVocabulary) {
  MlModel b = onMap("DictVectorizer", DType::String, DType::Float32);
  b.strings("string_vocabulary", {"a", "c", "b", "z"});
  Tensor keys = stringTensor({3}, {"c", "a", "unknown"});
  expectFloats(runOnMap(b, keys, {8, 4, 5}), {1, 4}, {4, 8, 0, 0});
  MlModel none = onMap("DictVectorizer", DType::String, DType::Float32);
  expectError(none, kInvalid, {"needs either 'int64_vocabulary' or 'string_vocabulary'"});
  none.ints("int64_vocabulary", {1});
  expectError(none, kInvalid, {"keys must have element type"});
}

TEST(ImportLabel, CastMapIsDenseOrSparse) {
  MlModel dense = onMap("CastMap", DType::Int64, DType::Float32);
  expectFloats(runOnMap(dense, Tensor::ofInts({3, 1}), {30, 10}), {1, 2}, {10, 30});
  MlModel sparse = onMap("CastMap", DType::Int64, DType::Float32);
  sparse.set("map_form", "SPARSE").set("max_map", 4).set("cast_to", "TO_INT64");
  Tensor found = runOnMap(sparse, Tensor::ofInts({3, 1, 4, 9}), {30, 10, 40, 90});
  EXPECT_EQ(found.dims(), (Tensor::Dims{1, 4}));
  expectInts(found, {0, 10, 0, 30});
  sparse.set("cast_to", "TO_NOTHING");
  MlModel unknown = onMap("CastMap", DType::Int64, DType::Float32);
  unknown.set("cast_to", "TO_NOTHING");
  expectError(unknown, kUnsupported, {"cast_to 'TO_NOTHING'"});
  expectError(onMap("CastMap", DType::String, DType::Float32), kInvalid,
              {"the keys must be int64, found string"});
  expectError(MlModel("CastMap", 1, 2), kInvalid, {"operand must be a map"});
}
