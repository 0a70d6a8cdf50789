//===- ParallelTasks.cpp - independent tasks on several threads -----------===//
#include "runtime/running/ParallelTasks.h"

#include "quern/Progress.h"
#include "runtime/running/TaskEdges.h"

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <vector>

using namespace quern;

Status quern::runParallelTasks(size_t count, int threads,
                               const std::function<Status(size_t)> &task) {
  std::vector<Status> results(count);
  oneapi::tbb::task_arena arena(threads > 0 ? threads : oneapi::tbb::task_arena::automatic);
  const ProgressScope *callers = ProgressScope::current();
  auto runOne = [&](size_t i) {
    enterTask();
    ProgressScope watched(callers);
    results[i] = task(i);
    leaveTask();
  };
  auto runAll = [&] {
    enterTask();
    beginTasks();
    oneapi::tbb::parallel_for(size_t{0}, count, runOne, oneapi::tbb::simple_partitioner());
    endTasks();
    leaveTask();
  };
  beginTasks();
  arena.execute(runAll);
  endTasks();
  for (const Status &status : results)
    QUERN_TRY(status);
  return Status::ok();
}
