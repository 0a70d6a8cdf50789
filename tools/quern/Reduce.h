//===- Reduce.h - quern compare --reduce ----------------------------------===//
#pragma once

#include "tools/quern/OpenModel.h"

namespace quern::cli {

/// What a model is reduced to, and how its fault is shown.
struct ReduceTask {
  std::string modelPath, outputPath;
  InputSizes sizes;
  CompileOptions compile;
  InputOptions inputs;
  std::optional<double> relative, absolute;
  Limits limits;
  OutputStyle style;
};

/// Writes the smallest model that shows the same fault as this one on these inputs, and says how.
Status reduce(const ReduceTask &task, std::span<const AnyValue> inputs);

} // namespace quern::cli
