//===- CpuRates.h - how fast the cores of a CPU are -----------------------===//
//
// What the cost model reckons with, by the name of the CPU that code is tuned for. Nothing here is
// measured when a model is compiled: two compilations must choose the same code. What the machine
// at hand can do is measured elsewhere (api/MachineRates.cpp), and shown beside what is expected.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/target/Target.h"
#include "quern/StepCost.h"

namespace quern::native {

/// Of one core, the others being idle.
struct CpuRates {
  /// Of code that multiplies without end.
  double gigahertz = 3;
  /// Multiply-adds of full vectors that begin in a cycle, and the cycles until the sum can be added
  /// to again.
  double productsPerCycle = 2, productLatency = 4;
  /// Vectors of pairs of bfloat16 that are multiplied and summed up (VDPBF16PS) in the time of a
  /// multiply-add of float32, where there is such an instruction.
  double pairsPerProduct = 1;
  /// Of the time that weights of Winograd's algorithm take to come from memory, the share that is
  /// waited for though they were asked for ahead. They come at half the rate or less, for they have
  /// the few places for misses of the first cache to wait in: more than 1 where products are fast.
  double waitsForWinograd = 1.5;
  /// Bytes a nanosecond.
  double fromL3 = 30, fromMemory = 10;
  /// Caches that a core reaches.
  double l2Bytes = 1 << 20, l3Bytes = 32 << 20;

  double nanoseconds(double cycles) const { return cycles / gigahertz; }
};

/// Those of the CPU that code for `target` is tuned for; of a CPU without a row those that are
/// usual where there are such instructions.
CpuRates ratesOf(const Target &target);

/// Operations a nanosecond in products of what `engine` multiplies on vectors, at the best.
double peakOf(Engine engine, const Target &target);
/// Whether vectors sum up products of bfloat16 faster than those of float32: on AMD's CPUs twice as
/// fast, on Intel's at half the rate.
bool hasFastPairs(const Target &target);
/// Whether vectors of the full width go through units of half of it, in two parts.
bool hasHalfUnits(const Target &target);

} // namespace quern::native
