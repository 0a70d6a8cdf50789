//===- ModelTest.cpp - models as the verbs use them -----------------------===//
#include "tools/quern/Model.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

using namespace quern;
using namespace quern::cli;

namespace {
Expected<Model> loadDigits() {
  return Model::load(QUERN_SOURCE_DIR "/examples/digits/digits.onnx", {});
}

std::vector<Tensor> images(int64_t count) {
  Tensor tensor = Tensor::allocate(DType::Float32, {count, 1, 8, 8}).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = static_cast<float>(i % 17) / 17;
  return {tensor};
}

std::unique_ptr<Runner> prepare(const Model &model, const std::string &backend) {
  BackendOptions options;
  options.backend = backend;
  options.threads = 1;
  auto runner = model.prepare(options, images(1));
  EXPECT_TRUE(runner) << runner.status().message();
  return runner ? runner.take() : nullptr;
}

/// Runs with 1 to 12 images; every new count is planned. Gives the wrong results.
int countWrong(Runner &runner) {
  int wrong = 0;
  for (int64_t count = 1; count <= 12; ++count) {
    std::vector<Tensor> outputs;
    Status status = runner.run(images(count), outputs);
    wrong += !status.isOk() || outputs[0].dims() != Tensor::Dims{count, 10};
  }
  return wrong;
}
} // namespace

// Each has a context of its own to plan in, and so have those who go on using the model.
TEST(ModelTest, RunnersOfOneModelPlanSideBySide) {
  auto model = loadDigits();
  ASSERT_TRUE(model) << model.status().message();
  std::vector<std::unique_ptr<Runner>> runners;
  for (int i = 0; i < 3; ++i)
    runners.push_back(prepare(*model, "native"));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (auto &runner : runners)
    threads.emplace_back([&wrong, &runner] { wrong += countWrong(*runner); });
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(model->planSteps({}, std::vector<Tensor::Dims>{{20 + i, 1, 8, 8}}));
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ModelTest, RunnersOutliveTheModel) {
  auto model = loadDigits();
  ASSERT_TRUE(model) << model.status().message();
  auto native = prepare(*model, "native"), interpreted = prepare(*model, "interpreter");
  model = Status(StatusCode::Cancelled, "gone");
  EXPECT_EQ(countWrong(*native), 0);
  EXPECT_EQ(countWrong(*interpreted), 0);
}
