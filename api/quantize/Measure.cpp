//===- Measure.cpp - how far a model is from what it was ------------------===//
#include "api/quantize/Measure.h"

#include "api/RunCount.h"
#include "quern/RandomSeed.h"
#include "quern/TensorDifference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::quantization;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

Expected<Outputs> quantization::outputsOf(Runner &runner, std::span<const Sample> samples,
                                          const std::string &doing) {
  Outputs all;
  seedRandomOps(0);
  QUERN_TRY(runAll(runner, samples, doing, [&](size_t, std::span<const AnyValue> outputs) {
    all.emplace_back(outputs.begin(), outputs.end());
    return Status::ok();
  }));
  return all;
}

/// One output over all samples.
static QuantizedOutput compareOutput(const std::string &name, size_t output, const Outputs &wanted,
                                     const Outputs &found) {
  QuantizedOutput result{.name = name};
  NoiseMeter meter;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const AnyValue &a = wanted[i][output], &b = found[i][output];
    const Tensor *x = a.asTensor(), *y = b.asTensor();
    if (x && y && meter.add(*x, *y))
      continue;
    TensorDifference difference = compareValues(a, b, {});
    result.mismatches += difference.mismatches;
    result.maxAbsolute = std::max(result.maxAbsolute, difference.maxAbsolute);
    if (result.incomparable.empty())
      result.incomparable = difference.incomparable;
  }
  result.maxAbsolute = std::max(result.maxAbsolute, meter.maxAbsolute());
  result.magnitude = meter.magnitude();
  result.sqnr = meter.sqnr();
  return result;
}

void quantization::measureOutputs(std::span<const PortSignature> ports, const Outputs &wanted,
                                  const Outputs &found, Quantization &result) {
  result.outputs.clear();
  Agreement agreement;
  for (size_t o = 0; o < ports.size(); ++o) {
    QuantizedOutput output = compareOutput(ports[o].name, o, wanted, found);
    for (size_t i = 0; i < wanted.size() && output.incomparable.empty(); ++i)
      if (const Tensor *x = wanted[i][o].asTensor())
        agreement.add(*x, *found[i][o].asTensor(), result.maxError * output.magnitude);
    result.outputs.push_back(std::move(output));
  }
  result.rows = agreement.rows;
  result.agreeing = agreement.agreeing;
  result.decided = agreement.decided;
  result.decidedAgreeing = agreement.decidedAgreeing;
}

Status quantization::measureTimes(Runner &before, Runner &after, const Sample &sample,
                                  double seconds, Quantization &result) {
  SampleSet beforeMs, afterMs;
  std::vector<AnyValue> outputs(before.outputs().size());
  auto time = [&](Runner &runner, SampleSet &samples) {
    Stopwatch watch;
    QUERN_TRY(runner.run(std::span<const AnyValue>(sample), std::span<AnyValue>(outputs)));
    samples.add(watch.milliseconds());
    outputs.assign(outputs.size(), {});
    return Status::ok();
  };
  RunCount count("measuring times: turn ", "");
  SampleSet first;
  QUERN_TRY(time(before, first));
  QUERN_TRY(time(after, first));
  Stopwatch total;
  do {
    QUERN_TRY(count.add());
    QUERN_TRY(time(before, beforeMs));
    QUERN_TRY(time(after, afterMs));
  } while (total.milliseconds() < seconds * 1e3);
  result.before = beforeMs.summarize();
  result.after = afterMs.summarize();
  result.threads = after.threads();
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Verdicts
//===----------------------------------------------------------------------===//

double QuantizedOutput::error() const {
  if (maxAbsolute == 0)
    return 0;
  return magnitude > 0 ? maxAbsolute / magnitude : kInfinity;
}

int64_t Quantization::quantizedLayers() const {
  return std::ranges::count_if(layers, &QuantizedLayer::quantized);
}

double Quantization::speedup() const { return before.p50 / std::max(after.p50, 1e-6); }

/// Why an output is out of bounds; empty when it is not. Where a model has no float output, its
/// integers must not change.
static std::string refuseOutput(const QuantizedOutput &output, double maxError, bool allExact) {
  if (!output.incomparable.empty())
    return fmt::format("output '{}': {}", output.name, output.incomparable);
  if (allExact && output.mismatches > 0)
    return fmt::format("output '{}': {} elements differ", output.name, output.mismatches);
  if (output.mismatches == 0 && !(output.error() <= maxError))
    return fmt::format("output '{}' differs by {:.3g}, {:.2f} % of its largest magnitude",
                       output.name, output.maxAbsolute, output.error() * 100);
  return "";
}

Status Quantization::accuracy() const {
  bool allExact = std::ranges::all_of(
      outputs, [](const QuantizedOutput &output) { return output.magnitude == 0; });
  std::vector<std::string> reasons;
  for (const QuantizedOutput &output : outputs)
    if (std::string reason = refuseOutput(output, maxError, allExact); !reason.empty())
      reasons.push_back(std::move(reason));
  if (decidedAgreeing < decided)
    reasons.push_back(fmt::format("the largest entry is another one in {} of {} rows that it leads "
                                  "by more than the bound",
                                  decided - decidedAgreeing, decided));
  if (reasons.empty())
    return Status::ok();
  return Status(StatusCode::AccuracyMismatch,
                fmt::format("the quantized model is outside the bound of {:.3g} %: {}",
                            maxError * 100, fmt::join(reasons, "; ")));
}

Status Quantization::speed() const {
  if (speedup() >= minSpeedup)
    return Status::ok();
  return Status(
      StatusCode::TooSlow,
      fmt::format("the quantized model is {:.2f} times as fast as the float model, wanted "
                  "{:.2f}",
                  speedup(), minSpeedup));
}

Status Quantization::verdict() const {
  QUERN_TRY(accuracy());
  return speed();
}
