//===- Measure.h - how far a model is from what it was --------------------===//
#pragma once

#include "api/Noise.h"
#include "api/quantize/Running.h"
#include "quern/Quantize.h"

namespace quern::quantization {

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
