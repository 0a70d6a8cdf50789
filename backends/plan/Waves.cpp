//===- Waves.cpp - independent small steps side by side -------------------===//
#include "backends/plan/Waves.h"

#include "runtime/plan/Plan.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::plan;

namespace {
/// A step that takes longer fills all threads by itself.
constexpr double kLongestNs = 60e3;
/// Nor does a wave become better by more work than that, but its values lie around for longer.
constexpr double kEnoughNs = 120e3;
/// What it costs to hand chunks to other threads, and to wait for them at the end, where the CPUs
/// share no cache; near ones take a third.
constexpr double kCallNs = 2000;
/// What a wave must gain, for threads read what others have written.
constexpr double kLeastGainNs = 3000;
/// Steps are taken from so far ahead only: what they write must be kept until it is read.
constexpr size_t kAhead = 32;

class WaveChoice {
public:
  explicit WaveChoice(std::span<const WaveStep> steps) : steps(steps), isDone(steps.size()) {}

  WaveOrder choose();

private:
  bool isAlone(const WaveStep &step) const {
    return step.alone || step.nanoseconds <= 0 || step.nanoseconds > kLongestNs;
  }
  bool isReady(uint32_t number) const {
    return std::ranges::all_of(steps[number].after, [&](uint32_t each) { return isDone[each]; });
  }
  std::vector<uint32_t> readyOf(const std::vector<uint32_t> &left) const;
  bool pays(std::span<const uint32_t> wave) const;
  void add(std::span<const uint32_t> wave);
  void orderAll(const std::vector<uint32_t> &between);

  std::span<const WaveStep> steps;
  /// Steps of earlier waves.
  std::vector<bool> isDone;
  WaveOrder result;
};
} // namespace

/// The first of those that are left is always among them.
std::vector<uint32_t> WaveChoice::readyOf(const std::vector<uint32_t> &left) const {
  std::vector<uint32_t> ready;
  double nanoseconds = 0;
  for (size_t i = 0; i < std::min(left.size(), kAhead); ++i) {
    if (ready.size() == Plan::kMostInWave || nanoseconds >= kEnoughNs)
      break;
    if (!isReady(left[i]))
      continue;
    ready.push_back(left[i]);
    nanoseconds += steps[left[i]].nanoseconds;
  }
  return ready;
}

static double chunkNs(const WaveStep &step) {
  return step.nanoseconds / static_cast<double>(std::max<int64_t>(step.chunks, 1));
}

/// Whether two threads do the steps sooner side by side than one after the other. More threads gain
/// more: steps have fewer chunks than these for longer.
bool WaveChoice::pays(std::span<const uint32_t> wave) const {
  double apart = 0, all = 0, longest = 0;
  for (uint32_t number : wave) {
    const WaveStep &step = steps[number];
    double chunk = chunkNs(step);
    apart += step.chunks <= 1 ? step.nanoseconds
                              : chunk * std::ceil(static_cast<double>(step.chunks) / 2) + kCallNs;
    all += step.nanoseconds;
    longest = std::max(longest, chunk);
  }
  return apart - (std::max(all / 2, longest) + kCallNs) >= kLeastGainNs;
}

void WaveChoice::add(std::span<const uint32_t> wave) {
  for (uint32_t number : wave)
    isDone[number] = true;
  result.order.insert(result.order.end(), wave.begin(), wave.end());
  result.sizes.push_back(static_cast<uint32_t>(wave.size()));
}

/// Orders steps between two that run alone: all that may run now, then all that may run after them,
/// so that steps which gain by it come together; as they stand where none does.
void WaveChoice::orderAll(const std::vector<uint32_t> &between) {
  std::vector<uint32_t> left = between;
  std::vector<std::vector<uint32_t>> waves;
  while (!left.empty()) {
    std::vector<uint32_t> ready = readyOf(left);
    std::erase_if(left,
                  [&](uint32_t each) { return std::ranges::find(ready, each) != ready.end(); });
    for (uint32_t each : ready)
      isDone[each] = true;
    if (pays(ready)) {
      // What takes long is begun first, so that all threads end together.
      std::ranges::stable_sort(
          ready, [&](uint32_t a, uint32_t b) { return chunkNs(steps[a]) > chunkNs(steps[b]); });
      waves.push_back(std::move(ready));
    } else {
      for (uint32_t each : ready)
        waves.push_back({each});
    }
  }
  if (waves.size() == between.size())
    for (uint32_t each : between)
      add({&each, 1});
  else
    for (const std::vector<uint32_t> &wave : waves)
      add(wave);
}

WaveOrder WaveChoice::choose() {
  std::vector<uint32_t> between;
  for (uint32_t number = 0; number < steps.size(); ++number) {
    if (!isAlone(steps[number])) {
      between.push_back(number);
      continue;
    }
    orderAll(between);
    between.clear();
    add({&number, 1});
  }
  orderAll(between);
  return std::move(result);
}

WaveOrder quern::plan::chooseWaves(std::span<const WaveStep> steps) {
  return WaveChoice(steps).choose();
}
