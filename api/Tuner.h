//===- Tuner.h - measures the ways of computing a model's ops -------------===//
#pragma once

#include "ir/OwnedModule.h"
#include "quern/CompileOptions.h"

namespace quern {

/// Model::tune for a graph, on `options.samples`, for options.tuneSeconds.
Expected<TuningChoice> tuneWays(const nn::OwnedModule &source, const CompileOptions &options);

} // namespace quern
