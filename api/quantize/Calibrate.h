//===- Calibrate.h - what a model's values are like -----------------------===//
#pragma once

#include "api/quantize/Running.h"
#include "api/quantize/Writers.h"

namespace quern::quantization {

/// Runs a model, with all values that writeStatic may quantize as outputs, on samples, and chooses
/// their ranges. Layers whose values are not all finite are refused.
Expected<Calibration> calibrate(const EditableModel &model, std::vector<Layer> &layers,
                                std::span<const Sample> samples, RangeMethod method,
                                double percentile, const RunSettings &settings);

} // namespace quern::quantization
