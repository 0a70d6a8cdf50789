//===- PrecisionChoice.h - what Precision::Auto has come to ---------------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// A product, convolution or the like that native code has a lower precision for.
struct PrecisionLayer {
  /// The nodes of the model that it computes: "conv1".
  std::string node;
  bool isLowered = false;
  /// Of the worst output, when this layer alone is lowered, as a share of the output's largest
  /// magnitude; NaN unless layers had to be ranked.
  double error = std::numeric_limits<double>::quiet_NaN();
  /// What lowering it saves in a run by the cost model, on one thread: rates are of no machine,
  /// only how layers compare counts.
  double nanosecondsSaved = 0;

  bool operator==(const PrecisionLayer &) const = default;
};

/// Which layers are lowered, and what was measured.
struct PrecisionChoice {
  /// The default of CompileOptions::maxError.
  static constexpr double kMaxError = 0.01;

  /// The bound that was asked for, of any output, as a share of its largest magnitude.
  double maxError = kMaxError;
  /// What the outputs are off by with the layers that were chosen, and with all of them.
  double error = 0, errorOfAll = 0;
  /// Why not all layers were lowered, by the worst of the outputs; empty when they were.
  std::string refusal = {};
  /// Whether it was measured on random numbers, nobody having given inputs.
  bool isOnRandomInputs = false;
  /// In the order of the graph.
  std::vector<PrecisionLayer> layers = {};

  size_t numLowered() const;
  bool lowers(std::string_view node) const;
  bool operator==(const PrecisionChoice &) const = default;
};

/// Usage error unless it is a share above 0 and at most 1.
Status checkMaxError(double maxError);

} // namespace quern
