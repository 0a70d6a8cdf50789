//===- ThreadTest.cpp - the library in many threads -----------------------===//
#include "Models.h"
#include "quern/OnnxFile.h"

#include <atomic>
#include <filesystem>
#include <thread>

using namespace quern;
using namespace quern::test;
namespace fs = std::filesystem;

namespace {
constexpr int kThreads = 8;

/// Calls `work` with 0, 1, ... in as many threads, at once.
template <typename Work> void inThreads(const Work &work) {
  std::atomic<int> ready = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      for (++ready; ready < kThreads;)
        std::this_thread::yield();
      work(i);
    });
  for (std::thread &thread : threads)
    thread.join();
}

/// Loads, compiles and runs one of ONNX's test cases of float32 tensors.
Status runCase(const fs::path &folder, Backend backend) {
  QUERN_ASSIGN(Model model, Model::load(folder / "model.onnx"));
  fs::path data = folder / "test_data_set_0";
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < model.inputs().size(); ++i) {
    QUERN_ASSIGN(Tensor input, readTensorFile(data / ("input_" + std::to_string(i) + ".pb")));
    inputs.push_back(input);
  }
  QUERN_ASSIGN(Tensor wanted, readTensorFile(data / "output_0.pb"));
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled,
               model.compile({.backend = backend, .threads = 2}));
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, compiled->createRunner({.threads = 2}));
  QUERN_ASSIGN(std::vector<Tensor> outputs, runner->run(inputs));
  return isClose(outputs[0], wanted)
             ? Status::ok()
             : Status(StatusCode::AccuracyMismatch, folder.string() + " gives something else");
}
} // namespace

TEST(ThreadTest, LoadCompileAndRunDifferentModels) {
  const fs::path tests = "/usr/share/libonnx-testdata/data/node";
  if (!fs::exists(tests))
    GTEST_SKIP() << tests << " is not there";
  const char *cases[kThreads] = {"test_basic_conv_with_padding",
                                 "test_gemm_all_attributes",
                                 "test_matmul_3d",
                                 "test_averagepool_2d_pads",
                                 "test_reduce_mean_do_not_keepdims_random",
                                 "test_softmax_axis_1",
                                 "test_transpose_all_permutations_3",
                                 "test_batchnorm_epsilon"};
  Status found[kThreads];
  inThreads([&](int i) {
    for (int round = 0; round < 4 && found[i].isOk(); ++round)
      found[i] = runCase(tests / cases[(i + round) % kThreads],
                         round % 2 ? Backend::Interpreter : Backend::Native);
  });
  for (const Status &status : found)
    EXPECT_TRUE(status.isOk()) << status.message();
}

TEST(ThreadTest, OneCompiledModelRunsInMany) {
  Model model = expectValue(Model::load(kDigits));
  for (Backend backend : {Backend::Native, Backend::Interpreter}) {
    std::shared_ptr<const CompiledModel> compiled =
        expectValue(model.compile({.backend = backend, .threads = 1}));
    auto alone = expectValue(compiled->createRunner({.threads = 1}));
    std::vector<Tensor> wanted;
    for (int64_t count = 1; count <= 6; ++count)
      wanted.push_back(expectValue(alone->run(images(count)))[0]);
    std::atomic<int> wrong = 0;
    inThreads([&](int i) {
      auto runner = compiled->createRunner({.threads = 1});
      for (size_t k = 0; k < wanted.size(); ++k) {
        size_t which = (k + static_cast<size_t>(i)) % wanted.size();
        auto outputs = (*runner)->run(images(static_cast<int64_t>(which) + 1));
        wrong += !outputs || !sameBits((*outputs)[0], wanted[which]);
      }
    });
    EXPECT_EQ(wrong, 0);
  }
}

// Each compiled model has a context of its own to plan in, and so have those who go on
// using the model.
TEST(ThreadTest, OneModelIsUsedByMany) {
  Model model = expectValue(Model::load(kDigits));
  std::atomic<int> wrong = 0;
  inThreads([&](int i) {
    if (i % 4 == 3) {
      wrong += !model.explainPlan({.threads = 1}, std::vector<Tensor::Dims>{{20 + i, 1, 8, 8}});
      return;
    }
    auto compiled =
        model.compile({.backend = i % 4 ? Backend::Native : Backend::Interpreter, .threads = 1});
    auto runner = (*compiled)->createRunner({.threads = 1});
    for (int64_t count = 1; count <= 4; ++count) {
      auto outputs = (*runner)->run(images(count));
      wrong += !outputs || (*outputs)[0].dims() != Tensor::Dims{count, 10};
    }
  });
  EXPECT_EQ(wrong, 0);
}
