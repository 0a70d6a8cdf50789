//===- TaskPool.h - the threads of a session ------------------------------===//
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace quern {

/// Runs tasks on a bounded number of threads. The workers are oneTBB's and shared
/// by the process; they sleep when there is nothing to do.
class TaskPool {
public:
  /// `threads` includes the caller's; 0 means availableCpus(). Never more than
  /// affinityCpus(). Workers run in a FloatEnvironment(flushSubnormals).
  TaskPool(int threads, bool flushSubnormals);
  ~TaskPool();
  TaskPool(TaskPool &&) noexcept;
  TaskPool &operator=(TaskPool &&) noexcept;

  int threads() const { return threadCount; }

  /// Calls body(begin, end) for consecutive ranges of `grain` tasks that cover
  /// [0, tasks). The ranges depend on nothing but the arguments, so results have
  /// the same bits for any number of threads. Returns when all have run.
  template <typename Body> void parallelFor(int64_t tasks, int64_t grain, Body &&body) {
    using Function = std::remove_reference_t<Body>;
    runChunks(
        tasks, grain,
        [](void *f, int64_t begin, int64_t end) { (*static_cast<Function *>(f))(begin, end); },
        const_cast<void *>(static_cast<const void *>(&body)));
  }

  /// The number of the worker that asks, from 0 to threads() - 1: calls that run at
  /// the same time have different ones. For the bodies of parallelFor, and of enter.
  int currentWorker() const;

  /// Calls `work` with the caller inside the pool, which makes the parallelFor
  /// calls in it cheaper.
  template <typename Work> void enter(Work &&work) {
    using Function = std::remove_reference_t<Work>;
    enterArena([](void *f) { (*static_cast<Function *>(f))(); },
               const_cast<void *>(static_cast<const void *>(&work)));
  }

private:
  void runChunks(int64_t tasks, int64_t grain, void (*body)(void *, int64_t, int64_t),
                 void *context);
  void enterArena(void (*work)(void *), void *context);

  struct Implementation;
  std::unique_ptr<Implementation> implementation;
  int threadCount;
  bool flushSubnormals;
};

} // namespace quern
