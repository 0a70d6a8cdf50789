//===- TaskPool.cpp - the threads of a session ----------------------------===//
#include "runtime/lib/TaskPool.h"

#include "runtime/lib/CpuCount.h"
#include "runtime/lib/FloatEnvironment.h"

#include <algorithm>
#include <atomic>
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

#if __has_feature(thread_sanitizer)
// Tasks start after what their caller did, and the caller goes on after their end.
// oneTBB sees to it, in a library that is not instrumented; this shows it to
// ThreadSanitizer. In static memory, which needs no handing over itself.
static std::atomic<int64_t> begun, ended;
static void beginTasks() { begun.fetch_add(1, std::memory_order_release); }
static void enterTask() { (void)begun.load(std::memory_order_acquire); }
static void leaveTask() { ended.fetch_add(1, std::memory_order_release); }
static void endTasks() { (void)ended.load(std::memory_order_acquire); }
#else
static void beginTasks() {}
static void enterTask() {}
static void leaveTask() {}
static void endTasks() {}
#endif

/// Calls `work` inside `arena`, perhaps in another thread when the arena is full.
template <typename Work> static void executeIn(tbb::task_arena &arena, const Work &work) {
  beginTasks();
  arena.execute([&] {
    enterTask();
    work();
    leaveTask();
  });
  endTasks();
}

TaskPool::~TaskPool() = default;
TaskPool::TaskPool(TaskPool &&) noexcept = default;
TaskPool &TaskPool::operator=(TaskPool &&) noexcept = default;

int TaskPool::currentWorker() const {
  // With one thread no arena is entered, and the caller may be in one of its own.
  return threadCount == 1 ? 0 : tbb::this_task_arena::current_thread_index();
}

void TaskPool::enterArena(void (*work)(void *), void *context) {
  if (threadCount == 1)
    return work(context);
  executeIn(implementation->arena, [&] { work(context); });
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
  executeIn(implementation->arena, [&] {
    beginTasks();
    tbb::parallel_for(tbb::blocked_range<int64_t>(0, chunks), [&](const auto &range) {
      enterTask();
      runRange(range.begin(), range.end());
      leaveTask();
    });
    endTasks();
  });
}
