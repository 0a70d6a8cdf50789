//===- PrecisionChooser.h - how much precision a bound on the error takes ---===//
#pragma once

#include "ir/OwnedModule.h"
#include "quern/CompileOptions.h"
#include "quern/PortSignature.h"

#include <span>

namespace quern {

/// What is off when outputs are compared with those that are wanted.
struct OutputError {
  /// Of the worst output, as a share of its largest magnitude.
  double share = 0;
  /// Why this is too much, naming the output; empty when it is within the bound.
  std::string refusal = {};
};
/// Floats may be off by `maxError` of an output's largest magnitude, all else not at all. The
/// largest entry of a row must stay where it is: of outputs with one or two dims in all rows, of
/// others where it leads by more than the bound.
OutputError errorOfOutputs(std::span<const PortSignature> ports, std::span<const AnyValue> wanted,
                           std::span<const AnyValue> found, double maxError);

/// Model::choosePrecision for a graph, on `options.samples`.
Expected<PrecisionChoice> choosePrecision(const nn::OwnedModule &source,
                                          const CompileOptions &options);

} // namespace quern
