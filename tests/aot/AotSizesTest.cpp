//===- AotSizesTest.cpp - artefacts for several sizes ---------------------===//
#include "backends/native/aot/AotSizes.h"
#include "ir/Signature.h"
#include "tests/aot/BothWays.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

using namespace quern;
using namespace quern::native;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
class AotSizesTest : public AotTest {
protected:
  Expected<BothWays> compileBoth(mlir::ModuleOp module, const std::vector<ListedSize> &sizes,
                                 std::vector<std::string> cpus = {}) {
    AotOptions options;
    options.listedSizes = sizes;
    options.targetCpus = std::move(cpus);
    return BothWays::compile(module, folder, options);
  }
  Status refusal(mlir::ModuleOp module, const std::vector<ListedSize> &sizes) {
    auto both = compileBoth(module, sizes);
    return both ? Status::ok() : both.status();
  }
};

Tensor floats(const Tensor::Dims &dims) {
  Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = 0.37f * static_cast<float>(i % 11) - 1.5f;
  return tensor;
}

std::vector<int64_t> numbers(const int64_t *first, int64_t count) { return {first, first + count}; }

/// y[batch, total, 3]: what a cache and new rows are, side by side, times a matrix.
constexpr const char *kCache = R"mlir(
  func.func @main(%past: tensor<?x?x4xf32, #nn.dims<"batch", "past", "">>,
                  %new: tensor<?x?x4xf32, #nn.dims<"batch", "seq", "">>,
                  %mask: tensor<?xf32, #nn.dims<"past + seq">>) -> (tensor<*xf32>, tensor<*xf32>) {
    %w = nn.constant dense<[[1.5, 2.0, 0.5], [0.5, 1.0, 0.25], [3.0, 0.25, 1.0], [1.0, 1.0, 2.0]]> : tensor<4x3xf32>
    %all = nn.concat %past, %new {axis = 1 : i64} : (tensor<?x?x4xf32, #nn.dims<"batch", "past", "">>, tensor<?x?x4xf32, #nn.dims<"batch", "seq", "">>) -> tensor<*xf32>
    %0 = nn.matmul %all, %w : (tensor<*xf32>, tensor<4x3xf32>) -> tensor<*xf32>
    %1 = nn.neg %mask : (tensor<?xf32, #nn.dims<"past + seq">>) -> tensor<*xf32>
    return %0, %1 : tensor<*xf32>, tensor<*xf32>
  })mlir";
} // namespace

TEST_F(AotSizesTest, HasTheBitsOfTheJitForAllBatches) {
  auto both = compileBoth(*digits(0), {{"N", {1, 3, 8, 32}}});
  ASSERT_TRUE(both) << both.status().message();
  std::vector<float> images = digitImages();
  for (int i = 0; int64_t batch : {1, 3, 8, 32})
    EXPECT_EQ(
        both->difference({Tensor::borrow(DType::Float32, {batch, 1, 8, 8}, images.data())}, i++),
        "")
        << batch;
}

TEST_F(AotSizesTest, SizesCombine) {
  auto both =
      compileBoth(*parse(kCache), {{"batch", {1, 2}}, {"past", {0, 5, 16}}, {"seq", {1, 4}}});
  ASSERT_TRUE(both) << both.status().message();
  ASSERT_EQ(both->info().plan_count, 12);
  int plan = 0;
  for (int64_t batch : {1, 2})
    for (int64_t past : {0, 5, 16})
      for (int64_t seq : {1, 4})
        EXPECT_EQ(
            both->difference(
                {floats({batch, past, 4}), floats({batch, seq, 4}), floats({past + seq})}, plan++),
            "")
            << batch << " " << past << " " << seq;
}

TEST_F(AotSizesTest, DescribesItself) {
  auto both = compileBoth(*parse(kCache), {{"batch", {2}}, {"past", {3, 5}}, {"seq", {1, 4}}});
  ASSERT_TRUE(both) << both.status().message();
  const quern_model_info &info = both->info();
  ASSERT_EQ(info.size_count, 3);
  EXPECT_STREQ(info.size_names[1], "past");
  ASSERT_EQ(info.plan_count, 4);
  EXPECT_EQ(numbers(info.plans[1].sizes, 3), (std::vector<int64_t>{2, 3, 4}));
  EXPECT_EQ(numbers(info.plans[2].sizes, 3), (std::vector<int64_t>{2, 5, 1}));
  // What all plans share is a size, the rest has a name.
  EXPECT_EQ(numbers(info.inputs[0].dims, 3), (std::vector<int64_t>{2, -1, 4}));
  EXPECT_EQ(info.inputs[0].dim_names[0], nullptr);
  EXPECT_STREQ(info.inputs[0].dim_names[1], "past");
  EXPECT_STREQ(info.inputs[2].dim_names[0], "past + seq");
  EXPECT_EQ(info.inputs[0].bytes, 2 * 5 * 4 * 4);
  EXPECT_EQ(numbers(info.outputs[0].dims, 3), (std::vector<int64_t>{2, -1, 3}));
  EXPECT_EQ(numbers(info.plans[3].outputs[0].dims, 3), (std::vector<int64_t>{2, 9, 3}));
  EXPECT_EQ(info.plans[3].outputs[0].bytes, 2 * 9 * 3 * 4);
  EXPECT_EQ(info.plans[3].outputs[0].dim_names, nullptr);
}

TEST_F(AotSizesTest, PlansShareWeights) {
  auto weightBytes = [&](const std::vector<int64_t> &sizes) {
    AotOptions options;
    options.outputPath = path("shared" + std::to_string(sizes.size()) + ".o");
    options.listedSizes = {{"N", sizes}};
    Status status = compileToArtifact(*digits(0), options);
    EXPECT_TRUE(status.isOk()) << status.message();
    CommandResult sections = runCommand(QUERN_LLVM_BIN "/llvm-size -A " + options.outputPath);
    size_t at = sections.output.find(".rodata.quern");
    return std::stoll(sections.output.substr(at + std::string(".rodata.quern").size()));
  };
  // Apart from a few constants that follow from the batch.
  EXPECT_LT(weightBytes({8, 16, 24, 32}), 1.2 * weightBytes({32}));
}

TEST_F(AotSizesTest, OtherSizesAreRefused) {
  auto both = compileBoth(*digits(0), {{"N", {1, 8}}});
  ASSERT_TRUE(both) << both.status().message();
  LoadedModel model(both->path());
  std::vector<float> image(8 * kPixels), row(8 * kClasses);
  const void *inputs[] = {image.data()};
  void *outputs[] = {row.data()};
  for (int64_t size : {int64_t{0}, int64_t{2}, int64_t{9}, int64_t{-1}, INT64_MIN, INT64_MAX})
    EXPECT_EQ(model.runSized(&size, inputs, outputs, model.workspace), QUERN_MODEL_UNLISTED_SIZES)
        << size;
  int64_t size = 8;
  EXPECT_EQ(model.runSized(&size, inputs, outputs, model.workspace), QUERN_MODEL_OK);
  EXPECT_EQ(model.runSized(nullptr, inputs, outputs, model.workspace), QUERN_MODEL_NULL_ARGUMENT);
  EXPECT_EQ(model.runSized(&size, inputs, outputs, nullptr), QUERN_MODEL_NULL_ARGUMENT);
}

TEST_F(AotSizesTest, SeveralCpusTakeSizesToo) {
  auto both = compileBoth(*digits(0), {{"N", {1, 4}}}, {"x86-64-v2", "host"});
  ASSERT_TRUE(both) << both.status().message();
  EXPECT_STRNE(both->info().target_cpu, "x86-64-v2");
  std::vector<float> images = digitImages();
  EXPECT_EQ(both->difference({Tensor::borrow(DType::Float32, {4, 1, 8, 8}, images.data())}, 1), "");
}

/// Squeezes all of N rows of 4; `rest` makes %result of %s.
static std::string squeezed(const std::string &rest) {
  return R"mlir(
    func.func @main(%x: tensor<?x4xf32, #nn.dims<"N", "">>) -> tensor<*xf32> {
      %none = nn.none
      %s = nn.squeeze %x, %none : (tensor<?x4xf32, #nn.dims<"N", "">>, none) -> tensor<*xf32>
    )mlir" +
         rest + "\n return %result : tensor<*xf32>\n}";
}

// Where even ranks depend on sizes, the passes run for each of them.
TEST_F(AotSizesTest, RanksThatOnlySizesTell) {
  auto module = parse(squeezed(R"mlir(
      %y = nn.exp %s : (tensor<*xf32>) -> tensor<*xf32>
      %rows = nn.constant dense<[-1, 4]> : tensor<2xi64>
      %result = nn.reshape %y, %rows {allowzero = false} : (tensor<*xf32>, tensor<2xi64>) -> tensor<*xf32>)mlir"));
  ASSERT_TRUE(module);
  auto both = compileBoth(*module, {{"N", {1, 5}}});
  ASSERT_TRUE(both) << both.status().message();
  EXPECT_EQ(both->difference({floats({1, 4})}, 0), "");
  EXPECT_EQ(both->difference({floats({5, 4})}, 1), "");
}

TEST_F(AotSizesTest, AnOutputHasOneRank) {
  auto module = parse(squeezed("%result = nn.exp %s : (tensor<*xf32>) -> tensor<*xf32>"));
  ASSERT_TRUE(module);
  Status status = refusal(*module, {{"N", {1, 5}}});
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  EXPECT_EQ(status.message(), "this model cannot be compiled for these sizes: the rank of output "
                              "'output0' depends on them");
}

TEST_F(AotSizesTest, CProgramsTakeTheSizes) {
  AotOptions options;
  options.outputPath = path("digits.o");
  options.headerPath = path("digits.h");
  options.listedSizes = {{"N", {1, 4}}};
  Status status = compileToArtifact(*digits(0), options);
  ASSERT_TRUE(status.isOk()) << status.message();
  std::ofstream(path("main.c")) << R"c(
    #include "digits.h"
    #include <stdio.h>
    static const int64_t listed[DIGITS_SIZE_0_COUNT] = DIGITS_SIZE_0_VALUES;
    static float images[DIGITS_INPUT_0_BYTES / 4], rows[DIGITS_OUTPUT_0_BYTES / 4];
    static _Alignas(QUERN_MODEL_WORKSPACE_ALIGNMENT) char workspace[DIGITS_WORKSPACE_BYTES];
    int main(void) {
      const void *inputs[] = {images};
      void *outputs[] = {rows};
      int64_t other = 3;
      printf("%s %d %d %d %d", DIGITS_SIZE_0_NAME, (int)DIGITS_INPUT_0_BYTES,
             digits_run(&listed[0], inputs, outputs, workspace),
             digits_run_parallel(&listed[1], inputs, outputs, workspace, 0, 0),
             digits_run(&other, inputs, outputs, workspace));
      return 0;
    }
)c";
  CommandResult built = runCommand("cd " + folder +
                                   " && " QUERN_C_COMPILER
                                   " -std=c11 -pedantic -Wall -Wextra -Werror -o program main.c "
                                   "digits.o -lm");
  ASSERT_EQ(built.code, 0) << built.output;
  EXPECT_EQ(runCommand(path("program")).output, "N 1024 0 0 4");
}

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

TEST_F(AotSizesTest, NamesWhatHasNoSize) {
  Status status = refusal(*parse(kCache), {{"batch", {1, 2}}, {"past", {3}}});
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  EXPECT_THAT(status.message(), HasSubstr("set those of 'input1', 'input2' with --shape or --dim"));
}

TEST_F(AotSizesTest, RefusesNamesThatAreNone) {
  Status status = refusal(*digits(0), {{"M", {1, 2}}});
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_EQ(status.message(), "no input has a dimension 'M'");
  status = refusal(*digits(0), {{"N", {1, 2}}, {"N", {3}}});
  EXPECT_EQ(status.message(), "the sizes of dimension 'N' are listed twice");
  for (const std::vector<int64_t> &sizes :
       std::vector<std::vector<int64_t>>{{}, {-1, 2}, {2, 1}, {3, 3}}) {
    status = refusal(*digits(0), {{"N", sizes}});
    EXPECT_EQ(status.code(), StatusCode::Usage);
    EXPECT_THAT(status.message(), HasSubstr("no ascending list of sizes"));
  }
}

TEST_F(AotSizesTest, RefusesTooManyCombinations) {
  std::vector<int64_t> sizes(100);
  for (int64_t i = 0; i < 100; ++i)
    sizes[static_cast<size_t>(i)] = i + 1;
  Status status = refusal(*parse(kCache), {{"batch", sizes}, {"past", sizes}, {"seq", {1}}});
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_THAT(status.message(), HasSubstr("more than 4096 sets of sizes"));
}

TEST_F(AotSizesTest, NamesTheSizesThatDoNotFit) {
  auto module = parse(R"mlir(
    func.func @main(%x: tensor<?x4xf32, #nn.dims<"N", "">>) -> tensor<*xf32> {
      %shape = nn.constant dense<[-1, 8]> : tensor<2xi64>
      %y = nn.reshape %x, %shape {allowzero = false} : (tensor<?x4xf32, #nn.dims<"N", "">>, tensor<2xi64>) -> tensor<*xf32>
      return %y : tensor<*xf32>
    })mlir");
  ASSERT_TRUE(module);
  Status status = refusal(*module, {{"N", {2, 3}}});
  EXPECT_EQ(status.code(), StatusCode::InvalidInput) << status.message();
  EXPECT_THAT(status.message(), HasSubstr("N=3"));
  EXPECT_FALSE(std::filesystem::exists(path("both0.so")));
}

TEST_F(AotSizesTest, ExpressionsFollowFromListedSizes) {
  auto planned = planSizes(nn::findMain(*parse(kCache)),
                           std::vector<ListedSize>{{"batch", {2}}, {"past", {3}}, {"seq", {1, 4}}});
  ASSERT_TRUE(planned) << planned.status().message();
  ASSERT_EQ(planned->size(), 2u);
  EXPECT_EQ((*planned)[1].name, "batch=2, past=3, seq=4");
  EXPECT_THAT((*planned)[1].inputDims,
              ElementsAre(ElementsAre(2, 3, 4), ElementsAre(2, 4, 4), ElementsAre(7)));
}
