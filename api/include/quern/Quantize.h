//===- Quantize.h - models with smaller numbers -----------------------------===//
//
// Post-training quantization: a float32 model becomes a standard ONNX model with 8-bit integers
// (QuantizeLinear and DequantizeLinear around its layers), smaller weights, or float16. What that
// costs is measured on inputs that took no part in it: error, agreement, time.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Model.h"
#include "quern/OptionText.h"
#include "quern/Statistics.h"

#include <cstdint>
#include <span>
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

/// A layer with weights, and what became of it.
struct QuantizedLayer {
  std::string node, op;
  bool quantized = false;
  /// Why not; empty when it is.
  std::string reason;
  /// Signal to noise of its result in the written model, in decibels; infinite where it is exact.
  double sqnr = 0;
  /// The same of the model's worst output when this layer alone is quantized; NaN unless layers
  /// had to be ranked.
  double sensitivity = 0;
};

/// How far an output is from what it was.
struct QuantizedOutput {
  std::string name;
  /// The largest difference, and the largest magnitude there is.
  double maxAbsolute = 0, magnitude = 0;
  double sqnr = 0;
  /// Elements that differ, of integers, bools and strings.
  int64_t mismatches = 0;
  /// Why it cannot be compared; empty when it can.
  std::string incomparable = {};

  /// maxAbsolute by magnitude.
  double error() const;
};

/// A model that was written, and what was measured of it on the held-back inputs.
struct Quantization {
  /// The bytes of the ONNX file.
  std::string model;
  std::vector<QuantizedLayer> layers;
  std::vector<QuantizedOutput> outputs;
  /// Rows of float outputs: all, those whose largest entry is the same, and those whose
  /// largest entry leads by more than the bound on the error, which must all be among the latter.
  int64_t rows = 0, agreeing = 0, decided = 0, decidedAgreeing = 0;
  /// Milliseconds of a run in Quern, measured in turn.
  Statistics before, after;
  int threads = 0;
  int64_t bytesBefore = 0, bytesAfter = 0;
  int64_t calibrated = 0, heldBack = 0;
  /// Whether inputs were too few to hold some back: those of calibration were measured.
  bool measuredOnCalibration = false;
  double maxError = 0, minSpeedup = 0;

  int64_t quantizedLayers() const;
  /// By the medians.
  double speedup() const;
  /// AccuracyMismatch that names what is out of bounds.
  Status accuracy() const;
  /// TooSlow.
  Status speed() const;
  /// The first of both that is no success.
  Status verdict() const;
};

/// Quantizes a model file. `samples` are inputs, one value per input of the model when it was
/// given `sizes`; a part of them is held back. Nothing is refused for being slow or inaccurate:
/// that is the caller's, by Quantization::verdict. Errors: Usage for options, InvalidModel,
/// Unsupported for a model of which nothing can be quantized, InvalidInput, ResourceLimit, Io.
Expected<Quantization> quantize(const std::string &path,
                                std::span<const std::vector<AnyValue>> samples,
                                const QuantizeOptions &options = {},
                                const CompileOptions &compile = {}, const InputSizes &sizes = {});
/// The same of a model in memory.
Expected<Quantization> quantize(const ModelBytes &model,
                                std::span<const std::vector<AnyValue>> samples,
                                const QuantizeOptions &options = {},
                                const CompileOptions &compile = {}, const InputSizes &sizes = {});

} // namespace quern
