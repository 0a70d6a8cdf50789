//===- DotMicroKernel.cpp - a tile of accumulators over a nest of k loops -===//
#include "backends/native/kernels/DotMicroKernel.h"

#include "backends/native/emit/Prefetch.h"
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::native;

DotMicroKernel::DotMicroKernel(KernelBuilder &kb, const DotTile &tile, DotOperands given)
    : kb(kb), tile(tile), operands(std::move(given)),
      engine(chooseEngine(kb.target(), tile.types, tile.group, tile.lanes)) {
  operands.levels.resize(tile.levels.size());
  operands.activeLanes.resize(tile.vectors);
  operands.rowStrideA = orIndex(tile.rowStrideA, operands.rowStrideA);
  if (tile.packedB)
    operands.strideB = kb.index(tile.columns() * tile.group);
}

Value DotMicroKernel::advanceB(Value pointer, Value elements) {
  int64_t perByte = 8 / std::min(dtypeBits(tile.types.b), 8);
  if (perByte == 1)
    return kb.advance(pointer, elements, tile.types.b);
  return kb.advance(pointer, kb.div(elements, kb.index(perByte)), DType::UInt8);
}

DotMicroKernel::Values DotMicroKernel::zeros(int64_t rows) {
  Value zero =
      nn::ScalarEmitter(kb.builder(), kb.loc(), tile.types.accumulate, tile.lanes).constant(0);
  return Values(rows * tile.vectors, zero);
}

DotMicroKernel::Values DotMicroKernel::accumulate(int64_t rows, Value a, Value b, Values sums) {
  Cursor at{a, b, operands.ahead};
  for (int64_t chain = 1; chain < tile.chains; ++chain)
    sums.append(zeros(rows));
  sums = joinChains(emitLevel(0, rows, at, std::move(sums)));
  if (tile.lastSteps > 0)
    return emitLastTrip(rows, at, std::move(sums));
  if (!tile.partialGroup)
    return sums;
  Value once = kb.minSigned(operands.leftOver, kb.index(1));
  return kb.forLoop(kb.index(0), once, 1, sums, [&](Value, ValueRange now) {
    return emitStep(rows, at, Values(now), operands.leftOver);
  });
}

/// A tile of one trip of the first level, with fewer steps in the last one.
DotMicroKernel::Values DotMicroKernel::emitLastTrip(int64_t rows, const Cursor &at, Values sums) {
  DotTile last = tile;
  last.lastSteps = last.lastElements = 0;
  last.levels.erase(last.levels.begin());
  DotTile::Level &steps = last.levels.back();
  int64_t allSteps = steps.trip;
  steps.trip = tile.lastElements > 0 ? tile.lastSteps - 1 : tile.lastSteps;
  steps.unroll = std::clamp<int64_t>(steps.trip, 1, steps.unroll);
  DotOperands inner = operands;
  inner.levels.erase(inner.levels.begin());
  inner.ahead = at.ahead;
  DotMicroKernel kernel(kb, last, std::move(inner));
  kernel.skippedB = allSteps - tile.lastSteps;
  kernel.elementsBehind = tile.lastElements;
  return kernel.accumulate(rows, at.a, at.b, std::move(sums));
}

/// Emits a level and those inside of it; `at` moves on to what follows.
DotMicroKernel::Values DotMicroKernel::emitLevel(size_t index, int64_t rows, Cursor &at,
                                                 Values sums) {
  const DotTile::Level &level = tile.levels[index];
  bool innermost = index + 1 == tile.levels.size();
  Value trip = orIndex(level.trip, operands.levels[index].trip);
  Value strideA = orIndex(level.strideA, operands.levels[index].strideA);
  auto loop = [&](Value from, Value to, int64_t step, const Values &carried) {
    return kb.forLoop(from, to, step, carried, [&](Value, ValueRange now) -> Values {
      Cursor here = takeCursor(now), next = here;
      Values inner(now);
      if (innermost) {
        for (int64_t u = 0; u < step; ++u)
          inner = emitStepOf(u % tile.chains, rows, moved(here, strideA, u), std::move(inner));
        next = moved(here, strideA, step);
      } else {
        inner = emitLevel(index + 1, rows, next, std::move(inner));
        next.a = kb.advance(here.a, strideA, tile.types.a);
        if (level.hasStrideB)
          next.b = advanceB(here.b, operands.levels[index].strideB);
        else if (skippedB > 0 && index + 2 == tile.levels.size())
          next.b = advanceB(next.b, kb.mul(operands.strideB, skippedB));
      }
      return carriedOf(next, inner);
    });
  };
  int64_t unroll = innermost ? level.unroll : 1;
  Value full = trip;
  if (unroll > 1 && (level.trip == DotTile::kRuntime || level.trip % unroll != 0))
    full = kb.mul(kb.div(trip, kb.index(unroll)), unroll);
  Values carried = loop(kb.index(0), full, unroll, carriedOf(at, sums));
  if (full != trip)
    carried = loop(full, trip, 1, carried);
  ValueRange found = carried;
  at = takeCursor(found);
  if (!innermost || elementsBehind == 0)
    return Values(found);
  sums = emitStep(rows, at, Values(found), kb.index(elementsBehind));
  at = moved(at, strideA, 1);
  return sums;
}

DotMicroKernel::Values DotMicroKernel::carriedOf(const Cursor &cursor, ValueRange sums) {
  Values all = {cursor.a, cursor.b};
  if (cursor.ahead)
    all.push_back(cursor.ahead);
  all.append(sums.begin(), sums.end());
  return all;
}

DotMicroKernel::Cursor DotMicroKernel::takeCursor(ValueRange &carried) const {
  Cursor cursor{carried[0], carried[1], {}};
  carried = carried.drop_front(2);
  if (!operands.ahead)
    return cursor;
  cursor.ahead = carried[0];
  carried = carried.drop_front(1);
  return cursor;
}

DotMicroKernel::Cursor DotMicroKernel::moved(const Cursor &from, Value strideA, int64_t steps) {
  Cursor to{kb.advance(from.a, kb.mul(strideA, steps), tile.types.a),
            advanceB(from.b, kb.mul(operands.strideB, steps)), from.ahead};
  if (from.ahead)
    to.ahead =
        kb.advance(from.ahead, kb.mul(operands.aheadStride, steps * tile.linesAhead), DType::UInt8);
  return to;
}

void DotMicroKernel::askAhead(const Cursor &at) {
  for (int64_t line = 0; at.ahead && line < tile.linesAhead; ++line)
    // The first cache is full of what is multiplied now.
    prefetch(kb, kb.advance(at.ahead, kb.mul(operands.aheadStride, line), DType::UInt8),
             CacheLevel::Second);
}

DotMicroKernel::Values DotMicroKernel::emitStepOf(int64_t chain, int64_t rows, const Cursor &at,
                                                  Values sums) {
  auto ofChain = MutableArrayRef(sums).slice(chain * rows * tile.vectors, rows * tile.vectors);
  llvm::copy(emitStep(rows, at, Values(ofChain)), ofChain.begin());
  return sums;
}

DotMicroKernel::Values DotMicroKernel::joinChains(Values sums) {
  OpBuilder &ops = kb.builder();
  for (int64_t chains = tile.chains; chains > 1; chains /= 2) {
    size_t half = sums.size() / 2;
    for (size_t i = 0; i < half; ++i)
      sums[i] = isFloat(tile.types.accumulate)
                    ? ops.create<arith::AddFOp>(kb.loc(), sums[i], sums[half + i]).getResult()
                    : ops.create<arith::AddIOp>(kb.loc(), sums[i], sums[half + i]).getResult();
    sums.truncate(half);
  }
  return sums;
}

DotMicroKernel::Values DotMicroKernel::emitStep(int64_t rows, const Cursor &at, Values sums,
                                                Value count) {
  DotEngine::Place place{tile.types, tile.lanes, /*vectorA=*/false};
  Values rowGroups, columnGroups;
  askAhead(at);
  for (int64_t v = 0; v < tile.vectors; ++v) {
    Value offset = operands.vectorOffsets.empty() ? kb.index(v * tile.lanes * tile.group)
                                                  : operands.vectorOffsets[v];
    columnGroups.push_back(
        engine.loadB(kb, place, advanceB(at.b, offset), operands.activeLanes[v]));
  }
  // Two parts at a time: more of B than that would not fit the registers.
  for (int64_t first = 0; first < engine.parts; first += 2) {
    int64_t end = std::min(first + 2, engine.parts);
    Values columns;
    for (int64_t part = first; part < end; ++part)
      for (Value group : columnGroups)
        columns.push_back(engine.partOfB(kb, place, group, part));
    for (int64_t r = 0; r < rows; ++r) {
      Value ofRow = kb.advance(at.a, kb.mul(operands.rowStrideA, r), tile.types.a);
      if (first == 0) // near its use
        rowGroups.push_back(engine.loadA(kb, place, ofRow, count));
      for (int64_t part = first; part < end; ++part) {
        Value row = engine.partOfA(kb, place, rowGroups[r], part);
        for (int64_t v = 0; v < tile.vectors; ++v) {
          Value &sum = sums[r * tile.vectors + v];
          sum = engine.add(kb, place, row, columns[(part - first) * tile.vectors + v], sum);
        }
      }
    }
  }
  return sums;
}
