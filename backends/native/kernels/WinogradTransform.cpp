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
/// The positive numbers among the points.
SmallVector<double, 3> pairsOf(WinogradFilter filter) {
  switch (filter.points()) {
  case 3:
  case 4:
    return {1};
  case 5:
    return {0.5, 1.25};
  case 6:
    return {0.75, 1.5};
  case 7:
    return {0.25, 1, 1.75};
  default:
    assert(filter.points() == 8);
    return {0.5, 1, 1.75};
  }
}

/// The coefficients of the product of x^2 - p^2 for all pairs but number `without`, from x^0 on in
/// steps of x^2.
SmallVector<double, 4> productOf(ArrayRef<double> pairs, size_t without) {
  SmallVector<double, 4> product = {1};
  for (auto [i, p] : llvm::enumerate(pairs)) {
    if (i == without)
      continue;
    product.insert(product.begin(), 0);
    for (size_t j = 0; j + 1 < product.size(); ++j)
      product[j] -= p * p * product[j + 1];
  }
  return product;
}

/// Of all pairs.
SmallVector<double, 4> productOf(ArrayRef<double> pairs) { return productOf(pairs, pairs.size()); }

/// One-dimensional transforms of vectors.
class Transform {
public:
  using Values = KernelBuilder::Values;

  Transform(KernelBuilder &kb, int64_t lanes) : kb(kb), lanes(lanes) {}

  /// For each point, the inputs times the polynomial that is zero at all other ones.
  Values ofInputs(WinogradFilter filter, ValueRange inputs) {
    if (filter.isShared())
      return Values(inputs);
    SmallVector<double, 3> pairs = pairsOf(filter);
    size_t afterZero = filter.hasZero() ? 1 : 0;
    Values points;
    if (filter.hasZero())
      points.push_back(everySecond(inputs, productOf(pairs)));
    for (auto [i, p] : llvm::enumerate(pairs)) {
      SmallVector<double, 4> others = productOf(pairs, i);
      Value odd = everySecond(inputs.drop_front(afterZero), others);
      Value even = everySecond(inputs.drop_front(afterZero + 1), others);
      points.append({madd(p, odd, even), madd(-p, odd, even)});
    }
    points.push_back(everySecond(inputs.drop_front(afterZero), productOf(pairs)));
    return points;
  }

  /// Result i is the sum of the points' products times the points to the power of i.
  Values ofSums(WinogradFilter filter, ValueRange sums) {
    if (filter.isShared())
      return Values(sums);
    SmallVector<double, 3> pairs = pairsOf(filter), powers(pairs.size(), 1);
    Values even, odd;
    for (size_t i = filter.hasZero() ? 1 : 0; i + 1 < sums.size(); i += 2) {
      even.push_back(add(sums[i], sums[i + 1]));
      odd.push_back(sub(sums[i], sums[i + 1]));
    }
    Values results;
    for (int64_t i = 0; i < filter.results; ++i) {
      Value result = i + 1 == filter.results ? sums.back() : Value();
      for (size_t pair = pairs.size(); pair-- > 0;) {
        Value some = i % 2 == 0 ? even[pair] : odd[pair];
        result = result ? madd(powers[pair], some, result) : times(powers[pair], some);
        powers[pair] *= pairs[pair];
      }
      results.push_back(i == 0 && filter.hasZero() ? add(sums.front(), result) : result);
    }
    return results;
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

private:
  Value add(Value a, Value b) { return kb.builder().create<arith::AddFOp>(kb.loc(), a, b); }
  Value sub(Value a, Value b) { return kb.builder().create<arith::SubFOp>(kb.loc(), a, b); }
  Value constant(double value) { return kb.floatConstant(DType::Float32, lanes, value); }
  Value times(double factor, Value a) {
    if (factor == 1)
      return a;
    return kb.builder().create<arith::MulFOp>(kb.loc(), constant(factor), a);
  }
  Value madd(double factor, Value a, Value b) {
    if (factor == 1)
      return add(b, a);
    return factor == -1 ? sub(b, a) : kb.multiplyAdd(constant(factor), a, b);
  }
  /// The first of the vectors times the first factor, the third times the second and so on; the
  /// last factor is 1.
  Value everySecond(ValueRange vectors, ArrayRef<double> factors) {
    Value sum = vectors[2 * (factors.size() - 1)];
    for (size_t i = factors.size() - 1; i-- > 0;)
      sum = madd(factors[i], vectors[2 * i], sum);
    return sum;
  }

  KernelBuilder &kb;
  int64_t lanes;
};
} // namespace

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

/// Of a filter with so many results: more err by more than is allowed.
static int64_t mostTaps(int64_t results) {
  switch (results) {
  case 2:
    return 7;
  case 3:
    return 5;
  default:
    return 3;
  }
}

SmallVector<WinogradFilter, 4> WinogradAxis::parts() const {
  const int64_t most = mostTaps(results);
  SmallVector<WinogradFilter, 4> parts;
  for (int64_t phase = 0; phase < std::min(taps, stride); ++phase)
    for (int64_t tap = phase; tap < taps; tap += most * stride)
      parts.push_back({results, std::min(most, ceilDiv(taps - tap, stride)), tap});
  llvm::stable_sort(parts, [](const auto &a, const auto &b) { return a.taps > b.taps; });
  int64_t firstPoint = 0;
  for (WinogradFilter &part : parts) {
    part.firstPoint = firstPoint;
    firstPoint += part.points();
  }
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
  // Those of 5 x 5 weights with a stride. Of more, inputs and sums of a few tiles fill the second
  // cache.
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

KernelBuilder::Values native::transformInputs(KernelBuilder &kb, const WinogradFilter &part,
                                              ValueRange inputs, int64_t lanes) {
  return Transform(kb, lanes).ofInputs(part, inputs);
}

KernelBuilder::Values native::transformSums(KernelBuilder &kb, const WinogradAxis &axis,
                                            ValueRange sums, int64_t lanes) {
  return Transform(kb, lanes).ofSums(axis, sums);
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

namespace {
constexpr int64_t kMaxTaps = 7, kMaxWeights = 16;
using FilterRow = std::array<double, kMaxTaps>;
using FilterTransform = SmallVector<FilterRow, kMaxWeights>;
} // namespace

/// What the weights of a filter are multiplied by for each point, its powers over the product of
/// its distances from all others; once where all points share one.
static FilterTransform filterTransform(WinogradFilter filter) {
  if (filter.isShared())
    return {{1}};
  SmallVector<double, 3> pairs = pairsOf(filter);
  FilterTransform rows;
  auto addPoint = [&](double point, double distances) {
    FilterRow row{};
    double power = 1 / distances;
    for (int64_t i = 0; i < filter.taps; ++i, power *= point)
      row[i] = power;
    rows.push_back(row);
  };
  if (filter.hasZero())
    addPoint(0, productOf(pairs).front());
  for (auto [i, p] : llvm::enumerate(pairs)) {
    double distances = filter.hasZero() ? p : 1;
    for (auto [j, other] : llvm::enumerate(pairs))
      distances *= i == j ? 2 * p : p * p - other * other;
    addPoint(p, distances);
    addPoint(-p, filter.hasZero() ? distances : -distances);
  }
  // Infinity, which only the last weight meets.
  FilterRow last{};
  last[filter.taps - 1] = 1;
  rows.push_back(last);
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
