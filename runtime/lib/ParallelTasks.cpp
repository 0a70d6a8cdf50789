//===- ParallelTasks.cpp - independent tasks on several threads -----------===//
#include "runtime/lib/ParallelTasks.h"

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <vector>

using namespace quern;

Status quern::runParallelTasks(size_t count, int threads,
                               const std::function<Status(size_t)> &task) {
  std::vector<Status> results(count);
  oneapi::tbb::task_arena arena(threads > 0 ? threads : oneapi::tbb::task_arena::automatic);
  arena.execute([&] {
    oneapi::tbb::parallel_for(
        size_t{0}, count, [&](size_t i) { results[i] = task(i); },
        oneapi::tbb::simple_partitioner());
  });
  for (const Status &status : results)
    QUERN_TRY(status);
  return Status::ok();
}
