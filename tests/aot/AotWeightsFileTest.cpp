//===- AotWeightsFileTest.cpp - weights in a file beside the code ---------===//
#include "backends/native/aot/AotPlanCode.h"
#include "backends/native/aot/WeightsFileHeader.h"
#include "backends/native/codegen/Jit.h"
#include "tests/aot/BothWays.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/mman.h>

using namespace quern;
using namespace quern::native;
using testing::HasSubstr;

namespace {
class AotWeightsFileTest : public AotTest {
protected:
  void compileDigits(const std::string &name, AotOptions options = {}) {
    options.outputPath = path(name);
    options.headerPath = path("digits.h");
    options.prefix = "m";
    options.weightsInFile = true;
    Status status = compileToArtifact(*digits(), options);
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  int run(LoadedModel &model) {
    static const std::vector<float> images = digitImages();
    row.assign(kClasses, -1);
    const void *inputs[] = {images.data()};
    void *outputs[] = {row.data()};
    return model.run(inputs, outputs, model.workspace);
  }
  bool isRight() {
    std::vector<float> wanted = jitProbabilities();
    return std::equal(row.begin(), row.end(), wanted.begin());
  }
  std::vector<float> row;
};
} // namespace

TEST_F(AotWeightsFileTest, HasTheBitsOfTheJit) {
  compileDigits("digits.so");
  LoadedModel model(path("digits.so"));
  EXPECT_EQ(run(model), QUERN_MODEL_NO_WEIGHTS);
  EXPECT_EQ(row, std::vector<float>(kClasses, -1));
  FileInMemory weights(path("digits.weights"));
  EXPECT_EQ(model.info()->weights_bytes, weights.size);
  ASSERT_EQ(model.useWeights(weights.bytes, weights.size), QUERN_MODEL_OK);
  ASSERT_EQ(run(model), QUERN_MODEL_OK);
  EXPECT_TRUE(isRight());
}

TEST_F(AotWeightsFileTest, RefusesAllOtherFiles) {
  compileDigits("digits.so");
  LoadedModel model(path("digits.so"));
  FileInMemory weights(path("digits.weights"));
  EXPECT_EQ(model.useWeights(nullptr, weights.size), QUERN_MODEL_NULL_ARGUMENT);
  EXPECT_EQ(model.useWeights(weights.bytes, weights.size - 1), QUERN_MODEL_WRONG_WEIGHTS);
  EXPECT_EQ(model.useWeights(weights.bytes + 32, weights.size), QUERN_MODEL_WRONG_WEIGHTS);
  // Every word of the header in use, and of the weights the first, some and the last.
  std::vector<int64_t> places = {0, 8, 16, 24, 64, 65, weights.size - 1};
  for (int64_t i = 64; i < weights.size; i += 997)
    places.push_back(i);
  for (int64_t place : places)
    for (int bit : {0, 7}) {
      weights.bytes[place] ^= static_cast<char>(1 << bit);
      EXPECT_EQ(model.useWeights(weights.bytes, weights.size), QUERN_MODEL_WRONG_WEIGHTS) << place;
      weights.bytes[place] ^= static_cast<char>(1 << bit);
    }
  EXPECT_EQ(run(model), QUERN_MODEL_NO_WEIGHTS);
  ASSERT_EQ(model.useWeights(weights.bytes, weights.size), QUERN_MODEL_OK);
  // What is refused changes nothing, and another copy is as good.
  EXPECT_EQ(model.useWeights(weights.bytes, 64), QUERN_MODEL_WRONG_WEIGHTS);
  EXPECT_EQ(run(model), QUERN_MODEL_OK);
  FileInMemory copy(path("digits.weights"));
  EXPECT_EQ(model.useWeights(copy.bytes, copy.size), QUERN_MODEL_OK);
  std::memset(weights.bytes, 0, static_cast<size_t>(weights.size));
  EXPECT_EQ(run(model), QUERN_MODEL_OK);
  EXPECT_TRUE(isRight());
}

TEST_F(AotWeightsFileTest, SeveralCpusShareOne) {
  AotOptions options;
  options.targetCpus = {"x86-64-v2", "x86-64-v3"};
  compileDigits("digits.so", options);
  FileInMemory weights(path("digits.weights"));
  EXPECT_GT(weights.size, 2 * 100'000);
  LoadedModel model(path("digits.so"));
  EXPECT_EQ(run(model), QUERN_MODEL_NO_WEIGHTS);
  ASSERT_EQ(model.useWeights(weights.bytes, weights.size), QUERN_MODEL_OK);
  EXPECT_EQ(run(model), QUERN_MODEL_OK);
  std::vector<float> wanted = jitProbabilities();
  for (int64_t i = 0; i < kClasses; ++i)
    EXPECT_NEAR(row[i], wanted[i], 1e-5);
}

TEST_F(AotWeightsFileTest, IsForAllPlans) {
  if (archiveTrouble())
    GTEST_SKIP() << archiveTrouble();
  // Weights in the body of a loop, and operands of a reference kernel.
  AotOptions options;
  options.weightsInFile = true;
  options.runtimeArchive = QUERN_RUNTIME_ARCHIVE;
  auto module = parse(R"mlir(
  func.func @main(%x: tensor<2x3xf32>, %n: tensor<i64>, %w: tensor<2x6xi32>)
      -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %go = nn.constant dense<true> : tensor<i1>
    %y = nn.loop %n, %go, %x {
    ^bb0(%i: tensor<i64>, %c: tensor<i1>, %a: tensor<2x3xf32>):
      %k = nn.constant dense<[[1.0, 2.0, 0.5], [0.25, -1.0, 3.0], [0.0, 1.5, -2.0]]> : tensor<3x3xf32>
      %p = nn.matmul %a, %k : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
      nn.yield %c, %p : tensor<i1>, tensor<2x3xf32>
    } : (tensor<i64>, tensor<i1>, tensor<2x3xf32>) -> tensor<2x3xf32>
    %pool = nn.constant dense<[1, 2, 3]> : tensor<3xi64>
    %t = nn.tf_idf %w, %pool {mode = "TFIDF", min_gram_length = 1 : i64, max_gram_length = 2 : i64,
      max_skip_count = 1 : i64, ngram_counts = array<i64: 0, 1>, ngram_indexes = array<i64: 0, 2>,
      weights = array<f64: 0.5, 2.0>} : (tensor<2x6xi32>, tensor<3xi64>) -> tensor<2x3xf32>
    return %y, %t : tensor<2x3xf32>, tensor<2x3xf32>
  })mlir");
  ASSERT_TRUE(module);
  auto both = BothWays::compile(*module, folder, options);
  ASSERT_TRUE(both) << both.status().message();
  EXPECT_EQ(both->difference({Tensor::of<float>({2, 3}, {1, 2, 3, -1, 0, 0.5}),
                              Tensor::of<int64_t>({}, {3}),
                              Tensor::of<int32_t>({2, 6}, {1, 2, 3, 2, 2, 1, 3, 3, 2, 5, 3, 1})}),
            "");
}

// Those of 16 bits take 16 bits, and are widened by the same code.
TEST_F(AotWeightsFileTest, KeepsHalfWeights) {
  constexpr int64_t kDepth = 96, kColumns = 64;
  for (const std::string half : {"f16", "bf16"}) {
    std::string bits = "0x", type = fmt::format("tensor<{}x{}x{}>", kDepth, kColumns, half);
    for (int64_t i = 0; i < kDepth * kColumns; ++i)
      bits += fmt::format("{:02X}{:02X}", i * 37 % 256, 0x38 + i % 5 + (i % 2 ? 0x80 : 0));
    auto module = parse(fmt::format(R"mlir(
  func.func @main(%x: tensor<3x{0}xf32>) -> tensor<3x{1}xf32> {{
    %w = nn.constant dense<"{2}"> : {3}
    %wide = nn.cast %w {{to = f32}} : ({3}) -> tensor<{0}x{1}xf32>
    %y = nn.matmul %x, %wide : (tensor<3x{0}xf32>, tensor<{0}x{1}xf32>) -> tensor<3x{1}xf32>
    return %y : tensor<3x{1}xf32>
  }})mlir",
                                    kDepth, kColumns, bits, type));
    ASSERT_TRUE(module);
    AotOptions options;
    options.weightsInFile = true;
    auto both = BothWays::compile(*module, folder, options);
    ASSERT_TRUE(both) << both.status().message();
    std::vector<float> x(3 * kDepth);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = std::sin(static_cast<float>(i));
    EXPECT_EQ(both->difference({Tensor::of<float>({3, kDepth}, x)}), "");
    EXPECT_LT(both->info().weights_bytes, kDepth * kColumns * 3);
  }
}

TEST_F(AotWeightsFileTest, AModelWithoutWeightsNeedsNone) {
  auto module = parse("func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {\n"
                      "  %y = nn.relu %x : (tensor<3xf32>) -> tensor<3xf32>\n"
                      "  return %y : tensor<3xf32>\n}");
  AotOptions options;
  options.outputPath = path("relu.so");
  options.prefix = "m";
  options.weightsInFile = true;
  Status status = compileToArtifact(*module, options);
  ASSERT_TRUE(status.isOk()) << status.message();
  LoadedModel model(path("relu.so"));
  float x[] = {-1, 0, 2}, y[3];
  const void *inputs[] = {x};
  void *outputs[] = {y};
  EXPECT_EQ(model.run(inputs, outputs, model.workspace), QUERN_MODEL_OK);
  FileInMemory weights(path("relu.weights"));
  EXPECT_EQ(weights.size, 64);
  EXPECT_EQ(model.useWeights(weights.bytes, weights.size), QUERN_MODEL_OK);
}

//===----------------------------------------------------------------------===//
// More than code can address within a program
//===----------------------------------------------------------------------===//

namespace {
/// Memory that is never written to takes none.
class ZeroMemory {
public:
  explicit ZeroMemory(size_t bytes)
      : bytes(bytes),
        data(static_cast<char *>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    EXPECT_NE(data, MAP_FAILED);
    madvise(data, bytes, MADV_HUGEPAGE); // fewer faults
  }
  ZeroMemory(const ZeroMemory &) = delete;
  ~ZeroMemory() { munmap(data, bytes); }

  const size_t bytes;
  char *const data;
};

/// y = x + w, for one number.
ObjectCode emitSum(const Target &target) {
  KernelBuilder kb(target, "sum");
  auto number = [&](unsigned buffer) { return kb.load(kb.buffer(buffer), DType::Float32, 0); };
  mlir::Value sum =
      kb.builder().create<mlir::arith::AddFOp>(kb.loc(), number(0), number(1)).getResult();
  kb.store(sum, kb.buffer(2), DType::Float32, 0);
  auto object = compileKernel(kb.finish(), target);
  EXPECT_TRUE(object) << object.status().message();
  return object.take();
}
} // namespace

TEST(AotWeightsFile, CodeReachesWhatLiesFarBehind) {
  constexpr int64_t kFar = (int64_t{5} << 29) + 4096; // 2.5 GiB
  ZeroMemory zeros(kFar);
  float last = 40;
  std::vector<Tensor> tensors = {Tensor::borrow(DType::UInt8, {kFar}, zeros.data),
                                 Tensor::borrow(DType::Float32, {1}, &last)};
  auto refused = layOutWeights(tensors);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.status().code(), StatusCode::Unsupported);
  EXPECT_THAT(refused.status().message(), HasSubstr("--weights=file"));
  auto layout = layOutWeights(tensors, /*inFile=*/true);
  ASSERT_TRUE(layout) << layout.status().message();
  ASSERT_EQ(layout->offsetOf(tensors[1]), kFar);

  Plan plan;
  plan.inputs = {{.name = "x", .dtype = DType::Float32, .dims = {1}}};
  plan.outputs = {{.name = "y", .dtype = DType::Float32, .dims = {1}}};
  plan.weights = tensors;
  KernelStep step;
  step.buffers = {{BufferRef::Space::Input, 0, 0},
                  {BufferRef::Space::Weights, 1, 0},
                  {BufferRef::Space::Output, 0, 0}};
  step.tasks = step.grain = 1;
  plan.steps.push_back({std::move(step), "sum", "sum"});
  Target target = resolveTarget("host").take();
  AotModel model{{{&plan, {"sum"}}}, {.name = "far"}, *layout, "m", target, {}};
  const WeightLayout *layouts[] = {&model.weights};
  model.inFile = placeInFile(layouts).front();
  auto code = compilePlanCode(model);
  ASSERT_TRUE(code) << code.status().message();
  std::shared_ptr<Jit> jit = Jit::create(target).take();
  ASSERT_TRUE(jit->addObject(emitSum(target)).isOk());
  ASSERT_TRUE(jit->addObject(*code).isOk());

  // The file in memory, as it would be mapped.
  ZeroMemory file(static_cast<size_t>(model.inFile->fileBytes));
  WeightsFileHeader header = {WeightsFileHeader::kMagic,
                              WeightsFileHeader::kVersion,
                              static_cast<uint64_t>(model.inFile->fileBytes),
                              model.inFile->fileHash,
                              {}};
  std::memcpy(file.data, &header, sizeof header);
  std::memcpy(file.data + 64 + kFar, &last, sizeof last);
  auto find = [&](const char *name) { return reinterpret_cast<void *>(jit->lookup(name).take()); };
  auto use = reinterpret_cast<int (*)(const void *, int64_t)>(find("m_use_weights"));
  auto run = reinterpret_cast<int (*)(const void *const *, void *const *, void *)>(find("m_run"));
  ASSERT_EQ(use(file.data, model.inFile->fileBytes), QUERN_MODEL_OK);
  float x = 2, y = 0;
  const void *inputs[] = {&x};
  void *outputs[] = {&y};
  ASSERT_EQ(run(inputs, outputs, nullptr), QUERN_MODEL_OK);
  EXPECT_EQ(y, 42);
}
