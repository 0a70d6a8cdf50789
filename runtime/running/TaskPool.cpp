//===- TaskPool.cpp - the threads of a session ----------------------------===//
#include "runtime/running/TaskPool.h"

#include "runtime/running/FloatEnvironment.h"
#include "runtime/running/TaskEdges.h"
#include "runtime/running/TaskTeam.h"
#include "runtime/system/CpuCount.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <vector>

using namespace quern;

struct TaskPool::Implementation {
  Implementation(int threads, bool flushSubnormals);
  ~Implementation();
  int threads;
  std::unique_ptr<tbb::task_arena> arena;
  TaskTeam team;
};

namespace {
/// Arenas that nobody uses, by their number of threads: oneTBB holds some KiB for every arena
/// that work was done in, also when it is gone. Never destroyed: threads may outlive statics.
struct IdleArenas {
  std::mutex mutex;
  std::map<int, std::vector<std::unique_ptr<tbb::task_arena>>> byThreads;
};
} // namespace

static IdleArenas &idleArenas() {
  static auto *idle = new IdleArenas;
  return *idle;
}

static std::unique_ptr<tbb::task_arena> takeArena(int threads) {
  IdleArenas &idle = idleArenas();
  std::lock_guard lock(idle.mutex);
  auto &arenas = idle.byThreads[threads];
  if (arenas.empty())
    return std::make_unique<tbb::task_arena>(threads);
  std::unique_ptr<tbb::task_arena> arena = std::move(arenas.back());
  arenas.pop_back();
  return arena;
}

static void giveBack(int threads, std::unique_ptr<tbb::task_arena> arena) {
  IdleArenas &idle = idleArenas();
  std::lock_guard lock(idle.mutex);
  idle.byThreads[threads].push_back(std::move(arena));
}

TaskPool::Implementation::Implementation(int threads, bool flushSubnormals)
    : threads(threads), arena(takeArena(threads)), team(threads, flushSubnormals) {}
TaskPool::Implementation::~Implementation() { giveBack(threads, std::move(arena)); }

TaskPool::TaskPool(int threads, bool flushSubnormals)
    : threadCount(std::min(threads > 0 ? threads : availableCpus(), affinityCpus())),
      flushSubnormals(flushSubnormals) {
  implementation = std::make_unique<Implementation>(threadCount, flushSubnormals);
}

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
  executeIn(*implementation->arena, [&] {
    bool leads = implementation->team.lead();
    work(context);
    if (leads)
      implementation->team.leave();
  });
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
  auto runOne = [&](int64_t chunk) { runRange(chunk, chunk + 1); };
  if (implementation->team.run(
          {chunks, [](void *f, int64_t chunk) { (*static_cast<decltype(runOne) *>(f))(chunk); },
           &runOne}))
    return;
  executeIn(*implementation->arena, [&] {
    beginTasks();
    tbb::parallel_for(tbb::blocked_range<int64_t>(0, chunks), [&](const auto &range) {
      enterTask();
      runRange(range.begin(), range.end());
      leaveTask();
    });
    endTasks();
  });
}
