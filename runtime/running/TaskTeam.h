//===- TaskTeam.h - workers that stay from step to step -------------------===//
#pragma once

#include "runtime/running/TaskEdges.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <oneapi/tbb/task_group.h>
#include <thread>

namespace quern {

/// The chunks of a step, numbered from 0, and what computes one.
struct TeamWork {
  int64_t chunks;
  void (*chunk)(void *context, int64_t number);
  void *context;
};

/// A leader and up to size - 1 workers of its oneTBB arena, which compute the chunks of one step
/// after the other. A worker begins each step with the same part of the chunks, so that what it
/// wrote is in its cache, and then helps the others. Between steps it waits for the next one, a
/// while: that is what makes a step cheaper than a loop of oneTBB's, which calls workers anew.
/// The leader never waits for a worker to come, only for those that have begun a chunk.
class TaskTeam {
public:
  TaskTeam(int size, bool flushSubnormals);
  ~TaskTeam();

  /// Called inside the arena. The thread that calls becomes the leader, until leave(); false when
  /// there is one.
  bool lead();
  /// Sends the workers home.
  void leave();
  /// Computes all chunks. False, with nothing done, unless the leader calls, and not from a chunk.
  bool run(const TeamWork &work);

private:
  /// On lines of their own, for each thread writes its own all the time.
  struct alignas(64) Part {
    std::atomic<int64_t> next = 0;
    int64_t end = 0;
  };

  void callWorkers(int64_t wanted);
  void serve();
  bool awaitStep(uint64_t lastStep) const;
  void computeFrom(int first);

  const int size;
  const bool flushSubnormals;
  std::unique_ptr<Part[]> parts;
  TeamWork work = {};
  /// Odd while a step's chunks may be taken.
  alignas(64) std::atomic<uint64_t> step = 0;
  std::atomic<bool> ends = false;
  /// Workers that may be looking at `work` and `parts`.
  alignas(64) std::atomic<int> inside = 0;
  /// Workers that were called and have not gone home.
  std::atomic<int> called = 0;
  /// Whether `tasks` may have some yet.
  bool hasCalled = false;
  std::atomic<std::thread::id> leader = {};
  tbb::task_group tasks;
};

} // namespace quern
