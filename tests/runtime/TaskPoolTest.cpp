//===- TaskPoolTest.cpp ---------------------------------------------------===//
#include "runtime/running/TaskPool.h"

#include "runtime/system/CpuCount.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <ctime>
#include <gtest/gtest.h>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

using namespace quern;

static std::vector<std::pair<int64_t, int64_t>> chunksOf(int threads, int64_t tasks,
                                                         int64_t grain) {
  TaskPool pool(threads, false);
  std::mutex mutex;
  std::vector<std::pair<int64_t, int64_t>> chunks;
  pool.parallelFor(tasks, grain, [&](int64_t begin, int64_t end) {
    std::lock_guard lock(mutex);
    chunks.emplace_back(begin, end);
  });
  std::sort(chunks.begin(), chunks.end());
  return chunks;
}

TEST(TaskPool, ChunksCoverTheTasksAndDoNotDependOnThreads) {
  for (auto [tasks, grain] : {std::pair<int64_t, int64_t>{1, 1},
                              {10, 3},
                              {12, 4},
                              {1000, 1},
                              {5, 100},
                              {7, 0},
                              {3, INT64_MAX}}) {
    auto chunks = chunksOf(1, tasks, grain);
    int64_t next = 0;
    for (auto [begin, end] : chunks) {
      EXPECT_EQ(begin, next);
      EXPECT_LE(end - begin, std::max<int64_t>(grain, 1));
      next = end;
    }
    EXPECT_EQ(next, tasks);
    EXPECT_EQ(chunksOf(0, tasks, grain), chunks);
    EXPECT_EQ(chunksOf(8, tasks, grain), chunks);
  }
  EXPECT_TRUE(chunksOf(0, 0, 1).empty());
}

TEST(TaskPool, SumsHaveTheSameBitsForAnyNumberOfThreads) {
  auto sums = [](int threads) {
    TaskPool pool(threads, true);
    std::vector<float> partial(64);
    pool.parallelFor(10'000, 160, [&](int64_t begin, int64_t end) {
      float sum = 0;
      for (int64_t i = begin; i < end; ++i)
        sum += std::sin(static_cast<float>(i));
      partial[begin / 160] = sum;
    });
    return partial;
  };
  auto one = sums(1);
  EXPECT_EQ(sums(2), one);
  EXPECT_EQ(sums(0), one);
}

TEST(TaskPool, ThreadCountIsBounded) {
  EXPECT_EQ(TaskPool(0, false).threads(), availableCpus());
  EXPECT_EQ(TaskPool(1, false).threads(), 1);
  EXPECT_EQ(TaskPool(100'000, false).threads(), affinityCpus());
}

TEST(TaskPool, OneThreadStaysOnTheCaller) {
  TaskPool pool(1, false);
  auto caller = std::this_thread::get_id();
  pool.parallelFor(100, 1,
                   [&](int64_t, int64_t) { EXPECT_EQ(std::this_thread::get_id(), caller); });
}

TEST(TaskPool, EveryThreadFlushesSubnormals) {
  TaskPool pool(0, true);
  std::atomic<int> kept = 0;
  std::mutex mutex;
  std::vector<std::thread::id> seen;
  volatile float smallest = std::numeric_limits<float>::min();
  pool.parallelFor(200, 1, [&](int64_t, int64_t) {
    kept += smallest * 0.5f != 0.0f;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    std::lock_guard lock(mutex);
    if (std::find(seen.begin(), seen.end(), std::this_thread::get_id()) == seen.end())
      seen.push_back(std::this_thread::get_id());
  });
  EXPECT_EQ(kept, 0);
  EXPECT_LE(static_cast<int>(seen.size()), pool.threads());
  EXPECT_NE(smallest * 0.5f, 0.0f) << "the caller's mode is back";
}

TEST(TaskPool, NestsAndWorksFromManyThreads) {
  std::atomic<int64_t> sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      TaskPool pool(2, false);
      pool.enter([&] {
        pool.parallelFor(10, 1, [&](int64_t, int64_t) {
          pool.parallelFor(10, 2, [&](int64_t begin, int64_t end) { sum += end - begin; });
        });
      });
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(sum, 400);
}

TEST(TaskPool, EachStepSeesAllOfTheOneBefore) {
  constexpr int64_t kTasks = 64, kSteps = 300;
  TaskPool pool(0, false);
  std::vector<int64_t> from(kTasks, 1), to(kTasks);
  pool.enter([&] {
    for (int64_t step = 0; step < kSteps; ++step) {
      if (step % 100 == 99) // longer than workers wait for a step
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      // Few chunks, and many.
      pool.parallelFor(kTasks, step % 2 == 0 ? 1 : kTasks / 2, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          to[i] = (from[i] + from[(i + 1) % kTasks] + i) % 1009;
      });
      std::swap(from, to);
    }
  });
  std::vector<int64_t> wanted(kTasks, 1), next(kTasks);
  for (int64_t step = 0; step < kSteps; ++step) {
    for (int64_t i = 0; i < kTasks; ++i)
      next[i] = (wanted[i] + wanted[(i + 1) % kTasks] + i) % 1009;
    std::swap(wanted, next);
  }
  EXPECT_EQ(from, wanted);
}

TEST(TaskPool, WorkersThatRunAtOnceHaveDifferentNumbers) {
  TaskPool pool(0, false);
  std::vector<std::atomic<int>> inside(static_cast<size_t>(pool.threads()));
  std::atomic<int> met = 0;
  auto work = [&](int64_t, int64_t) {
    std::atomic<int> &mine = inside[static_cast<size_t>(pool.currentWorker())];
    met += mine.fetch_add(1);
    mine.fetch_sub(1);
  };
  pool.enter([&] {
    for (int step = 0; step < 100; ++step)
      pool.parallelFor(32, 1, work);
  });
  pool.parallelFor(64, 1, work);
  EXPECT_EQ(met, 0);
}

TEST(TaskPool, WorkersSleepAfterTheWork) {
  TaskPool pool(0, false);
  std::atomic<int64_t> sum = 0;
  pool.parallelFor(1000, 1, [&](int64_t begin, int64_t) { sum += begin; });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  auto cpuSeconds = [] {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  double before = cpuSeconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  // CPU time, not wall time: a spinning worker would use all of the 0.3 s.
  EXPECT_LT(cpuSeconds() - before, 0.1);
}
