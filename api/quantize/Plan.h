//===- Plan.h - how a model is to be quantized ----------------------------===//
#pragma once

#include "api/quantize/Ranges.h"
#include "api/quantize/Writers.h"
#include "quern/Quantize.h"

namespace quern::quantization {

/// What the options say, checked.
struct Plan {
  QuantizeOptions options;
  WriteOptions write = {};
  RangeMethod method = RangeMethod::MinMax;
};

/// Usage error for what makes no sense. What is quantized is measured on models that are compiled
/// as `compile` says.
Expected<Plan> readPlan(const QuantizeOptions &options, const CompileOptions &compile);

} // namespace quern::quantization
