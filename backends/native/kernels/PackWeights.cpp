//===- PackWeights.cpp - constant weights in the order kernels read them --===//
#include "backends/native/kernels/PackWeights.h"

#include "runtime/values/CeilDiv.h"
#include "runtime/values/Unaligned.h"
#include "runtime/values/WeightMemory.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <vector>

using namespace quern;
using namespace quern::native;

/// Calls `body(T{})` with the C++ type of a packable dtype.
template <typename Body> static Expected<Tensor> withType(DType dtype, Body body) {
  if (dtype == DType::Float32)
    return body(float{});
  if (dtype == DType::Float64)
    return body(double{});
  if (dtype == DType::Int8 || dtype == DType::UInt8)
    return body(uint8_t{});
  if (dtype == DType::BFloat16 || dtype == DType::Float16)
    return body(uint16_t{});
  if (dtype == DType::Int32 || dtype == DType::UInt32)
    return body(uint32_t{});
  if (dtype == DType::Int64 || dtype == DType::UInt64)
    return body(uint64_t{});
  return internalError("cannot pack weights of type " + std::string(dtypeName(dtype)));
}

/// Where row `k` of a tile has column `j`.
static int64_t placeInTile(int64_t k, int64_t j, int64_t tileColumns, int64_t group) {
  return (k / group * tileColumns + j) * group + k % group;
}

FilterView FilterView::all(const Tensor &weights) {
  FilterView view;
  view.outputs = weights.dim(0);
  view.inputs = weights.dim(1);
  int64_t filters = view.outputs * view.inputs;
  view.positions.resize(filters == 0 ? 0 : weights.numElements() / filters);
  std::iota(view.positions.begin(), view.positions.end(), 0);
  view.inputStride = static_cast<int64_t>(view.positions.size());
  view.outputStride = view.inputs * view.inputStride;
  return view;
}

Expected<Tensor> native::packConvWeights(const Tensor &weights, const FilterView &filter,
                                         int64_t inputBlock, int64_t tileColumns, int64_t group) {
  int64_t outputs = filter.outputs, inputs = filter.inputs;
  auto positions = static_cast<int64_t>(filter.positions.size());
  int64_t block = std::max<int64_t>(inputBlock, 1);
  int64_t depth = ceilDiv(inputs, block) * positions * block;
  int64_t tiles = ceilDiv(outputs, tileColumns);
  QUERN_ASSIGN(Tensor packed, allocateWeights(weights.dtype(), {tiles, depth, tileColumns}));
  return withType(weights.dtype(), [&]<typename T>(T) -> Expected<Tensor> {
    UnalignedElements<T> from(weights.rawData());
    T *to = static_cast<T *>(packed.mutableRawData());
    oneapi::tbb::parallel_for(int64_t{0}, tiles, [&](int64_t tile) {
      int64_t columns = std::min(tileColumns, outputs - tile * tileColumns);
      T *rows = to + tile * depth * tileColumns;
      if (columns < tileColumns || inputs % block != 0)
        std::fill_n(rows, depth * tileColumns, T{});
      for (int64_t j = 0; j < columns; ++j) {
        UnalignedElements<T> ofOutput = from + (tile * tileColumns + j) * filter.outputStride;
        for (int64_t c = 0; c < inputs; ++c)
          for (int64_t p = 0; p < positions; ++p) {
            int64_t k = (c / block * positions + p) * block + c % block;
            rows[placeInTile(k, j, tileColumns, group)] =
                ofOutput[c * filter.inputStride + filter.positions[p]];
          }
      }
    });
    return packed;
  });
}

Expected<Tensor> native::packDepthwiseWeights(const Tensor &weights, int64_t lanes, int64_t taps) {
  int64_t results = weights.dim(0), group = weights.dim(1), columns = weights.dims().back();
  int64_t filter = results == 0 ? 0 : weights.numElements() / results;
  int64_t positions = group == 0 ? 0 : filter / group,
          rows = columns == 0 ? 0 : positions / columns;
  int64_t packedColumns = ceilDiv(columns, taps) * taps;
  QUERN_ASSIGN(Tensor packed,
               Tensor::allocate(weights.dtype(),
                                {ceilDiv(results, lanes), rows * packedColumns * group, lanes}));
  return withType(weights.dtype(), [&]<typename T>(T) -> Expected<Tensor> {
    UnalignedElements<T> from(weights.rawData());
    T *to = static_cast<T *>(packed.mutableRawData());
    auto placeOf = [&](int64_t r, int64_t c, int64_t p) {
      int64_t row = r / lanes * rows + p / columns, column = p % columns;
      int64_t first = (row * packedColumns + column / taps * taps) * group + c;
      return first * lanes + r % lanes * taps + column % taps;
    };
    for (int64_t r = 0; r < results; ++r)
      for (int64_t c = 0; c < group; ++c)
        for (int64_t p = 0; p < positions; ++p)
          to[placeOf(r, c, p)] = from[r * filter + c * positions + p];
    return packed;
  });
}

/// Rows [begin, end) of k, of the tile of columns that starts at `first`. Groups are whole but
/// for the last.
template <typename T>
static void packTileRows(UnalignedElements<T> from, const MatrixPack &pack, int64_t first,
                         int64_t begin, int64_t end, T *out) {
  int64_t columns = std::min(pack.tileColumns, pack.n - first);
  from = from + first * pack.strideN;
  int64_t paddedEnd = end == pack.k ? pack.paddedK() : end;
  if (columns < pack.tileColumns || paddedEnd > end)
    std::fill_n(out + begin * pack.tileColumns, (paddedEnd - begin) * pack.tileColumns, T{});
  if (pack.scale == 1 && pack.strideN == 1 && pack.group == 1) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(out + i * pack.tileColumns, from.at(i * pack.strideK),
                  static_cast<size_t>(columns) * sizeof(T));
    return;
  }
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t i = begin; i < end; ++i) {
      T value = from[i * pack.strideK + j * pack.strideN];
      if constexpr (std::is_floating_point_v<T>) // integers are never scaled
        value = static_cast<T>(value * pack.scale);
      out[placeInTile(i, j, pack.tileColumns, pack.group)] = value;
    }
}

/// Rows [row, rowEnd) of tiles [tile, tileEnd) of one matrix of the batch.
template <typename T>
static void packPart(UnalignedElements<T> from, const MatrixPack &pack, int64_t row, int64_t rowEnd,
                     int64_t tile, int64_t tileEnd, T *to) {
  constexpr int64_t kRowsOfTask = 1024;
  int64_t rowTasks = ceilDiv(rowEnd - row, kRowsOfTask);
  oneapi::tbb::parallel_for(int64_t{0}, (tileEnd - tile) * rowTasks, [&](int64_t task) {
    int64_t t = tile + task / rowTasks, begin = row + task % rowTasks * kRowsOfTask;
    packTileRows(from, pack, t * pack.tileColumns, begin, std::min(begin + kRowsOfTask, rowEnd),
                 to + t * pack.paddedK() * pack.tileColumns);
  });
}

// Goes through the source in the order of its addresses, a few megabytes at a time,
// so that a large one is never in memory as a whole.
Expected<Tensor> native::packMatrix(const Tensor &matrix, const MatrixPack &pack,
                                    const std::function<void(int64_t begin, int64_t end)> &done) {
  constexpr int64_t kPartBytes = int64_t{4} << 20;
  int64_t tiles = ceilDiv(pack.n, pack.tileColumns);
  QUERN_ASSIGN(Tensor packed, allocateWeights(matrix.dtype(), {pack.batch, tiles, pack.paddedK(),
                                                               pack.tileColumns}));
  return withType(matrix.dtype(), [&]<typename T>(T) -> Expected<Tensor> {
    constexpr auto kElement = static_cast<int64_t>(sizeof(T));
    // A part is of rows or of tiles, whichever lie one after the other.
    bool byRows = pack.strideN == 1;
    int64_t lines = byRows ? pack.k : tiles, lineElements = byRows ? pack.n : pack.k;
    int64_t lineBytes = lineElements * (byRows ? 1 : pack.tileColumns) * kElement;
    int64_t part = std::max<int64_t>(kPartBytes / std::max<int64_t>(lineBytes, 1), 1);
    if (byRows) // groups are whole
      part = ceilDiv(part, pack.group) * pack.group;
    for (int64_t batch = 0; batch < pack.batch; ++batch) {
      int64_t start = batch * pack.k * pack.n;
      UnalignedElements<T> from = UnalignedElements<T>(matrix.rawData()) + start;
      T *to = static_cast<T *>(packed.mutableRawData()) +
              batch * tiles * pack.paddedK() * pack.tileColumns;
      for (int64_t line = 0; line < lines; line += part) {
        int64_t end = std::min(line + part, lines);
        if (byRows)
          packPart(from, pack, line, end, 0, tiles, to);
        else
          packPart(from, pack, 0, pack.k, line, end, to);
        if (done)
          done(start * kElement + line * lineBytes,
               std::min(start + pack.k * pack.n, start + end * (lineBytes / kElement)) * kElement);
      }
    }
    return packed;
  });
}

Expected<Tensor> native::packFewBits(const Tensor &weights, int64_t offset, int64_t group,
                                     int64_t tileColumns) {
  int64_t n = weights.dim(0), k = weights.dim(1), tiles = ceilDiv(n, tileColumns);
  int64_t bits = 32 / group;
  QUERN_ASSIGN(Tensor packed, allocateWeights(DType::UInt32, {tiles, k / group, tileColumns}));
  std::memset(packed.mutableRawData(), 0, static_cast<size_t>(packed.numBytes()));
  const auto *from = static_cast<const uint8_t *>(weights.rawData());
  auto *to = static_cast<uint32_t *>(packed.mutableRawData());
  auto mask = static_cast<uint32_t>((int64_t{1} << bits) - 1);
  oneapi::tbb::parallel_for(int64_t{0}, n, [&](int64_t row) {
    uint32_t *words = to + row / tileColumns * (k / group) * tileColumns + row % tileColumns;
    for (int64_t i = 0; i < k; ++i) {
      auto number = static_cast<uint32_t>(from[row * k + i] - offset) & mask;
      words[i / group * tileColumns] |= number << (i % group * bits);
    }
  });
  return packed;
}

/// Elements of numbers of 8 bits or less, or of float32, in float32.
static std::vector<float> readNumbers(const Tensor &numbers) {
  std::vector<float> values(static_cast<size_t>(numbers.numElements()));
  UnalignedElements<float> floats(numbers.rawData());
  const auto *bytes = static_cast<const uint8_t *>(numbers.rawData());
  for (size_t i = 0; i < values.size(); ++i) {
    if (numbers.dtype() == DType::Float32)
      values[i] = floats[static_cast<int64_t>(i)];
    else if (isSignedInteger(numbers.dtype()))
      values[i] = static_cast<int8_t>(bytes[i]);
    else
      values[i] = bytes[i];
  }
  return values;
}

Expected<Tensor> native::packBlockNumbers(const Tensor &numbers, int64_t tileColumns) {
  int64_t n = numbers.dim(0), blocks = numbers.dim(1), tiles = ceilDiv(n, tileColumns);
  std::vector<float> values = readNumbers(numbers);
  QUERN_ASSIGN(Tensor packed, Tensor::allocate(DType::Float32, {tiles, blocks, tileColumns}));
  auto *to = packed.mutableData<float>();
  for (int64_t row = 0; row < n; ++row)
    for (int64_t block = 0; block < blocks; ++block)
      to[(row / tileColumns * blocks + block) * tileColumns + row % tileColumns] =
          values[static_cast<size_t>(row * blocks + block)];
  return packed;
}

Expected<Tensor> native::padVector(const Tensor &vector, int64_t multiple) {
  int64_t size = ceilDiv(vector.numElements(), multiple) * multiple;
  QUERN_ASSIGN(Tensor padded, Tensor::allocate(vector.dtype(), {size}));
  std::memcpy(padded.mutableRawData(), vector.rawData(), static_cast<size_t>(vector.numBytes()));
  return padded;
}
