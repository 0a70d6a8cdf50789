//===- ProgressTest.cpp - watching long work, and ending it ---------------===//
#include "quern/Progress.h"
#include "quern/Deadline.h"
#include "runtime/running/ParallelTasks.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <vector>

using namespace quern;

namespace {
class Recorder : public ProgressWatcher {
public:
  bool goOn(std::string_view doing) override {
    std::lock_guard lock(mutex);
    heard.emplace(doing);
    return doing != refused;
  }
  std::set<std::string> heard;
  std::string refused;

private:
  std::mutex mutex;
};

/// Does work of its own, with a watcher of its own, whenever it is told something.
class Worker : public ProgressWatcher {
public:
  bool goOn(std::string_view doing) override {
    heard.emplace(doing);
    nested.push_back(ProgressScope::check("alone").isOk());
    ProgressScope scope(inner);
    nested.push_back(
        runParallelTasks(4, 2, [](size_t) { return ProgressScope::check("nested"); }).isOk());
    return true;
  }
  std::set<std::string> heard;
  std::vector<bool> nested;
  Recorder inner;
};
} // namespace

TEST(Progress, DeadlinesTellWhoWatches) {
  Recorder watcher;
  {
    ProgressScope scope(watcher);
    EXPECT_TRUE(Deadline().check("waiting").isOk());
    watcher.refused = "compiling";
    Status status = Deadline().check("compiling");
    EXPECT_EQ(status.code(), StatusCode::Cancelled);
    EXPECT_EQ(status.message(), "cancelled while compiling");
  }
  EXPECT_TRUE(Deadline().check("compiling").isOk());
  EXPECT_EQ(watcher.heard, (std::set<std::string>{"compiling", "waiting"}));
}

TEST(Progress, AllScopesHear) {
  Recorder outer, inner;
  ProgressScope first(outer);
  {
    ProgressScope second(inner);
    EXPECT_TRUE(ProgressScope::check("both").isOk());
    outer.refused = "refused";
    EXPECT_FALSE(ProgressScope::check("refused").isOk());
  }
  EXPECT_TRUE(ProgressScope::check("one").isOk());
  EXPECT_EQ(outer.heard, (std::set<std::string>{"both", "one", "refused"}));
  EXPECT_EQ(inner.heard, (std::set<std::string>{"both", "refused"}));
}

TEST(Progress, WorkOfAWatcherIsItsOwn) {
  Recorder outer;
  outer.refused = "nested";
  Worker worker;
  ProgressScope first(outer);
  ProgressScope second(worker);
  EXPECT_TRUE(ProgressScope::check("outer").isOk());
  EXPECT_EQ(outer.heard, (std::set<std::string>{"outer"}));
  EXPECT_EQ(worker.heard, (std::set<std::string>{"outer"}));
  EXPECT_EQ(worker.inner.heard, (std::set<std::string>{"nested"}));
  EXPECT_EQ(worker.nested, (std::vector<bool>{true, true}));
  // The scopes are back.
  EXPECT_FALSE(ProgressScope::check("nested").isOk());
}

TEST(Progress, TasksOfOtherThreadsAreHeardAndEnd) {
  Recorder watcher;
  std::atomic<int> done = 0;
  auto run = [&] {
    return runParallelTasks(100, 4, [&](size_t i) -> Status {
      QUERN_TRY(Deadline().check(i < 50 ? "first" : "second"));
      ++done;
      return Status::ok();
    });
  };
  {
    ProgressScope scope(watcher);
    watcher.refused = "second";
    EXPECT_EQ(run().code(), StatusCode::Cancelled);
    EXPECT_EQ(done, 50);
  }
  // Threads that have worked for a scope do not stay in it.
  EXPECT_TRUE(run().isOk());
  EXPECT_EQ(done, 150);
}
