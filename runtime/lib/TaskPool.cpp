//===- TaskPool.cpp - the threads of a session ----------------------------===//
#include "runtime/lib/TaskPool.h"

#include "runtime/lib/CpuCount.h"
#include "runtime/lib/FloatEnvironment.h"

#include <algorithm>
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

using namespace quern;

struct TaskPool::Implementation {
  explicit Implementation(int threads) : arena(threads) {}
  tbb::task_arena arena;
};

TaskPool::TaskPool(int threads, bool flushSubnormals)
    : threadCount(std::min(threads > 0 ? threads : availableCpus(), affinityCpus())),
      flushSubnormals(flushSubnormals) {
  implementation = std::make_unique<Implementation>(threadCount);
}

TaskPool::~TaskPool() = default;
TaskPool::TaskPool(TaskPool &&) noexcept = default;
TaskPool &TaskPool::operator=(TaskPool &&) noexcept = default;

void TaskPool::enterArena(void (*work)(void *), void *context) {
  if (threadCount == 1)
    return work(context);
  implementation->arena.execute([&] { work(context); });
}

void TaskPool::runChunks(int64_t tasks, int64_t grain, void (*body)(void *, int64_t, int64_t),
                         void *context) {
  if (tasks <= 0)
    return;
  grain = std::clamp<int64_t>(grain, 1, tasks);
  int64_t chunks = (tasks - 1) / grain + 1;
  auto runRange = [&](int64_t first, int64_t last) {
    FloatEnvironment environment(flushSubnormals);
    for (int64_t chunk = first; chunk < last; ++chunk)
      body(context, chunk * grain, chunk + 1 == chunks ? tasks : (chunk + 1) * grain);
  };
  if (threadCount == 1 || chunks == 1)
    return runRange(0, chunks);
  implementation->arena.execute([&] {
    tbb::parallel_for(tbb::blocked_range<int64_t>(0, chunks),
                      [&](const auto &range) { runRange(range.begin(), range.end()); });
  });
}
