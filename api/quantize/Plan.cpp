//===- Plan.cpp - how a model is to be quantized --------------------------===//
#include "api/quantize/Plan.h"

#include <fmt/format.h>

#include <bit>

using namespace quern;
using namespace quern::quantization;

Expected<Plan> quantization::readPlan(const QuantizeOptions &options,
                                      const CompileOptions &compile) {
  if (compile.precision != Precision::Float32 || compile.weights != WeightType::Given)
    return usageError(
        "what is quantized is compared with the model in float32; leave precision f32 "
        "and weights given");
  Plan plan{.options = options};
  std::optional<Mode> mode = parseMode(options.mode);
  if (!mode)
    return usageError(fmt::format("there is no mode '{}'; the modes are static, dynamic, "
                                  "weights-int8, weights-int4, float16",
                                  options.mode));
  std::optional<RangeMethod> method = parseRangeMethod(options.calibration);
  if (!method)
    return usageError(fmt::format("there is no calibration '{}'; there are min-max, percentile, "
                                  "entropy, mse",
                                  options.calibration));
  if (!(options.percentile > 50 && options.percentile <= 100))
    return usageError(
        fmt::format("a percentile of {} is not above 50 and at most 100", options.percentile));
  if (options.blockSize < 16 || !std::has_single_bit(static_cast<uint64_t>(options.blockSize)))
    return usageError(
        fmt::format("a block of {} is no power of two from 16 on", options.blockSize));
  if (!(options.maxError >= 0) || !(options.minSpeedup >= 0) || !(options.seconds >= 0))
    return usageError("the bounds on error, speed-up and time are numbers from 0 on");
  plan.method = *method;
  plan.write = {.mode = *mode,
                .perChannel = options.perChannel,
                .activations = options.signedActivations ? DType::Int8 : DType::UInt8,
                .blockSize = options.blockSize,
                .correctBias = options.correctBias};
  return plan;
}
