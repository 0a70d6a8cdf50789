//===- Region.h - where a graph computes with integers --------------------===//
//
// Layers that are quantized, and what lies between them that integers pass through: pools,
// moves, sums and concatenations. At the border values are quantized and dequantized.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "api/quantize/Layers.h"

namespace quern::quantization {

struct Region {
  /// By node of the graph: whether it reads and makes quantized values.
  std::vector<bool> nodes;
  /// The values that are quantized, each with the one that has its scale and zero point: itself,
  /// or the one that it was moved from.
  std::map<std::string, std::string> shared;

  bool isQuantized(const std::string &value) const { return shared.count(value) != 0; }
};

/// The region of the layers of which `chosen` says so. What is beside layers belongs to it only
/// where a layer of it, or what leads to one, reads the result.
Region findRegion(const EditableModel &model, const GraphIndex &index,
                  std::span<const Layer> layers, const std::vector<bool> &chosen);

} // namespace quern::quantization
