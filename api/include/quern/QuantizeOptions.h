//===- QuantizeOptions.h - how a model is quantized -------------------------===//
#pragma once

#include "quern/OptionText.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

struct QuantizeOptions {
  /// "static": activations and weights of layers in 8 bits, activations by what they were in
  /// calibration. "dynamic": the activations of products by what they are in each run.
  /// "weights-int8" and "weights-int4": weights only, the latter in blocks. "float16".
  std::string mode = "static";
  /// How ranges of activations follow from what was seen: "min-max", "percentile", "entropy"
  /// (least Kullback-Leibler divergence), "mse" (least squared error).
  std::string calibration = "min-max";
  /// Of the values that "percentile" keeps in range.
  double percentile = 99.99;
  /// A scale for each output channel of weights, or one for all.
  bool perChannel = true;
  /// Activations as int8 rather than uint8.
  bool signedActivations = false;
  /// Weights that share a scale in "weights-int4": a power of two.
  int64_t blockSize = 32;
  /// In "static", where it helps: biases make up for the mean error that rounding the weights
  /// brings; neighbouring convolutions share out the magnitudes of their weights.
  bool correctBias = true;
  bool equalize = true;
  /// Nodes that stay as they are.
  std::vector<std::string> keep = {};

  /// The largest error of an output, by its largest magnitude.
  double maxError = 0.01;
  /// How many times as fast as before it must be.
  double minSpeedup = 1.1;
  /// How long to measure times.
  double seconds = 2;
};

/// Calls visit(text, member) for each option but `seconds`, which programs say as a duration.
template <typename Visit> void visitQuantizeOptions(Visit &&visit) {
  using Options = QuantizeOptions;
  visit(OptionText{"mode", "--mode", "MODE",
                   "static (default), dynamic, weights-int8, weights-int4 or float16"},
        &Options::mode);
  visit(OptionText{"calibration", "--calibration", "METHOD",
                   "Ranges of activations: min-max (default), percentile, entropy or mse"},
        &Options::calibration);
  visit(OptionText{"percentile", "--percentile", "P",
                   "What --calibration percentile keeps in range (default 99.99)"},
        &Options::percentile);
  visit(OptionText{"per_channel", "--per-tensor", "",
                   "One scale for all weights of a layer, not one for each output channel"},
        &Options::perChannel);
  visit(OptionText{"signed_activations", "--signed", "", "Activations as int8, not as uint8"},
        &Options::signedActivations);
  visit(OptionText{"block_size", "--block-size", "SIZE",
                   "Weights that share a scale in weights-int4: a power of two (default 32)",
                   OptionUse::Everywhere, 16, 1024},
        &Options::blockSize);
  visit(OptionText{"correct_bias", "--no-bias-correction", "",
                   "Biases do not make up for the mean error of rounded weights, where that helps"},
        &Options::correctBias);
  visit(OptionText{"equalize", "--no-equalization", "",
                   "Neighbouring convolutions do not share out the magnitudes of their weights, "
                   "where that helps"},
        &Options::equalize);
  visit(OptionText{"keep", "--keep", "NODES", "Nodes that stay as they are, with commas between"},
        &Options::keep);
  visit(OptionText{"max_error", "--max-error", "E",
                   "Of any output, by its largest magnitude (default 0.01); layers that cost most "
                   "stay in float until it holds"},
        &Options::maxError);
  visit(OptionText{"min_speedup", "--min-speedup", "S",
                   "How many times as fast as before it must be (default 1.1)"},
        &Options::minSpeedup);
}

} // namespace quern
