//===- RandomSeed.h - the generator of models that draw at random ---------===//
#pragma once

#include <cstdint>

namespace quern {

/// Starts the generator of the process anew. Ops that draw at random take their numbers
/// from it, each draw further ones, unless their node has a seed of its own. A process
/// that runs the same models in the same order draws the same numbers, with any number of
/// threads of a session; it begins with seed 0. Thread-safe; sessions that run at the same
/// time get different numbers, in the order in which they draw.
void seedRandomOps(uint64_t seed);

/// One draw from the generator: no other has the same seed and number.
struct RandomDraw {
  uint64_t seed;
  uint64_t number;
};
RandomDraw nextRandomDraw();

/// Stores a draw that no other is like.
using RandomSource = void (*)(void *context, uint64_t *seed, uint64_t *number);
/// Draws come from `source` from now on, null: from the generator again. For compiled models,
/// each of which has one of its own: it draws from that of the process it is in.
void setRandomSource(RandomSource source, void *context);

} // namespace quern
