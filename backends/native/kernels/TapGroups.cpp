//===- TapGroups.cpp - several taps of a filter's row at once -------------===//
#include "backends/native/kernels/TapGroups.h"

#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <cassert>
#include <map>

using namespace mlir;
using namespace quern;
using namespace quern::native;

TapGroups::TapGroups(KernelBuilder &kb, const DepthwiseSpec &spec)
    : kb(kb), spec(spec),
      registerLanes(std::min(spec.lanes, kb.target().lanes(spec.types.accumulate))),
      place{spec.types, registerLanes, /*vectorA=*/true},
      engine(chooseEngine(kb.target(), spec.types, spec.tapsAtOnce, registerLanes)) {
  assert(taps() == 4 && "groups are of bytes");
}

Type TapGroups::vectorOf(DType dtype, int64_t count) const {
  return VectorType::get({count}, kb.builder().getIntegerType(dtypeBits(dtype)));
}

Value TapGroups::bitCast(Value value, DType dtype, int64_t count) const {
  return kb.builder().create<vector::BitCastOp>(kb.loc(), vectorOf(dtype, count), value);
}

TapGroups::Weights TapGroups::weightsAt(Value pointer) const {
  OpBuilder &ops = kb.builder();
  int64_t bits = dtypeBits(spec.types.b), groupBits = bits * taps();
  auto shifted = [&]<typename Shift>(Value words, int64_t count) -> Value {
    Attribute each = ops.getI32IntegerAttr(static_cast<int32_t>(count));
    auto type = cast<VectorType>(words.getType());
    Value counts = ops.create<arith::ConstantOp>(kb.loc(), SplatElementsAttr::get(type, each));
    return ops.create<Shift>(kb.loc(), words, counts);
  };
  Weights weights;
  int64_t groups = ceilDiv(spec.columns, taps());
  for (int64_t g = 0; g < groups; ++g) {
    Value at = kb.advance(pointer, g * spec.lanes * taps(), spec.types.b);
    weights.even.push_back(kb.load(at, DType::Int32, spec.lanes));
  }
  if (spec.stride % 2 == 0)
    return weights;
  for (int64_t g = 0; g < ceilDiv(spec.columns + 1, taps()); ++g) {
    Value moved;
    if (g < groups)
      moved = shifted.operator()<arith::ShLIOp>(weights.even[g], bits);
    if (g > 0) {
      Value carried = shifted.operator()<arith::ShRUIOp>(weights.even[g - 1], groupBits - bits);
      moved = moved ? ops.create<arith::OrIOp>(kb.loc(), moved, carried) : carried;
    }
    weights.odd.push_back(moved);
  }
  return weights;
}

Value TapGroups::loadAll(ArrayRef<Pixel> pixels) const {
  if (llvm::all_of(pixels, [](const Pixel &pixel) { return pixel.isInLine; }))
    return kb.load(pixels[0].at, spec.types.a, taps() * spec.lanes);
  return joined(llvm::map_to_vector<4>(pixels, [&](const Pixel &pixel) { return load(pixel); }),
                spec.lanes);
}

Value TapGroups::shuffle(Value a, Value b, llvm::function_ref<int64_t(int64_t)> place,
                         int64_t count) const {
  SmallVector<int64_t> places;
  for (int64_t i = 0; i < count; ++i)
    places.push_back(place(i));
  return kb.builder().create<vector::ShuffleOp>(kb.loc(), a, b, places);
}

// Of blocks of more than two registers halves are brought together first: no instruction permutes
// more than two.
Value TapGroups::groupAt(PixelAt pixelAt, int64_t first) const {
  SmallVector<Pixel> pixels;
  for (int64_t i = 0; i < taps(); ++i)
    pixels.push_back(pixelAt(first + i));
  auto sorted = [&](Value a, Value b, int64_t lanes) {
    auto place = [&](int64_t i) { return i % taps() * lanes + i / taps(); };
    return bitCast(shuffle(a, b, place, lanes * taps()), DType::Int32, lanes);
  };
  if (spec.lanes <= 2 * registerLanes) {
    Value all = loadAll(pixels);
    return sorted(all, all, spec.lanes);
  }
  SmallVector<Value> loaded;
  for (const Pixel &pixel : pixels)
    loaded.push_back(load(pixel));
  int64_t half = spec.lanes / 2;
  SmallVector<Value, 2> halves;
  for (int64_t begin : {int64_t{0}, half}) {
    auto place = [&](int64_t i) { return i / half * spec.lanes + begin + i % half; };
    Value firstTwo = shuffle(loaded[0], loaded[1], place, spec.lanes);
    Value lastTwo = shuffle(loaded[2], loaded[3], place, spec.lanes);
    halves.push_back(sorted(firstTwo, lastTwo, half));
  }
  return joined(halves, half);
}

Value TapGroups::joined(ArrayRef<Value> parts, int64_t lanesOfPart) const {
  if (parts.size() == 1)
    return parts[0];
  size_t half = parts.size() / 2;
  auto lanes = lanesOfPart * static_cast<int64_t>(half);
  return shuffle(
      joined(parts.take_front(half), lanesOfPart), joined(parts.drop_front(half), lanesOfPart),
      [](int64_t i) { return i; }, 2 * lanes);
}

Value TapGroups::add(Value group, Value weights, Value sum) const {
  SmallVector<Value, 4> parts;
  for (int64_t first = 0; first < spec.lanes; first += registerLanes) {
    auto partOf = [&](Value all) {
      return shuffle(all, all, [&](int64_t i) { return first + i; }, registerLanes);
    };
    Value part = partOf(sum);
    for (int64_t i = 0; i < engine.parts; ++i)
      part = engine.add(kb, place, engine.partOfA(kb, place, partOf(group), i),
                        engine.partOfB(kb, place, partOf(weights), i), part);
    parts.push_back(part);
  }
  return joined(parts, registerLanes);
}

void TapGroups::addRow(const Weights &weights, PixelAt pixelAt, Values &sums) const {
  struct Use {
    size_t sum;
    Value weights;
  };
  std::map<int64_t, SmallVector<Use>> usesOf;
  for (size_t i = 0; i < sums.size(); ++i) {
    int64_t window = static_cast<int64_t>(i) * spec.stride;
    bool isOdd = window % 2 != 0;
    for (auto [g, ofGroup] : llvm::enumerate(isOdd ? weights.odd : weights.even))
      usesOf[window - (isOdd ? 1 : 0) + static_cast<int64_t>(g) * taps()].push_back({i, ofGroup});
  }
  for (const auto &[first, uses] : usesOf) {
    Value group = groupAt(pixelAt, first);
    for (const Use &use : uses)
      sums[use.sum] = add(group, use.weights, sums[use.sum]);
  }
}

Value TapGroups::addSame(const Weights &weights, Value pixel, Value sum) const {
  Value group = groupAt([&](int64_t) { return Pixel{pixel, /*isInLine=*/false}; }, 0);
  for (Value ofGroup : weights.even)
    sum = add(group, ofGroup, sum);
  return sum;
}
