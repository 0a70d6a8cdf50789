//===- WinogradTransform.cpp - small filters with fewer multiplications ---===//
#include "backends/native/kernels/WinogradTransform.h"

#include "runtime/values/CeilDiv.h"
#include "runtime/values/Unaligned.h"
#include "runtime/values/WeightMemory.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// The points of F(4, 3) are 0, +-kNear, +-kFar and infinity; those of F(2, 3) 0, +-1 and infinity.
static constexpr double kNear = 0.75, kFar = 1.5, kNear2 = kNear * kNear, kFar2 = kFar * kFar;

namespace {
/// One-dimensional transforms of vectors.
class Transform {
public:
  using Values = KernelBuilder::Values;

  Transform(KernelBuilder &kb, WinogradTile tile, int64_t lanes)
      : kb(kb), tile(tile), lanes(lanes) {}

  Values ofInputs(ValueRange d) {
    if (tile.results == 2)
      return {sub(d[0], d[2]), add(d[1], d[2]), sub(d[2], d[1]), sub(d[1], d[3])};
    Value even = madd(-kFar2, d[2], d[4]), odd = madd(-kFar2, d[1], d[3]);
    Value farEven = madd(-kNear2, d[2], d[4]), farOdd = madd(-kNear2, d[1], d[3]);
    auto edge = [&](int64_t i) {
      return madd(kNear2 * kFar2, d[i], madd(-(kNear2 + kFar2), d[i + 2], d[i + 4]));
    };
    return {edge(0),
            madd(kNear, odd, even),
            madd(-kNear, odd, even),
            madd(kFar, farOdd, farEven),
            madd(-kFar, farOdd, farEven),
            edge(1)};
  }

  Values ofSums(ValueRange s) {
    if (tile.results == 2)
      return {add(add(s[0], s[1]), s[2]), sub(sub(s[1], s[2]), s[3])};
    Value even = add(s[1], s[2]), odd = sub(s[1], s[2]);
    Value farEven = add(s[3], s[4]), farOdd = sub(s[3], s[4]);
    return {add(add(s[0], even), farEven), madd(kNear, odd, times(kFar, farOdd)),
            madd(kNear2, even, times(kFar2, farEven)),
            madd(kNear2 * kNear, odd, madd(kFar2 * kFar, farOdd, s[5]))};
  }

  /// Both axes of a square of `from` x `from` vectors, to one of `to` x `to`.
  Values ofSquare(ValueRange square, int64_t from, int64_t to,
                  Values (Transform::*axis)(ValueRange)) {
    Values columns(to * from), rows;
    for (int64_t j = 0; j < from; ++j) {
      Values column;
      for (int64_t i = 0; i < from; ++i)
        column.push_back(square[i * from + j]);
      for (auto [i, value] : llvm::enumerate((this->*axis)(column)))
        columns[static_cast<int64_t>(i) * from + j] = value;
    }
    for (int64_t i = 0; i < to; ++i)
      rows.append((this->*axis)(ValueRange(columns).slice(i * from, from)));
    return rows;
  }

private:
  Value add(Value a, Value b) { return kb.builder().create<arith::AddFOp>(kb.loc(), a, b); }
  Value sub(Value a, Value b) { return kb.builder().create<arith::SubFOp>(kb.loc(), a, b); }
  Value constant(double value) { return kb.floatConstant(DType::Float32, lanes, value); }
  Value times(double factor, Value a) {
    return kb.builder().create<arith::MulFOp>(kb.loc(), constant(factor), a);
  }
  Value madd(double factor, Value a, Value b) { return kb.multiplyAdd(constant(factor), a, b); }

  KernelBuilder &kb;
  WinogradTile tile;
  int64_t lanes;
};
} // namespace

KernelBuilder::Values native::transformInputs(KernelBuilder &kb, WinogradTile tile,
                                              ValueRange inputs, int64_t lanes) {
  return Transform(kb, tile, lanes)
      .ofSquare(inputs, tile.inputs(), tile.inputs(), &Transform::ofInputs);
}

KernelBuilder::Values native::transformSums(KernelBuilder &kb, WinogradTile tile, ValueRange sums,
                                            int64_t lanes) {
  return Transform(kb, tile, lanes).ofSquare(sums, tile.inputs(), tile.results, &Transform::ofSums);
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

namespace {
constexpr int64_t kFilter = 3, kMaxInputs = 6;
using FilterRow = std::array<double, kFilter>;
} // namespace

/// What three weights are multiplied by for each point.
static std::array<FilterRow, kMaxInputs> filterTransform(WinogradTile tile) {
  if (tile.results == 2)
    return {{{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}}};
  assert(tile.results == 4);
  double near = 2 * kNear2 * (kNear2 - kFar2), far = 2 * kFar2 * (kFar2 - kNear2);
  return {{{1 / (kNear2 * kFar2), 0, 0},
           {1 / near, kNear / near, kNear2 / near},
           {1 / near, -kNear / near, kNear2 / near},
           {1 / far, kFar / far, kFar2 / far},
           {1 / far, -kFar / far, kFar2 / far},
           {0, 0, 1}}};
}

Expected<Tensor> native::packWinogradWeights(const Tensor &weights, WinogradTile tile,
                                             int64_t tileColumns) {
  int64_t outputs = weights.dim(0), channels = weights.dim(1), points = tile.inputs();
  int64_t tiles = ceilDiv(outputs, tileColumns);
  QUERN_ASSIGN(Tensor packed,
               allocateWeights(DType::Float32, {tiles, points * points, channels, tileColumns}));
  std::memset(packed.mutableRawData(), 0, static_cast<size_t>(packed.numBytes()));
  std::array<FilterRow, kMaxInputs> transform = filterTransform(tile);
  UnalignedElements<float> from(weights.rawData());
  auto *to = packed.mutableData<float>();
  oneapi::tbb::parallel_for(int64_t{0}, outputs * channels, [&](int64_t index) {
    int64_t output = index / channels, channel = index % channels;
    double columns[kMaxInputs][kFilter];
    for (int64_t i = 0; i < points; ++i)
      for (int64_t x = 0; x < kFilter; ++x) {
        columns[i][x] = 0;
        for (int64_t y = 0; y < kFilter; ++y)
          columns[i][x] += transform[i][y] * from[(index * kFilter + y) * kFilter + x];
      }
    float *first = to + output / tileColumns * points * points * channels * tileColumns +
                   channel * tileColumns + output % tileColumns;
    for (int64_t i = 0; i < points; ++i)
      for (int64_t j = 0; j < points; ++j) {
        double sum = 0;
        for (int64_t x = 0; x < kFilter; ++x)
          sum += columns[i][x] * transform[j][x];
        first[(i * points + j) * channels * tileColumns] = static_cast<float>(sum);
      }
  });
  return packed;
}
