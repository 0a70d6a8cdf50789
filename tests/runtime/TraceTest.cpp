//===- TraceTest.cpp - what threads do, recorded --------------------------===//
#include "runtime/running/ParallelTasks.h"
#include "runtime/running/Session.h"
#include "runtime/running/TraceScope.h"
#include "tests/runtime/PlanBuilder.h"

#include <gtest/gtest.h>
#include <map>

using namespace quern;
using namespace quern::test;

namespace {
/// Runs y = x + 1 + 10 over 64 floats in tasks of 16.
void runOnce(int threads) {
  PortShape shape({64});
  auto executable = std::make_shared<Executable>(
      std::vector<PortSignature>{{"x", DType::Float32, shape}},
      std::vector<PortSignature>{{"y", DType::Float32, shape}},
      [](std::span<const Tensor::Dims>, const Deadline &) -> Expected<std::shared_ptr<const Plan>> {
        return std::shared_ptr<const Plan>(addElevenPlan(64, 16));
      });
  Session session(executable, {.threads = threads});
  std::vector<AnyValue> inputs = {Tensor::allocate(DType::Float32, {64}).take()}, outputs(1);
  ASSERT_TRUE(session.run(inputs, outputs).isOk());
}
} // namespace

TEST(Trace, StepsAndTasksLieInTheirRun) {
  TraceRecorder recorder = TraceRecorder::begin().take();
  runOnce(2);
  Trace trace = recorder.end();
  EXPECT_EQ(trace.omitted, 0);
  std::map<std::string_view, std::vector<TraceSpan>> spans;
  for (const TraceSpan &span : trace.spans)
    spans[span.category].push_back(span);
  ASSERT_EQ(spans["run"].size(), 1u);
  ASSERT_EQ(spans["step"].size(), 2u);
  EXPECT_EQ(spans["step"][0].nodes, "one");
  EXPECT_EQ(spans["step"][1].nodes, "ten");
  EXPECT_EQ(spans["step"][1].name, "kernel");
  const TraceSpan &run = spans["run"][0];
  EXPECT_LE(spans["step"][0].end, spans["step"][1].begin);
  for (const TraceSpan &step : spans["step"]) {
    EXPECT_LE(run.begin, step.begin);
    EXPECT_LE(step.end, run.end);
    int64_t tasks = 0;
    for (const TraceSpan &part : spans["tasks"])
      if (step.begin <= part.begin && part.end <= step.end)
        tasks += part.endTask - part.firstTask;
    EXPECT_EQ(tasks, 64) << step.nodes;
  }
}

TEST(Trace, OneAtATimeAndNothingAfterwards) {
  {
    TraceRecorder recorder = TraceRecorder::begin().take();
    Expected<TraceRecorder> second = TraceRecorder::begin();
    ASSERT_FALSE(second);
    EXPECT_EQ(second.status().code(), StatusCode::Usage);
    TraceScope open("run", "ends after its recording");
    recorder.end();
    TraceScope later([]() -> TraceSpan { throw "nobody records"; });
  }
  TraceRecorder next = TraceRecorder::begin().take();
  EXPECT_TRUE(next.end().spans.empty());
  EXPECT_TRUE(next.end().spans.empty());
}

TEST(Trace, ThreadsAreNumbered) {
  TraceRecorder recorder = TraceRecorder::begin().take();
  {
    TraceScope mine("run", "mine");
  }
  std::thread([] { TraceScope other("run", "other"); }).join();
  Trace trace = recorder.end();
  ASSERT_EQ(trace.spans.size(), 2u);
  EXPECT_EQ(trace.spans[0].thread, 0);
  EXPECT_EQ(trace.spans[0].name, "mine");
  EXPECT_EQ(trace.spans[1].thread, 1);
}

TEST(Trace, ManyThreadsWhileRecordingsComeAndGo) {
  std::atomic<bool> ends = false;
  std::thread recording([&] {
    for (int i = 0; i < 50; ++i) {
      TraceRecorder recorder = TraceRecorder::begin().take();
      for (const TraceSpan &span : recorder.end().spans)
        EXPECT_LE(span.begin, span.end);
    }
    ends = true;
  });
  do
    ASSERT_TRUE(runParallelTasks(64, 4, [](size_t) {
                  TraceScope span("compile", "a task");
                  return Status::ok();
                }).isOk());
  while (!ends);
  recording.join();
}
