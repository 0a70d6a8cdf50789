//===- Waves.h - independent small steps side by side ---------------------===//
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quern::plan {

/// What is asked of a step to put it beside others.
struct WaveStep {
  /// How long it is expected to take in one thread; 0: nobody can tell.
  double nanoseconds = 0;
  /// The parts that threads take.
  int64_t chunks = 1;
  /// Steps with smaller numbers whose results it needs; those that something `alone` stands between
  /// may be left out.
  std::vector<uint32_t> after = {};
  /// It runs alone, after all before it and before all after it.
  bool alone = false;
};

struct WaveOrder {
  /// The steps by their numbers, in the order in which one thread runs them.
  std::vector<uint32_t> order;
  /// How many of them run side by side, from wave to wave.
  std::vector<uint32_t> sizes;
};

/// Puts steps that need no results of each other side by side where two threads gain by it: such as
/// are too short to be worth two threads alone, and are not long together with others. All others
/// keep their order and are waves of their own.
WaveOrder chooseWaves(std::span<const WaveStep> steps);

} // namespace quern::plan
