//===- ChannelConstants.h - arithmetic on per-channel constants -----------===//
//
// Natively on buffers, in double and rounded once.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Tensor.h"

#include "mlir/IR/Value.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace quern::passes {

/// The elements of a float constant as one value per channel, when it broadcasts
/// to a tensor of `rank` dimensions along dimension `axis` only; a single element
/// is repeated. nullopt for other values.
std::optional<std::vector<double>> channelValues(mlir::Value value, int64_t rank, int64_t axis,
                                                 int64_t channels);
/// A tensor of `dtype` (a float type) and `dims` with these elements.
Expected<Tensor> tensorFromDoubles(DType dtype, Tensor::Dims dims, std::span<const double> values);

/// Where the output channels lie in a weight tensor, seen as the dimensions
/// [groups, repeats, perGroup, inner]: element (g, r, j, i) is of channel
/// g * perGroup + j.
struct ChannelOrder {
  int64_t groups = 1;
  int64_t repeats = 1;
  int64_t perGroup = 1;
  int64_t inner = 1;

  int64_t channels() const { return groups * perGroup; }
  bool operator==(const ChannelOrder &) const = default;
};

/// A copy of `weights` with each element multiplied by the factor of its channel.
/// `weights` may lie at any address, see runtime/values/Unaligned.h.
Expected<Tensor> scaleChannels(const Tensor &weights, const ChannelOrder &order,
                               std::span<const double> factors);

} // namespace quern::passes
