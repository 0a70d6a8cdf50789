//===- TimedRounds.cpp - the same work in several threads at once ---------===//
#include "runtime/running/TimedRounds.h"

#include <atomic>
#include <barrier>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>

using namespace quern;

namespace {
/// What the threads wait for until all of them are there.
enum class Start { Waiting, Go, No };
} // namespace

static void awaitStart(const std::atomic<Start> &start) {
  while (start.load() == Start::Waiting)
    start.wait(Start::Waiting);
}

static void announce(std::atomic<Start> &start, Start what) {
  start = what;
  start.notify_all();
}

static void joinAll(std::vector<std::thread> &threads) {
  for (std::thread &thread : threads)
    thread.join();
}

Expected<std::vector<double>> quern::timeRounds(int threads, int rounds,
                                                const std::function<void(int thread)> &work) {
  std::vector<double> seconds;
  std::barrier together(threads);
  std::atomic<Start> start = Start::Waiting;
  auto runRounds = [&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      together.arrive_and_wait();
      auto begin = std::chrono::steady_clock::now();
      work(thread);
      together.arrive_and_wait();
      if (thread == 0)
        seconds.push_back(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
  };
  std::vector<std::thread> others;
  try {
    for (int thread = 1; thread < threads; ++thread)
      others.emplace_back([&, thread] {
        awaitStart(start);
        if (start == Start::Go)
          runRounds(thread);
      });
  } catch (const std::system_error &error) {
    announce(start, Start::No);
    joinAll(others);
    return Status(StatusCode::ResourceLimit,
                  "cannot start " + std::to_string(threads) + " threads: " + error.what());
  }
  announce(start, Start::Go);
  runRounds(0);
  joinAll(others);
  return seconds;
}
