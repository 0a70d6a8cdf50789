//===- PackWeights.cpp - constant weights in the order kernels read them --===//
#include "backends/native/kernels/PackWeights.h"

#include "runtime/lib/CeilDiv.h"

#include <oneapi/tbb/parallel_for.h>

#include <cstring>

using namespace quern;
using namespace quern::native;

/// Calls `body(T{})` with the C++ type of a packable dtype.
template <typename Body> static Expected<Tensor> withType(DType dtype, Body body) {
  if (dtype == DType::Float32)
    return body(float{});
  if (dtype == DType::Float64)
    return body(double{});
  return internalError("cannot pack weights of type " + std::string(dtypeName(dtype)));
}

Expected<Tensor> native::packConvWeights(const Tensor &weights, int64_t inputBlock,
                                         int64_t tileColumns) {
  int64_t outputs = weights.dim(0), inputs = weights.dim(1);
  int64_t positions = inputs == 0 ? 0 : weights.numElements() / (outputs * inputs);
  int64_t block = std::max<int64_t>(inputBlock, 1);
  int64_t depth = ceilDiv(inputs, block) * positions * block;
  int64_t tiles = ceilDiv(outputs, tileColumns);
  QUERN_ASSIGN(Tensor packed, Tensor::allocate(weights.dtype(), {tiles, depth, tileColumns}));
  return withType(weights.dtype(), [&]<typename T>(T) -> Expected<Tensor> {
    const T *from = weights.data<T>();
    T *to = packed.mutableData<T>();
    oneapi::tbb::parallel_for(int64_t{0}, tiles, [&](int64_t tile) {
      for (int64_t j = 0; j < std::min(tileColumns, outputs - tile * tileColumns); ++j) {
        const T *filter = from + (tile * tileColumns + j) * inputs * positions;
        T *column = to + tile * depth * tileColumns + j;
        for (int64_t c = 0; c < inputs; ++c)
          for (int64_t p = 0; p < positions; ++p) {
            int64_t k = (c / block * positions + p) * block + c % block;
            column[k * tileColumns] = filter[c * positions + p];
          }
      }
    });
    return packed;
  });
}

Expected<Tensor> native::packDepthwiseWeights(const Tensor &weights, int64_t lanes) {
  int64_t channels = weights.dim(0);
  int64_t positions = channels == 0 ? 0 : weights.numElements() / channels;
  QUERN_ASSIGN(Tensor packed,
               Tensor::allocate(weights.dtype(), {ceilDiv(channels, lanes), positions, lanes}));
  return withType(weights.dtype(), [&]<typename T>(T) -> Expected<Tensor> {
    T *to = packed.mutableData<T>();
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < positions; ++p)
        to[(c / lanes * positions + p) * lanes + c % lanes] = weights.data<T>()[c * positions + p];
    return packed;
  });
}

Expected<Tensor> native::packMatrix(const Tensor &matrix, const MatrixPack &pack) {
  int64_t tiles = ceilDiv(pack.n, pack.tileColumns);
  QUERN_ASSIGN(Tensor packed,
               Tensor::allocate(matrix.dtype(), {pack.batch, tiles, pack.k, pack.tileColumns}));
  return withType(matrix.dtype(), [&]<typename T>(T) -> Expected<Tensor> {
    T *to = packed.mutableData<T>();
    oneapi::tbb::parallel_for(int64_t{0}, pack.batch * tiles, [&](int64_t task) {
      int64_t tile = task % tiles, batch = task / tiles;
      int64_t first = tile * pack.tileColumns;
      const T *from = matrix.data<T>() + batch * pack.k * pack.n + first * pack.strideN;
      T *out = to + task * pack.k * pack.tileColumns;
      int64_t columns = std::min(pack.tileColumns, pack.n - first);
      if (pack.scale == 1 && pack.strideN == 1) {
        for (int64_t i = 0; i < pack.k; ++i)
          std::memcpy(out + i * pack.tileColumns, from + i * pack.strideK,
                      static_cast<size_t>(columns) * sizeof(T));
        return;
      }
      for (int64_t j = 0; j < columns; ++j)
        for (int64_t i = 0; i < pack.k; ++i)
          out[i * pack.tileColumns + j] =
              static_cast<T>(from[i * pack.strideK + j * pack.strideN] * pack.scale);
    });
    return packed;
  });
}

Expected<Tensor> native::padVector(const Tensor &vector, int64_t multiple) {
  int64_t size = ceilDiv(vector.numElements(), multiple) * multiple;
  QUERN_ASSIGN(Tensor padded, Tensor::allocate(vector.dtype(), {size}));
  std::memcpy(padded.mutableRawData(), vector.rawData(), static_cast<size_t>(vector.numBytes()));
  return padded;
}
