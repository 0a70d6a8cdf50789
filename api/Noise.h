//===- Noise.h - how far floats are from what they were -------------------===//
#pragma once

#include "quern/Tensor.h"

#include <cstdint>

namespace quern {

/// Signal and noise of a tensor, over runs.
class NoiseMeter {
public:
  /// Tensors of floats of the same dims; whether they are.
  bool add(const Tensor &wanted, const Tensor &found);

  /// In decibels; infinite without noise, and below all numbers where something is not finite on
  /// one side only.
  double sqnr() const;
  double maxAbsolute() const { return largestError; }
  double magnitude() const { return largest; }

private:
  double signal = 0, noise = 0, largest = 0, largestError = 0;
};

/// Rows whose largest entry is the same in both.
struct Agreement {
  int64_t rows = 0, agreeing = 0, decided = 0, decidedAgreeing = 0;
  /// Of two float tensors of up to three dims with at least two entries in the last one. A row is
  /// decided when its largest entry leads by more than `margin`.
  void add(const Tensor &wanted, const Tensor &found, double margin);
};

} // namespace quern
