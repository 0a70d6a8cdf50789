//===- RandomSeed.cpp - the generator of models that draw at random -------===//
#include "quern/RandomSeed.h"

#include <mutex>

using namespace quern;

static std::mutex drawMutex;
static RandomDraw upcoming = {0, 0};

void quern::seedRandomOps(uint64_t seed) {
  std::lock_guard lock(drawMutex);
  upcoming = {seed, 0};
}

RandomDraw quern::nextRandomDraw() {
  std::lock_guard lock(drawMutex);
  RandomDraw draw = upcoming;
  ++upcoming.number;
  return draw;
}
