//===- Quantize.h - models with smaller numbers -----------------------------===//
//
// Post-training quantization: a float32 model becomes a standard ONNX model with 8-bit integers
// (QuantizeLinear and DequantizeLinear around its layers), smaller weights, or float16. What that
// costs is measured on inputs that took no part in it: error, agreement, time.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Model.h"
#include "quern/QuantizeOptions.h"
#include "quern/Statistics.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace quern {

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
