//===- Measure.h - how far a model is from what it was --------------------===//
#pragma once

#include "api/quantize/Running.h"
#include "quern/Quantize.h"

namespace quern::quantization {

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

/// What a model gave for each sample.
using Outputs = std::vector<std::vector<AnyValue>>;
Expected<Outputs> outputsOf(Runner &runner, std::span<const Sample> samples,
                            const std::string &doing);

/// Fills what Quantization says of outputs: `wanted` is what the float model gave.
void measureOutputs(std::span<const PortSignature> ports, const Outputs &wanted,
                    const Outputs &found, Quantization &result);

/// Fills in times: both run in turn on the first sample, for `seconds`.
Status measureTimes(Runner &before, Runner &after, const Sample &sample, double seconds,
                    Quantization &result);

} // namespace quern::quantization
