//===- OncePerKeyTest.cpp -------------------------------------------------===//
#include "runtime/running/OncePerKey.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

using namespace quern;
using Numbers = OncePerKey<int>;

namespace {
/// Makes what is missing with `make`; the values of all keys.
Expected<std::vector<int>> valuesOf(Numbers &numbers, const std::vector<std::string> &keys,
                                    const std::function<Expected<int>(const std::string &)> &make,
                                    const Deadline &deadline = {}) {
  while (true) {
    Numbers::Undertaking mine(numbers);
    if (numbers.undertake(keys, mine)) {
      std::vector<int> found;
      for (const std::string &key : keys)
        found.push_back(*numbers.find(key));
      return found;
    }
    if (mine.keys().empty())
      QUERN_TRY(numbers.waitFor(keys, deadline, "counting"));
    for (const std::string &key : mine.keys()) {
      QUERN_ASSIGN(int value, make(key));
      numbers.provide(key, value);
    }
  }
}
} // namespace

TEST(OncePerKey, ManyThreadsMakeEachOnce) {
  Numbers numbers;
  std::atomic<int> made = 0;
  auto make = [&](const std::string &key) -> Expected<int> {
    ++made;
    std::this_thread::yield();
    return std::stoi(key);
  };
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        auto found = valuesOf(numbers, {std::to_string(i), std::to_string((i + t) % 100)}, make);
        wrong += !found || *found != std::vector<int>{i, (i + t) % 100};
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(made, 100);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(numbers.size(), 100u);
}

// What one thread makes holds up those who want it, and nobody else.
TEST(OncePerKey, WaitsForWhatIsWanted) {
  Numbers numbers;
  Numbers::Undertaking slow(numbers);
  const std::string keys[] = {"slow"};
  ASSERT_FALSE(numbers.undertake(keys, slow));
  auto quick = [](const std::string &) -> Expected<int> { return 1; };
  EXPECT_EQ(valuesOf(numbers, {"other"}, quick).take(), std::vector<int>{1});
  auto late =
      valuesOf(numbers, {"other", "slow"}, quick, Deadline::after(std::chrono::nanoseconds(0)));
  EXPECT_EQ(late.status().message(), "time limit of 0ms exceeded while counting");
  EXPECT_EQ(numbers.find("slow"), nullptr);
  std::thread waiting([&] { EXPECT_EQ(valuesOf(numbers, {"slow"}, quick).take()[0], 7); });
  numbers.provide("slow", 7);
  waiting.join();
}

// Others may have looked at it.
TEST(OncePerKey, WhatIsProvidedStays) {
  Numbers numbers;
  Numbers::Undertaking mine(numbers);
  const std::string keys[] = {"a"};
  ASSERT_FALSE(numbers.undertake(keys, mine));
  const int &first = numbers.provide("a", 1);
  EXPECT_EQ(&numbers.provide("a", 2), &first);
  EXPECT_EQ(first, 1);
  EXPECT_EQ(numbers.find("a"), &first);
}

TEST(OncePerKey, AnErrorLeavesItToOthers) {
  Numbers numbers;
  auto fail = [](const std::string &key) -> Expected<int> { return internalError("no " + key); };
  EXPECT_EQ(valuesOf(numbers, {"a", "b"}, fail).status().message(), "no a");
  EXPECT_EQ(numbers.size(), 0u);
  EXPECT_EQ(
      valuesOf(numbers, {"b"}, [](const std::string &) -> Expected<int> { return 2; }).take()[0],
      2);
}
