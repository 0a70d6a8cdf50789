//===- ComparedRuns.h - what comparisons of models are made of ------------===//
#pragma once

#include "quern/Compare.h"

namespace quern {

/// `compile` with what is to be chosen, on these inputs unless it has samples.
Expected<CompileOptions> settledOptions(const Model &model, std::span<const AnyValue> inputs,
                                        const CompileOptions &compile);

/// What results may differ by that are computed so.
Tolerance toleranceFor(const Model &model, const CompileOptions &settled);

/// Runs `compiled` and adds to result.outputs how far it is from `wanted`, which `reference` has
/// given for the same seed. What differs is compared again under the floating-point mode of
/// `compiled`.
Status addDifferences(Runner &reference, Runner &compiled, std::span<const AnyValue> inputs,
                      std::span<const AnyValue> wanted, uint64_t seed, Comparison &result);

} // namespace quern
