//===- ChannelConstants.cpp - arithmetic on per-channel constants ---------===//
#include "passes/ChannelConstants.h"

#include "ir/Constants.h"
#include "ir/Types.h"
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/values/Unaligned.h"

using namespace quern;
using namespace quern::passes;

std::optional<std::vector<double>> passes::channelValues(mlir::Value value, int64_t rank,
                                                         int64_t axis, int64_t channels) {
  // From the type first: reading a large constant takes long.
  auto type = mlir::dyn_cast<mlir::RankedTensorType>(value.getType());
  if (!type || type.getRank() > rank || !type.hasStaticShape() ||
      (type.getNumElements() != 1 && type.getNumElements() != channels))
    return std::nullopt;
  std::optional<Tensor> tensor = nn::constantTensor(value);
  if (!tensor)
    return std::nullopt;
  int64_t offset = rank - tensor->rank();
  for (int64_t i = 0; i < tensor->rank(); ++i)
    if (tensor->dim(i) != 1 && (i + offset != axis || tensor->dim(i) != channels))
      return std::nullopt;
  std::vector<double> values(channels);
  bool isScalar = tensor->numElements() == 1;
  Status status = reference::visitFloat(tensor->dtype(), [&]<typename T>() {
    for (int64_t c = 0; c < channels; ++c)
      values[c] = reference::widen(tensor->data<T>()[isScalar ? 0 : c]);
    return Status::ok();
  });
  return status.isOk() ? std::optional(std::move(values)) : std::nullopt;
}

Expected<Tensor> passes::tensorFromDoubles(DType dtype, Tensor::Dims dims,
                                           std::span<const double> values) {
  QUERN_ASSIGN(Tensor tensor, Tensor::allocateUninitialized(dtype, std::move(dims)));
  QUERN_TRY(reference::visitFloat(dtype, [&]<typename T>() {
    for (size_t i = 0; i < values.size(); ++i)
      tensor.mutableData<T>()[i] = reference::narrow<T>(values[i]);
    return Status::ok();
  }));
  return tensor;
}

Expected<Tensor> passes::scaleChannels(const Tensor &weights, const ChannelOrder &order,
                                       std::span<const double> factors) {
  QUERN_ASSIGN(Tensor result, Tensor::allocateUninitialized(weights.dtype(), weights.dims()));
  QUERN_TRY(reference::visitFloat(weights.dtype(), [&]<typename T>() {
    UnalignedElements<T> in(weights.rawData());
    T *out = result.mutableData<T>();
    int64_t at = 0;
    for (int64_t g = 0; g < order.groups; ++g)
      for (int64_t r = 0; r < order.repeats; ++r)
        for (int64_t j = 0; j < order.perGroup; ++j) {
          double factor = factors[g * order.perGroup + j];
          for (int64_t i = 0; i < order.inner; ++i, ++at)
            out[at] = reference::narrow<T>(reference::widen(in[at]) * factor);
        }
    return Status::ok();
  }));
  return result;
}
