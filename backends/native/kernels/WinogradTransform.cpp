//===- WinogradTransform.cpp - small filters with fewer multiplications ---===//
#include "backends/native/kernels/WinogradTransform.h"

#include "runtime/values/CeilDiv.h"
#include "runtime/values/Unaligned.h"
#include "runtime/values/WeightMemory.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <oneapi/tbb/parallel_for.h>

#include <array>
#include <cassert>
#include <cstring>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
/// The points of F(4, r) are 0, +-near, +-far and infinity; those of F(2, r) 0, +-1 and infinity.
/// F(m, 2) is F(m, 3) with a first weight of 0, so without point 0, whose product that is.
struct Points {
  double near, far, near2 = near * near, far2 = far * far;
};

constexpr Points pointsOf(WinogradFilter filter) {
  return filter.taps == 3 ? Points{0.75, 1.5} : Points{0.5, 1.25};
}

/// One-dimensional transforms of vectors.
class Transform {
public:
  using Values = KernelBuilder::Values;

  Transform(KernelBuilder &kb, int64_t lanes) : kb(kb), lanes(lanes) {}

  Values ofInputs(WinogradFilter filter, ValueRange inputs) {
    if (filter.isShared())
      return Values(inputs);
    bool hasZero = filter.taps == 3;
    auto d = [&](int64_t i) { return inputs[hasZero ? i : i - 1]; };
    Values points;
    if (filter.results == 2) {
      if (hasZero)
        points.push_back(sub(d(0), d(2)));
      points.append({add(d(1), d(2)), sub(d(2), d(1)), sub(d(1), d(3))});
      return points;
    }
    Points p = pointsOf(filter);
    Value even = madd(-p.far2, d(2), d(4)), odd = madd(-p.far2, d(1), d(3));
    Value farEven = madd(-p.near2, d(2), d(4)), farOdd = madd(-p.near2, d(1), d(3));
    auto edge = [&](int64_t i) {
      return madd(p.near2 * p.far2, d(i), madd(-(p.near2 + p.far2), d(i + 2), d(i + 4)));
    };
    if (hasZero)
      points.push_back(edge(0));
    points.append({madd(p.near, odd, even), madd(-p.near, odd, even), madd(p.far, farOdd, farEven),
                   madd(-p.far, farOdd, farEven), edge(1)});
    return points;
  }

  Values ofSums(WinogradFilter filter, ValueRange sums) {
    if (filter.isShared())
      return Values(sums);
    bool hasZero = filter.taps == 3;
    auto s = [&](int64_t i) { return sums[hasZero ? i : i - 1]; };
    auto withZero = [&](Value sum) { return hasZero ? add(s(0), sum) : sum; };
    if (filter.results == 2) {
      Value first = hasZero ? add(add(s(0), s(1)), s(2)) : add(s(1), s(2));
      return {first, sub(sub(s(1), s(2)), s(3))};
    }
    Points p = pointsOf(filter);
    Value even = add(s(1), s(2)), odd = sub(s(1), s(2));
    Value farEven = add(s(3), s(4)), farOdd = sub(s(3), s(4));
    return {add(withZero(even), farEven), madd(p.near, odd, times(p.far, farOdd)),
            madd(p.near2, even, times(p.far2, farEven)),
            madd(p.near2 * p.near, odd, madd(p.far2 * p.far, farOdd, s(5)))};
  }

  /// The sums of all parts.
  Values ofSums(const WinogradAxis &axis, ValueRange sums) {
    Values results;
    for (const WinogradFilter &part : axis.parts()) {
      Values ofPart = ofSums(part, sums.take_front(part.points()));
      sums = sums.drop_front(part.points());
      for (size_t i = 0; i < results.size(); ++i)
        ofPart[i] = add(results[i], ofPart[i]);
      results = std::move(ofPart);
    }
    return results;
  }

  /// All columns, of `width` of them, and then the rows of what they give.
  template <typename Column, typename Row>
  static Values ofBoth(ValueRange vectors, int64_t width, Column ofColumn, Row ofRow) {
    SmallVector<Values> columns;
    for (int64_t j = 0; j < width; ++j) {
      Values column;
      for (size_t i = j; i < vectors.size(); i += width)
        column.push_back(vectors[i]);
      columns.push_back(ofColumn(column));
    }
    Values all;
    for (size_t i = 0; i < columns.front().size(); ++i) {
      Values row;
      for (const Values &column : columns)
        row.push_back(column[i]);
      all.append(ofRow(row));
    }
    return all;
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
  int64_t lanes;
};
} // namespace

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

SmallVector<WinogradFilter, 4> WinogradAxis::parts() const {
  constexpr int64_t kMost = 3;
  SmallVector<WinogradFilter, 4> parts;
  for (int64_t phase = 0; phase < std::min(taps, stride); ++phase)
    for (int64_t tap = phase; tap < taps; tap += kMost * stride)
      parts.push_back({results, std::min(kMost, ceilDiv(taps - tap, stride)), tap});
  llvm::stable_sort(parts, [](const auto &a, const auto &b) { return a.taps > b.taps; });
  return parts;
}

int64_t WinogradAxis::points() const {
  int64_t points = 0;
  for (const WinogradFilter &part : parts())
    points += part.points();
  return points;
}

int64_t WinogradAxis::sharedPoints() const {
  int64_t points = 0;
  for (const WinogradFilter &part : parts())
    points += part.isShared() ? part.points() : 0;
  return points;
}

bool WinogradTile::pays() const {
  // Those of 5 x 5 weights. Of more, inputs and sums of a few tiles fill the second cache.
  constexpr int64_t kMostPoints = 121;
  for (const WinogradAxis &axis : {rows, columns})
    if (llvm::count_if(axis.parts(), [](const auto &part) { return part.isShared(); }) > 1)
      return false;
  return points() <= kMostPoints && points() < results() * rows.taps * columns.taps;
}

std::string WinogradTile::label() const {
  std::string label = std::to_string(std::max(rows.results, columns.results));
  if (rows.taps != 3 || columns.taps != 3)
    label += fmt::format("_{}x{}", rows.taps, columns.taps);
  if (rows.stride != columns.stride)
    label += fmt::format("_s{}x{}", rows.stride, columns.stride);
  else if (rows.stride != 1)
    label += fmt::format("_s{}", rows.stride);
  return label;
}

KernelBuilder::Values native::transformInputs(KernelBuilder &kb, WinogradFilter rows,
                                              WinogradFilter columns, ValueRange inputs,
                                              int64_t lanes) {
  Transform transform(kb, lanes);
  return Transform::ofBoth(
      inputs, columns.points(), [&](ValueRange d) { return transform.ofInputs(rows, d); },
      [&](ValueRange d) { return transform.ofInputs(columns, d); });
}

KernelBuilder::Values native::transformSums(KernelBuilder &kb, const WinogradTile &tile,
                                            ValueRange sums, int64_t lanes) {
  Transform transform(kb, lanes);
  return Transform::ofBoth(
      sums, tile.columns.points(), [&](ValueRange s) { return transform.ofSums(tile.rows, s); },
      [&](ValueRange s) { return transform.ofSums(tile.columns, s); });
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

namespace {
constexpr int64_t kMaxTaps = 7, kMaxWeights = 16;
using FilterRow = std::array<double, kMaxTaps>;
using FilterTransform = SmallVector<FilterRow, kMaxWeights>;
} // namespace

/// What the weights of a filter are multiplied by for each point; once where all points share one.
static FilterTransform filterTransform(WinogradFilter filter) {
  if (filter.isShared())
    return {{1, 0, 0}};
  FilterTransform rows;
  if (filter.results == 2) {
    rows = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  } else {
    assert(filter.results == 4);
    Points p = pointsOf(filter);
    double near = 2 * p.near2 * (p.near2 - p.far2), far = 2 * p.far2 * (p.far2 - p.near2);
    rows = {{1 / (p.near2 * p.far2), 0, 0},
            {1 / near, p.near / near, p.near2 / near},
            {1 / near, -p.near / near, p.near2 / near},
            {1 / far, p.far / far, p.far2 / far},
            {1 / far, -p.far / far, p.far2 / far},
            {0, 0, 1}};
  }
  if (filter.taps == 3)
    return rows;
  rows.erase(rows.begin());
  for (FilterRow &row : rows)
    row = {row[1], row[2], 0};
  return rows;
}

/// The same for all weights along an axis.
static FilterTransform filterTransform(const WinogradAxis &axis) {
  FilterTransform rows;
  for (const WinogradFilter &part : axis.parts())
    for (const FilterRow &ofPart : filterTransform(part)) {
      FilterRow row{};
      for (int64_t tap = 0; tap < part.taps; ++tap)
        row[part.firstTap + tap * axis.stride] = ofPart[tap];
      rows.push_back(row);
    }
  return rows;
}

Expected<Tensor> native::packWinogradWeights(const Tensor &weights, const WinogradTile &tile,
                                             int64_t tileColumns) {
  int64_t outputs = weights.dim(0), channels = weights.dim(1), matrices = tile.weights();
  int64_t tiles = ceilDiv(outputs, tileColumns);
  QUERN_ASSIGN(Tensor packed,
               allocateWeights(DType::Float32, {tiles, matrices, channels, tileColumns}));
  std::memset(packed.mutableRawData(), 0, static_cast<size_t>(packed.numBytes()));
  FilterTransform rows = filterTransform(tile.rows), columns = filterTransform(tile.columns);
  int64_t height = tile.rows.taps, width = tile.columns.taps;
  UnalignedElements<float> from(weights.rawData());
  auto *to = packed.mutableData<float>();
  oneapi::tbb::parallel_for(int64_t{0}, outputs * channels, [&](int64_t index) {
    int64_t output = index / channels, channel = index % channels;
    float *next = to + output / tileColumns * matrices * channels * tileColumns +
                  channel * tileColumns + output % tileColumns;
    for (const FilterRow &row : rows) {
      double sums[kMaxTaps] = {};
      for (int64_t x = 0; x < width; ++x)
        for (int64_t y = 0; y < height; ++y)
          sums[x] += row[y] * from[(index * height + y) * width + x];
      for (const FilterRow &column : columns) {
        double sum = 0;
        for (int64_t x = 0; x < width; ++x)
          sum += sums[x] * column[x];
        *next = static_cast<float>(sum);
        next += channels * tileColumns;
      }
    }
  });
  return packed;
}
