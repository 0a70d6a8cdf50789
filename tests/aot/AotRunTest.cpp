//===- AotRunTest.cpp - compiled models, loaded into this process ---------===//
#include "tests/aot/AotTest.h"
#include "tests/aot/LoadedModel.h"

#include <cstdlib>
#include <dlfcn.h>
#include <numeric>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <xmmintrin.h>

using namespace quern;
using namespace quern::native;

namespace {
class AotRunTest : public AotTest {
protected:
  void compileDigits(const std::string &cpu = "host") {
    Status status = compile(*digits(), "digits.so", "m", cpu);
    ASSERT_TRUE(status.isOk()) << status.message();
  }
};
} // namespace

TEST_F(AotRunTest, DescribesItself) {
  compileDigits();
  LoadedModel model(path("digits.so"));
  const quern_model_info *info = model.info();
  EXPECT_EQ(info->abi_version, QUERN_MODEL_ABI_VERSION);
  EXPECT_STREQ(info->precision, "f32");
  ASSERT_EQ(info->input_count, 1);
  ASSERT_EQ(info->output_count, 1);
  EXPECT_STREQ(info->inputs[0].name, "image");
  EXPECT_EQ(info->inputs[0].dtype, static_cast<int>(DType::Float32));
  EXPECT_EQ(std::vector<int64_t>(info->inputs[0].dims, info->inputs[0].dims + 4),
            (std::vector<int64_t>{1, 1, 8, 8}));
  EXPECT_EQ(info->inputs[0].rank, 4);
  EXPECT_EQ(info->inputs[0].bytes, 256);
  EXPECT_STREQ(info->outputs[0].name, "probabilities");
  EXPECT_EQ(info->outputs[0].rank, 2);
  EXPECT_EQ(info->outputs[0].bytes, 40);
  EXPECT_EQ(info->workspace_alignment, 64);
  EXPECT_STREQ(info->name, "digits");
}

// As in plans of the JIT: what is not written is not even read.
TEST_F(AotRunTest, ACacheIsUpdatedInItsPlace) {
  const long page = sysconf(_SC_PAGESIZE);
  const int64_t rows = 4 * page / 64;
  std::string cache = "tensor<" + std::to_string(rows) + "x16xf32>";
  auto module = parse("func.func @main(%row: tensor<1x16xf32>, %cache: " + cache +
                      ", %places: tensor<1x16xi64>) -> " + cache +
                      " {\n  %y = nn.scatter_elements none %cache, %places, %row {axis = 0 : i64} "
                      ": (" +
                      cache + ", tensor<1x16xi64>, tensor<1x16xf32>) -> " + cache +
                      "\n  return %y : " + cache + "\n}");
  ASSERT_TRUE(module);
  Status status = compile(*module, "cache.so", "m");
  ASSERT_TRUE(status.isOk()) << status.message();
  LoadedModel model(path("cache.so"));
  EXPECT_EQ(model.info()->outputs[0].updates, 1);
  EXPECT_EQ(model.info()->inputs[1].updates, -1);
  size_t bytes = 4 * static_cast<size_t>(page);
  auto *memory = static_cast<float *>(std::aligned_alloc(static_cast<size_t>(page), bytes));
  std::vector<float> row(16, 7.0f), apart(bytes / sizeof(float));
  std::vector<int64_t> places(16, 1);
  std::iota(memory, memory + apart.size(), 0.0f);
  const void *inputs[] = {row.data(), memory, places.data()};
  void *outputs[] = {apart.data()};
  ASSERT_EQ(model.run(inputs, outputs, model.workspace), QUERN_MODEL_OK);
  ASSERT_EQ(mprotect(reinterpret_cast<char *>(memory) + page, bytes - static_cast<size_t>(page),
                     PROT_NONE),
            0);
  outputs[0] = memory;
  EXPECT_EQ(model.run(inputs, outputs, model.workspace), QUERN_MODEL_OK);
  mprotect(memory, bytes, PROT_READ | PROT_WRITE);
  EXPECT_EQ(std::vector<float>(memory, memory + apart.size()), apart);
  EXPECT_EQ(apart[16], 7.0f);
  EXPECT_EQ(apart[32], 32.0f);
  std::free(memory);
}

TEST_F(AotRunTest, HasTheBitsOfTheJit) {
  compileDigits();
  LoadedModel model(path("digits.so"));
  EXPECT_EQ(model.cpuOk(), 1);
  std::vector<float> images = digitImages(), results(images.size() / kPixels * kClasses);
  for (size_t i = 0; i < images.size() / kPixels; ++i) {
    const void *inputs[] = {&images[i * kPixels]};
    void *outputs[] = {&results[i * kClasses]};
    ASSERT_EQ(model.run(inputs, outputs, model.workspace), QUERN_MODEL_OK);
  }
  EXPECT_EQ(results, jitProbabilities());
}

TEST_F(AotRunTest, RunsOnEveryX86) {
  compileDigits("baseline");
  LoadedModel model(path("digits.so"));
  EXPECT_STREQ(model.info()->target_cpu, "x86-64");
  EXPECT_EQ(model.cpuOk(), 1);
  std::vector<float> images = digitImages(), expected = jitProbabilities(), row(kClasses);
  const void *inputs[] = {images.data()};
  void *outputs[] = {row.data()};
  ASSERT_EQ(model.run(inputs, outputs, model.workspace), QUERN_MODEL_OK);
  for (int64_t i = 0; i < kClasses; ++i)
    EXPECT_NEAR(row[i], expected[i], 1e-5);
}

TEST_F(AotRunTest, ConvertsHalvesOnEveryX86) {
  // The functions of libgcc that LLVM would call may not exist where it is linked.
  for (std::string type : {"f16", "bf16"}) {
    std::string text = "func.func @main(%x: tensor<65536xHALF>) -> tensor<65536xHALF> {\n"
                       "  %y = nn.sqrt %x : (tensor<65536xHALF>) -> tensor<65536xHALF>\n"
                       "  return %y : tensor<65536xHALF>\n}";
    for (size_t at; (at = text.find("HALF")) != std::string::npos;)
      text.replace(at, 4, type);
    auto module = parse(text);
    ASSERT_TRUE(module);
    Status status = compile(*module, type + ".so", "m", "baseline");
    ASSERT_TRUE(status.isOk()) << status.message();
    LoadedModel model(path(type + ".so"));
    std::vector<uint16_t> x(65536), found(x.size());
    std::iota(x.begin(), x.end(), uint16_t{0});
    const void *inputs[] = {x.data()};
    void *outputs[] = {found.data()};
    ASSERT_EQ(model.run(inputs, outputs, model.workspace), QUERN_MODEL_OK);

    DType dtype = type == "f16" ? DType::Float16 : DType::BFloat16;
    std::vector<Tensor> tensors = {Tensor::borrow(dtype, {65536}, x.data())};
    for (const char *cpu : {"baseline", "host"}) {
      CompileOptions options;
      options.targetCpu = cpu;
      auto source = nn::copyModule(*parse(text));
      ASSERT_TRUE(source) << source.status().message();
      auto executable = compileForJit(source.take(), options);
      ASSERT_TRUE(executable) << executable.status().message();
      Session session(*executable);
      auto results = session.run(tensors);
      ASSERT_TRUE(results);
      const auto *wanted = static_cast<const uint16_t *>(results->front().rawData());
      EXPECT_TRUE(std::equal(found.begin(), found.end(), wanted)) << type << " " << cpu;
    }
  }
}

/// MXCSR as programs start with it.
constexpr unsigned kDefaultMode = 0x1f80, kExceptionFlags = 0x3f;

/// A parallel_for with a thread for each half; counts its calls.
static void inTwoThreads(void *context, int64_t tasks, int64_t grain, quern_task_fn task,
                         void *closure) {
  ++*static_cast<int *>(context);
  EXPECT_GT(tasks, grain);
  std::thread half([=] {
    // A mode of its own: new threads start with their creator's.
    _mm_setcsr(kDefaultMode);
    task(closure, 1, tasks / 2, tasks);
    EXPECT_EQ(_mm_getcsr() & ~kExceptionFlags, kDefaultMode);
  });
  task(closure, 0, 0, tasks / 2);
  half.join();
}

TEST_F(AotRunTest, LeavesDivisionToTheCaller) {
  // Large enough that a step is worth dividing.
  auto module = parse(R"(func.func @main(%x: tensor<512x4096xf32>) -> tensor<512x4096xf32> {
    %y = nn.add %x, %x : (tensor<512x4096xf32>, tensor<512x4096xf32>) -> tensor<512x4096xf32>
    return %y : tensor<512x4096xf32>
  })");
  ASSERT_TRUE(module);
  Status status = compile(*module, "sum.so", "m");
  ASSERT_TRUE(status.isOk()) << status.message();
  LoadedModel model(path("sum.so"));
  std::vector<float> x(512 * 4096), serial(x.size()), parallel(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(i % 1000) / 250 - 2;
  // Subnormal numbers count as zero in the caller's threads, too.
  x.front() = x.back() = 1e-40f;
  const void *inputs[] = {x.data()};
  void *first[] = {serial.data()}, *second[] = {parallel.data()};
  ASSERT_EQ(model.run(inputs, first, model.workspace), QUERN_MODEL_OK);
  int calls = 0;
  ASSERT_EQ(model.runParallel(inputs, second, model.workspace, inTwoThreads, &calls),
            QUERN_MODEL_OK);
  EXPECT_GT(calls, 0);
  EXPECT_EQ(serial, parallel);
  EXPECT_EQ(serial[1], 2 * x[1]);
  EXPECT_EQ(parallel.back(), 0.0f);
  std::fill(parallel.begin(), parallel.end(), 0);
  ASSERT_EQ(model.runParallel(inputs, second, model.workspace, nullptr, nullptr), QUERN_MODEL_OK);
  EXPECT_EQ(serial, parallel);
}

TEST_F(AotRunTest, NeedsNeitherInputsNorWorkspace) {
  auto module = parse(R"(func.func @main() -> tensor<3xf32> {
    %c = nn.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
    return %c : tensor<3xf32>
  })");
  ASSERT_TRUE(module);
  Status status = compile(*module, "constant.so", "m");
  ASSERT_TRUE(status.isOk()) << status.message();
  LoadedModel model(path("constant.so"));
  EXPECT_EQ(model.info()->input_count, 0);
  EXPECT_EQ(model.info()->workspace_bytes, 0);
  EXPECT_EQ(model.info()->worker_bytes, 0);
  std::vector<float> row(3);
  void *outputs[] = {row.data()};
  ASSERT_EQ(model.run(nullptr, outputs, nullptr), QUERN_MODEL_OK);
  EXPECT_EQ(row, (std::vector<float>{1, 2, 3}));
}

TEST_F(AotRunTest, RestoresTheFloatingPointMode) {
  compileDigits();
  LoadedModel model(path("digits.so"));
  std::vector<float> images = digitImages(), row(kClasses);
  const void *inputs[] = {images.data()};
  void *outputs[] = {row.data()};
  unsigned before = _mm_getcsr(), towardsZero = before | 0x6000;
  _mm_setcsr(towardsZero);
  int result = model.run(inputs, outputs, model.workspace);
  unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(result, QUERN_MODEL_OK);
  EXPECT_EQ(after, towardsZero);
  std::vector<float> expected = jitProbabilities();
  EXPECT_TRUE(std::equal(row.begin(), row.end(), expected.begin()))
      << "the caller's rounding mode had an effect";
}

TEST_F(AotRunTest, ChecksItsArguments) {
  compileDigits();
  LoadedModel model(path("digits.so"));
  std::vector<float> images = digitImages(), row(kClasses);
  const void *inputs[] = {images.data()}, *noInputs[] = {nullptr};
  void *outputs[] = {row.data()}, *noOutputs[] = {nullptr};
  EXPECT_EQ(model.run(nullptr, outputs, model.workspace), QUERN_MODEL_NULL_ARGUMENT);
  EXPECT_EQ(model.run(noInputs, outputs, model.workspace), QUERN_MODEL_NULL_ARGUMENT);
  EXPECT_EQ(model.run(inputs, nullptr, model.workspace), QUERN_MODEL_NULL_ARGUMENT);
  EXPECT_EQ(model.run(inputs, noOutputs, model.workspace), QUERN_MODEL_NULL_ARGUMENT);
  EXPECT_EQ(model.run(inputs, outputs, nullptr), QUERN_MODEL_NULL_ARGUMENT);
  EXPECT_EQ(model.run(inputs, outputs, static_cast<char *>(model.workspace) + 32),
            QUERN_MODEL_MISALIGNED_WORKSPACE);
}

TEST_F(AotRunTest, RefusesAnotherCpu) {
  // XOP exists on processors of one family only, and is no longer made.
  if (__builtin_cpu_supports("xop"))
    GTEST_SKIP() << "this is such a processor";
  compileDigits("bdver2");
  LoadedModel model(path("digits.so"));
  EXPECT_EQ(model.cpuOk(), 0);
  std::vector<float> images = digitImages(), row(kClasses, -1);
  const void *inputs[] = {images.data()};
  void *outputs[] = {row.data()};
  EXPECT_EQ(model.run(inputs, outputs, model.workspace), QUERN_MODEL_UNSUPPORTED_CPU);
  EXPECT_EQ(row, std::vector<float>(kClasses, -1));
}

TEST_F(AotRunTest, RefusesIndicesOutOfRange) {
  auto module = parse(R"(func.func @main(%i: tensor<3xi64>) -> tensor<3x2xf32> {
    %t = nn.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32>
    %r = nn.gather %t, %i {axis = 0} : (tensor<4x2xf32>, tensor<3xi64>) -> tensor<3x2xf32>
    return %r : tensor<3x2xf32>
  })");
  Status status = compile(*module, "gather.so", "m");
  ASSERT_TRUE(status.isOk()) << status.message();
  LoadedModel model(path("gather.so"));
  auto run = [&](std::vector<int64_t> indices, std::vector<float> &rows) {
    rows.assign(6, -1);
    const void *inputs[] = {indices.data()};
    void *outputs[] = {rows.data()};
    return model.run(inputs, outputs, model.workspace);
  };
  std::vector<float> rows;
  EXPECT_EQ(run({0, 4, 1}, rows), QUERN_MODEL_INDEX_OUT_OF_RANGE);
  EXPECT_EQ(run({0, 1, -5}, rows), QUERN_MODEL_INDEX_OUT_OF_RANGE);
  EXPECT_EQ(run({3, -4, 1}, rows), QUERN_MODEL_OK);
  EXPECT_EQ(rows, (std::vector<float>{7, 8, 1, 2, 3, 4}));
}

// A selection uses scratch memory; its places are where the scatter writes.
TEST_F(AotRunTest, SelectsAndScatters) {
  auto module = parse(R"(func.func @main(%x: tensor<2x5xf32>, %i: tensor<2x1xi64>)
      -> (tensor<2x5xf32>, tensor<2x3xi64>) {
    %k = nn.constant dense<3> : tensor<1xi64>
    %v, %p = nn.topk %x, %k {axis = 1, largest = true} : (tensor<2x5xf32>, tensor<1xi64>)
        -> (tensor<2x3xf32>, tensor<2x3xi64>)
    %n = nn.neg %x : (tensor<2x5xf32>) -> tensor<2x5xf32>
    %s = nn.scatter_elements none %n, %p, %v {axis = 1} : (tensor<2x5xf32>, tensor<2x3xi64>,
        tensor<2x3xf32>) -> tensor<2x5xf32>
    %u = nn.gather_elements %x, %i {axis = 1} : (tensor<2x5xf32>, tensor<2x1xi64>)
        -> tensor<2x1xf32>
    %r = nn.scatter_elements add %s, %i, %u {axis = 1} : (tensor<2x5xf32>, tensor<2x1xi64>,
        tensor<2x1xf32>) -> tensor<2x5xf32>
    return %r, %p : tensor<2x5xf32>, tensor<2x3xi64>
  })");
  Status status = compile(*module, "select.so", "m");
  ASSERT_TRUE(status.isOk()) << status.message();
  LoadedModel model(path("select.so"));
  std::vector<float> x = {1, 5, 2, 5, 3, -1, -2, -3, -4, -5}, sums(10);
  std::vector<int64_t> places(6);
  auto run = [&](std::vector<int64_t> indices) {
    const void *inputs[] = {x.data(), indices.data()};
    void *outputs[] = {sums.data(), places.data()};
    return model.run(inputs, outputs, model.workspace);
  };
  EXPECT_EQ(run({0, 5}), QUERN_MODEL_INDEX_OUT_OF_RANGE);
  ASSERT_EQ(run({2, -1}), QUERN_MODEL_OK);
  EXPECT_EQ(places, (std::vector<int64_t>{1, 3, 4, 0, 1, 2}));
  EXPECT_EQ(sums, (std::vector<float>{-1, 5, 0, 5, 3, -1, -2, -3, 4, 0}));
}
