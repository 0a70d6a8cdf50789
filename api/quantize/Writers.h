//===- Writers.h - models with smaller numbers ----------------------------===//
//
// Each takes a model whose opset has what it writes (opsetOf), the layers that findLayers found in
// it, and which of them to quantize.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "api/quantize/Layers.h"
#include "api/quantize/Ranges.h"
#include "api/quantize/Region.h"

#include <functional>

namespace quern::quantization {

/// The opset that a mode's models are of at least.
int64_t opsetOf(Mode mode);

/// What was seen of the values of a model in calibration.
struct Calibration {
  /// Of each value that may be quantized.
  std::map<std::string, Range> ranges;
  /// The mean of the input of a layer by input channel, by the layer's name.
  std::map<std::string, std::vector<double>> inputMeans;
};

using ValuePredicate = std::function<bool(const std::string &)>;

struct WriteOptions {
  Mode mode = Mode::Static;
  bool perChannel = true;
  DType activations = DType::UInt8;
  int64_t blockSize = 32;
  bool correctBias = true;
};

/// Layers and what lies between them on quantized values: QuantizeLinear and DequantizeLinear
/// around each, weights as int8, biases as int32.
Status writeStatic(EditableModel &model, std::span<const Layer> layers,
                   const std::vector<bool> &chosen, const Calibration &calibration,
                   const WriteOptions &options);
/// Products as DynamicQuantizeLinear and MatMulInteger.
Status writeDynamic(EditableModel &model, std::span<const Layer> layers,
                    const std::vector<bool> &chosen, const WriteOptions &options);
/// Weights as int8, or as int4 in blocks, behind DequantizeLinear.
Status writeWeights(EditableModel &model, std::span<const Layer> layers,
                    const std::vector<bool> &chosen, const WriteOptions &options);
/// All in float16 that has a float16 form, but for the layers that are not chosen. Inputs and
/// outputs stay as they are. `isFloat` says of a value whether it is float32, `fits` whether
/// float16 has its numbers, rounded.
Status writeFloat16(EditableModel &model, std::span<const Layer> layers,
                    const std::vector<bool> &chosen, const ValuePredicate &isFloat,
                    const ValuePredicate &fits);

} // namespace quern::quantization
