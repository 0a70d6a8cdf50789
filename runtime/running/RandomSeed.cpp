//===- RandomSeed.cpp - the generator of models that draw at random -------===//
#include "quern/RandomSeed.h"

#include <mutex>

using namespace quern;

static std::mutex drawMutex;
static RandomDraw upcoming = {0, 0};
static RandomSource otherSource = nullptr;
static void *sourceContext = nullptr;

void quern::seedRandomOps(uint64_t seed) {
  std::lock_guard lock(drawMutex);
  upcoming = {seed, 0};
}

void quern::setRandomSource(RandomSource source, void *context) {
  std::lock_guard lock(drawMutex);
  otherSource = source;
  sourceContext = context;
}

RandomDraw quern::nextRandomDraw() {
  std::unique_lock lock(drawMutex);
  if (!otherSource)
    return {upcoming.seed, upcoming.number++};
  RandomSource source = otherSource;
  void *context = sourceContext;
  lock.unlock(); // it may take its time
  RandomDraw draw = {0, 0};
  source(context, &draw.seed, &draw.number);
  return draw;
}
