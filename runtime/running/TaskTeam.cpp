//===- TaskTeam.cpp - workers that stay from step to step -----------------===//
#include "runtime/running/TaskTeam.h"

#include "runtime/running/FloatEnvironment.h"

#include <algorithm>
#include <chrono>
#include <oneapi/tbb/task_arena.h>

using namespace quern;

namespace {
/// Waits for what another thread is about to do: at first without the kernel, which takes longer
/// than most waits last, then after all that has something to do on this CPU.
class Wait {
public:
  void once() {
    if (++rounds > kSpins)
      return std::this_thread::yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#endif
  }
  /// Whether the processor was offered to others already.
  bool isLong() const { return rounds > kSpins; }

private:
  static constexpr int kSpins = 256;
  int rounds = 0;
};
} // namespace

TaskTeam::TaskTeam(int size, bool flushSubnormals)
    : size(size), flushSubnormals(flushSubnormals), parts(std::make_unique<Part[]>(size)) {}

TaskTeam::~TaskTeam() = default;

bool TaskTeam::lead() {
  std::thread::id nobody;
  return leader.compare_exchange_strong(nobody, std::this_thread::get_id());
}

void TaskTeam::leave() {
  if (hasCalled) {
    ends.store(true);
    // Who has not come yet comes and goes at once, perhaps in this thread.
    tasks.wait();
    endTasks();
    ends.store(false);
    hasCalled = false;
  }
  leader.store(std::thread::id());
}

void TaskTeam::callWorkers(int64_t wanted) {
  while (called.load(std::memory_order_relaxed) < wanted) {
    called.fetch_add(1);
    hasCalled = true;
    beginTasks();
    tasks.run([this] {
      enterTask();
      serve();
      called.fetch_sub(1);
      leaveTask();
    });
  }
}

/// Waits until chunks of a step after `lastStep` may be taken: not for long, for the leader may
/// have much to do alone, and workers are shared with other sessions.
bool TaskTeam::awaitStep(uint64_t lastStep) const {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::microseconds kPatience{50};
  Clock::time_point begin = Clock::now();
  Wait wait;
  while (true) {
    uint64_t now = step.load(std::memory_order_acquire);
    if (now != lastStep && now % 2 == 1)
      return true;
    if (ends.load(std::memory_order_acquire))
      return false;
    wait.once();
    if (wait.isLong() && Clock::now() - begin > kPatience)
      return false;
  }
}

/// What a worker does until it goes home.
void TaskTeam::serve() {
  // The leader may come by here, too, while it waits for a loop of oneTBB's.
  if (leader.load() == std::this_thread::get_id())
    return;
  FloatEnvironment environment(flushSubnormals);
  int self = std::clamp(tbb::this_task_arena::current_thread_index(), 0, size - 1);
  uint64_t lastStep = 0;
  while (awaitStep(lastStep)) {
    uint64_t now = step.load();
    // Only who is inside while the step is open may look at it: the leader closes it first and
    // then waits until nobody is inside.
    inside.fetch_add(1);
    if (now % 2 == 1 && step.load() == now) {
      computeFrom(self);
      lastStep = now;
    }
    inside.fetch_sub(1);
  }
}

/// Takes the chunks of the part `first`, then what is left of the others'.
void TaskTeam::computeFrom(int first) {
  for (int i = 0; i < size; ++i) {
    Part &part = parts[(first + i) % size];
    while (part.next.load(std::memory_order_relaxed) < part.end) {
      int64_t chunk = part.next.fetch_add(1, std::memory_order_relaxed);
      if (chunk < part.end)
        work.chunk(work.context, chunk);
    }
  }
}

bool TaskTeam::run(const TeamWork &next) {
  // An odd step is the one whose chunk calls.
  if (leader.load(std::memory_order_relaxed) != std::this_thread::get_id() || step.load() % 2 == 1)
    return false;
  work = next;
  for (int i = 0; i < size; ++i) {
    parts[i].next.store(work.chunks * i / size, std::memory_order_relaxed);
    parts[i].end = work.chunks * (i + 1) / size;
  }
  step.fetch_add(1);
  callWorkers(std::min<int64_t>(size, work.chunks) - 1);
  computeFrom(std::clamp(tbb::this_task_arena::current_thread_index(), 0, size - 1));
  step.fetch_add(1);
  Wait wait;
  while (inside.load() != 0)
    wait.once();
  return true;
}
