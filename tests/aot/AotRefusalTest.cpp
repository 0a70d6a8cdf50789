//===- AotRefusalTest.cpp - what cannot be compiled ahead of time ---------===//
#include "tests/aot/AotTest.h"

#include "backends/native/aot/AotModel.h"

#include <filesystem>
#include <gmock/gmock.h>

using namespace quern;
using namespace quern::native;
using namespace quern::plan;
using testing::HasSubstr;

namespace {
class AotRefusalTest : public AotTest {
protected:
  /// The names of all files in the test's folder.
  std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(folder))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
};
} // namespace

TEST_F(AotRefusalTest, NamesInputsOfUnknownSize) {
  Status status = compile(*digits(/*batch=*/0), "digits.so");
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  EXPECT_THAT(status.message(), HasSubstr("'image'"));
  EXPECT_THAT(status.message(), HasSubstr("--dim"));
  EXPECT_TRUE(files().empty());
}

TEST_F(AotRefusalTest, ListsNodesWithoutNativeCode) {
  auto module = parse(R"(func.func @main(%n: tensor<i64>, %x: tensor<4xf32>)
      -> (tensor<?xi64> {nn.name = "count"}, tensor<4xf32>) {
    %zero = nn.constant dense<0> : tensor<i64>
    %one = nn.constant dense<1> : tensor<i64>
    %r = nn.range %zero, %n, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64> loc("counting")
    %y = nn.relu %x : (tensor<4xf32>) -> tensor<4xf32>
    return %r, %y : tensor<?xi64>, tensor<4xf32>
  })");
  ASSERT_TRUE(module);
  Status status = compile(*module, "range.so");
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  EXPECT_THAT(status.message(), HasSubstr("node 'counting' (nn.range)"));
  EXPECT_THAT(status.message(), HasSubstr("'count'"));
  EXPECT_THAT(status.message(), testing::Not(HasSubstr("relu")));
  EXPECT_TRUE(files().empty());
}

TEST_F(AotRefusalTest, ChecksNames) {
  auto module = digits();
  EXPECT_EQ(compile(*module, "digits.dll").code(), StatusCode::Usage);
  EXPECT_EQ(compile(*module, "digits.so", "not-c").code(), StatusCode::Usage);
  EXPECT_EQ(compile(*module, "digits.so", "1st").code(), StatusCode::Usage);
  EXPECT_TRUE(files().empty());
}

TEST(SymbolPrefixTest, ComesFromTheName) {
  EXPECT_EQ(symbolPrefix("digits.so"), "digits");
  EXPECT_EQ(symbolPrefix("out.d/my-model.so"), "my_model");
  EXPECT_EQ(symbolPrefix("/a/b/lib model.a"), "lib_model");
  EXPECT_EQ(symbolPrefix("model.v2.o"), "model_v2"); // unlike model.v1.o
  EXPECT_EQ(symbolPrefix("3d.so"), "model_3d");
  EXPECT_EQ(symbolPrefix("caf\xc3\xa9.so"), "cafuc3a9");
  EXPECT_EQ(symbolPrefix("caf\xc3\xa8.so"), "cafuc3a8");
  EXPECT_EQ(symbolPrefix("quern_model.so"), "model_quern_model");
  EXPECT_EQ(symbolPrefix(".so"), "model_");
}

TEST_F(AotRefusalTest, ReportsWhatCannotBeWritten) {
  auto module = digits();
  Status missing = compile(*module, "missing/digits.so");
  EXPECT_EQ(missing.code(), StatusCode::Io);
  EXPECT_THAT(missing.message(), HasSubstr("missing/digits.so"));
  std::filesystem::create_directory(path("folder.so"));
  Status directory = compile(*module, "folder.so");
  EXPECT_EQ(directory.code(), StatusCode::Io);
  EXPECT_THAT(directory.message(), HasSubstr("is a directory"));
  AotOptions options;
  options.outputPath = path("digits.so");
  options.headerPath = path("missing/digits.h");
  EXPECT_EQ(compileToArtifact(*module, options).code(), StatusCode::Io);
  EXPECT_EQ(files(), std::vector<std::string>{"folder.so"});
}

TEST_F(AotRefusalTest, LeavesNothingBehindButTheOutput) {
  Status status = compile(*digits(), "digits.a");
  ASSERT_TRUE(status.isOk()) << status.message();
  EXPECT_EQ(files(), (std::vector<std::string>{"digits.a", "digits.h"}));
}

TEST(WeightLayoutTest, HasWhatStepsRead) {
  std::vector<float> values(100);
  Tensor used = Tensor::borrow(DType::Float32, {5}, values.data());
  Plan plan;
  plan.weights = {Tensor::borrow(DType::Float32, {20}, values.data() + 50), used};
  plan.steps.push_back(
      {KernelStep{.buffers = {{BufferRef::Space::Weights, 1, 0}}, .dims = {}}, "", ""});
  std::vector<Tensor> tensors = usedWeights(std::vector<AotPlan>{{&plan, {""}}});
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors.front().rawData(), used.rawData());
}

TEST(WeightLayoutTest, AlignsAndShares) {
  std::vector<float> values(100);
  Tensor shared = Tensor::borrow(DType::Float32, {5}, values.data());
  Tensor other = Tensor::borrow(DType::Float32, {20}, values.data() + 50);
  auto layout = layOutWeights(std::vector<Tensor>{shared, other, shared});
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->offsetOf(shared), 0);
  EXPECT_EQ(layout->offsetOf(other), 64);
  EXPECT_EQ(layout->bytes, 192);
  EXPECT_EQ(layout->tensors.size(), 2u);
}

TEST(WeightLayoutTest, RefusesMoreThanCodeCanAddress) {
  static const float value = 0;
  // Never read: two tensors of 1 GiB each.
  Tensor first = Tensor::borrow(DType::Float32, {1 << 28}, &value);
  Tensor second = Tensor::borrow(DType::Float32, {1 << 28}, &value + 1);
  EXPECT_TRUE(layOutWeights(std::vector<Tensor>{first}));
  auto refused = layOutWeights(std::vector<Tensor>{first, second});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.status().code(), StatusCode::Unsupported);
}
