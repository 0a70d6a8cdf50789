//===- TiledDotKernel.cpp - products and convolutions by tiles of matrices ===//
#include "backends/native/kernels/TiledDotKernel.h"

#include "backends/native/emit/Prefetch.h"
#include "backends/native/kernels/DotDriver.h"

#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>
#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

constexpr int64_t kTileRows = TiledDotDims::kTileRows, kLanes = TiledDotDims::kLanes,
                  kElementsOfBlock = TiledDotDims::kElementsOfBlock;

std::string TiledDotSpec::name() const {
  return fmt::format(FMT_COMPILE("tiles_{}{}x{}{}"), dot.tile.types.label(), kTileRows,
                     dot.tile.columns(), dot.epilogue.program.label());
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
class TiledDotEmitter : DotDriver {
public:
  TiledDotEmitter(KernelBuilder &kb, const TiledDotSpec &spec)
      : DotDriver(kb, spec.dot), tiled(spec), unit(kb, types) {}

  void emit();

private:
  /// The tiles of one product: 2 of A by 1 or 2 of B, or 1 of A by 1 to 4 of B.
  struct Shape {
    int64_t ofA, ofB;
    /// Vectors of a row of sums.
    int64_t width() const { return ofA == 1 ? 4 : 2; }
    int64_t sums(int64_t half, int64_t v) const { return half * width() + v; }
  };
  /// Lines of a unit, and rows of each.
  struct Skipped {
    Value lines, rows;
  };
  /// What is multiplied at a time.
  struct Block {
    Shape shape;
    /// Its first vector of columns.
    int64_t first;
    /// Of the line; what lies before `skipped` is stored elsewhere.
    Value firstRow;
    Skipped skipped;
    /// Where its sums go.
    Value sums;
  };
  struct Cursor {
    Value a, b;
    /// What is asked for; none if null.
    Value ahead;
  };

  void emitTask(Value task);
  /// Where tile `index` of a line begins, and the rows that it is there for.
  Value firstRowOf(Value index);
  Value wantedRow(Value index);
  /// The columns that the rows of a tile are multiplied by at a time: how many, and the first.
  llvm::SmallVector<std::pair<Shape, int64_t>, 2> passesOfTile() const;
  /// Unit `index` of a column tile.
  void emitUnit(const Tile &tile, Value index);
  /// A tile whose first row is `firstRow` of the line; `skipped` is stored elsewhere.
  void emitTile(const Tile &tile, Value firstRow, const Skipped &skipped);
  /// Units [from, to) of a column tile, one part of k after the other.
  void emitParts(const Tile &tile, Value from, Value to);
  void emitPart(const Tile &tile, const Block &block, Value isFirst);
  /// What the columns of `block` read of the tile's rows at `a`.
  Cursor cursorOf(const Tile &tile, Value a, const Block &block);
  void clearSums(const Shape &shape);
  /// Sums to memory, or from there.
  void moveSums(const Block &block, void (TileUnit::*move)(int64_t, Value, Value));
  /// Adds to the sums, in `trips` of the first level.
  void multiplyAll(const Shape &shape, Cursor at, Value trips);
  /// Emits the trips of a level, and the levels inside of it; what follows it.
  Cursor emitLevel(const Shape &shape, size_t index, Value trips, Cursor at);
  void emitStep(const Shape &shape, const Cursor &at, Value strideA, Value secondA);
  /// Lines [first, linesAhead) of what a step asks for; `ahead` is the first of them.
  void askAhead(Value ahead, int64_t first);
  /// What is left of the rows at `a` at the end of k, and zeros behind it, in `rest`.
  void copyRest(Value a);
  /// The epilogue.
  void storeSums(const Tile &tile, const Block &block);

  Value elementsOfA(Value count) { return kb.mul(count, dtypeBytes(types.a)); }
  Value rowStrideA() { return kb.dim(&DotDims::rowStrideA); }

  const TiledDotSpec &tiled;
  TileUnit unit;
  /// Rows of two vectors of sums; rows of what is left over of A.
  Value sums, rest;
};
} // namespace

void TiledDotEmitter::emit() {
  if (!spec.splitsK)
    sums = kb.stackSpace(types.accumulate, kElementsOfBlock);
  if (tiled.partialStep)
    rest = kb.stackSpace(DType::UInt8, kTileRows * TileUnit::kRowBytes);
  std::array<Value, 3> words;
  for (int64_t i = 0; i < 3; ++i)
    words[i] = kb.dim(dimIndex(&TiledDotDims::configuration) + i);
  unit.configure(words);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  unit.release();
}

void TiledDotEmitter::emitTask(Value task) {
  Place place = placeOfTask(task);
  const Tile &tile = place.tile;
  Value from = place.from;
  if (spec.splitsK)
    return emitParts(tile, from, place.to);
  kb.forLoop(from, place.to, 1, [&](Value index) {
    Tile asking = tile;
    if (tile.ahead)
      asking.ahead =
          kb.advance(tile.ahead, kb.mul(kb.sub(index, from), kb.dim(&DotDims::aheadShareOfLine)),
                     DType::UInt8);
    emitUnit(asking, index);
  });
}

Value TiledDotEmitter::wantedRow(Value index) {
  return kb.mul(index, kb.dim(&TiledDotDims::tileStep));
}

Value TiledDotEmitter::firstRowOf(Value index) {
  Value last = kb.sub(kb.dim(&TiledDotDims::lineRows), kb.dim(&TiledDotDims::tileStep));
  return kb.minSigned(wantedRow(index), last);
}

void TiledDotEmitter::emitUnit(const Tile &tile, Value index) {
  auto emitAt = [&](const Tile &line, Value t, Value skippedLines) {
    Value firstRow = firstRowOf(t);
    emitTile(line, firstRow, {skippedLines, kb.sub(wantedRow(t), firstRow)});
  };
  if (spec.flat)
    return emitAt(tile, index, kb.index(0));
  Value ofUnit = kb.dim(&TiledDotDims::linesOfUnit);
  Value wanted = kb.mul(index, ofUnit);
  Value line = kb.minSigned(wanted, kb.sub(kb.dim(&TiledDotDims::allLines), ofUnit));
  Value skipped = kb.sub(wanted, line);
  Tile inLine = tileOfLine(tile, line);
  // Its share counts by units, not by lines.
  inLine.ahead = tile.ahead;
  kb.forLoop(kb.index(0), kb.dim(&TiledDotDims::tilesOfLine), 1, [&](Value t) {
    Tile asking = inLine;
    if (tile.ahead)
      asking.ahead = kb.advance(tile.ahead, kb.mul(t, kb.dim(&DotDims::aheadShare)), DType::UInt8);
    emitAt(asking, t, skipped);
  });
}

void TiledDotEmitter::emitTile(const Tile &tile, Value firstRow, const Skipped &skipped) {
  Value a = kb.advance(tile.a, kb.mul(firstRow, rowStrideA()), types.a);
  if (tiled.partialStep)
    copyRest(a);
  for (const auto &[shape, first] : passesOfTile()) {
    Block block{shape, first, firstRow, skipped, sums};
    clearSums(shape);
    multiplyAll(shape, cursorOf(tile, a, block), ofLevel(0, &DotDims::Level::trip));
    moveSums(block, &TileUnit::store);
    storeSums(tile, block);
  }
}

llvm::SmallVector<std::pair<TiledDotEmitter::Shape, int64_t>, 2>
TiledDotEmitter::passesOfTile() const {
  llvm::SmallVector<std::pair<Shape, int64_t>, 2> passes;
  int64_t ofA = tiled.oneHalf ? 1 : 2;
  int64_t vectors = spec.tile.vectors, width = Shape{ofA, 1}.width();
  for (int64_t first = 0; first < vectors; first += width)
    passes.push_back({{ofA, std::min(width, vectors - first)}, first});
  return passes;
}

void TiledDotEmitter::emitParts(const Tile &tile, Value from, Value to) {
  Value trips = ofLevel(0, &DotDims::Level::trip), ofPart = kb.dim(&DotDims::stepsOfPart);
  kb.forLoop(kb.index(0), kb.dim(&DotDims::partsOfK), 1, [&](Value number) {
    Value done = kb.mul(number, ofPart);
    Tile part = tile;
    part.steps = kb.minSigned(ofPart, kb.sub(trips, done));
    part.a = kb.advance(tile.a, kb.mul(done, ofLevel(0, &DotDims::Level::strideA)), types.a);
    part.b = kb.advance(tile.b, kb.mul(done, kb.dim(&TiledDotDims::tripElementsB)), types.b);
    part.isLastPart = kb.lessThan(kb.sub(trips, kb.add(ofPart, kb.index(1))), done);
    Value isFirst = kb.lessThan(done, kb.index(1));
    auto passes = passesOfTile();
    for (const auto &[index, pass] : llvm::enumerate(passes)) {
      kb.forLoop(from, to, 1, [&, index = index, pass = pass](Value unitIndex) {
        Value firstRow = firstRowOf(unitIndex), ofChunk = kb.sub(unitIndex, from);
        Value place = kb.add(kb.mul(ofChunk, static_cast<int64_t>(passes.size())),
                             kb.index(static_cast<int64_t>(index)));
        Tile asking = part;
        if (tile.ahead) {
          Value share = kb.add(kb.mul(ofChunk, kb.dim(&DotDims::aheadShare)),
                               kb.mul(done, kb.dim(&TiledDotDims::aheadShareOfTrip)));
          asking.ahead = kb.advance(tile.ahead, share, DType::UInt8);
        }
        emitPart(asking,
                 {pass.first,
                  pass.second,
                  firstRow,
                  {kb.index(0), kb.sub(wantedRow(unitIndex), firstRow)},
                  kb.advance(kb.scratch(), kb.mul(place, kElementsOfBlock), types.accumulate)},
                 isFirst);
      });
    }
  });
}

void TiledDotEmitter::emitPart(const Tile &tile, const Block &block, Value isFirst) {
  kb.ifThen(isFirst, [&] { clearSums(block.shape); }, [&] { moveSums(block, &TileUnit::load); });
  Value a = kb.advance(tile.a, kb.mul(block.firstRow, rowStrideA()), types.a);
  multiplyAll(block.shape, cursorOf(tile, a, block), tile.steps);
  moveSums(block, &TileUnit::store);
  kb.ifThen(tile.isLastPart, [&] { storeSums(tile, block); });
}

TiledDotEmitter::Cursor TiledDotEmitter::cursorOf(const Tile &tile, Value a, const Block &block) {
  Cursor at{a, kb.advance(tile.b, block.first * kLanes * spec.tile.group, types.b), tile.ahead};
  if (at.ahead && block.first > 0) {
    int64_t pass = block.first / block.shape.width();
    at.ahead =
        kb.advance(at.ahead, kb.mul(kb.dim(&TiledDotDims::aheadShareOfPass), pass), DType::UInt8);
  }
  return at;
}

void TiledDotEmitter::clearSums(const Shape &shape) {
  for (int64_t half = 0; half < shape.ofA; ++half)
    for (int64_t v = 0; v < shape.ofB; ++v)
      unit.clear(shape.sums(half, v));
}

void TiledDotEmitter::moveSums(const Block &block, void (TileUnit::*move)(int64_t, Value, Value)) {
  const Shape &shape = block.shape;
  int64_t width = shape.width() * kLanes;
  Value stride = kb.index(width * dtypeBytes(types.accumulate));
  for (int64_t half = 0; half < shape.ofA; ++half) {
    Value row = half == 0 ? kb.index(0) : kb.dim(&TiledDotDims::firstRows);
    Value ofHalf = kb.advance(block.sums, kb.mul(row, width), types.accumulate);
    for (int64_t v = 0; v < shape.ofB; ++v)
      (unit.*move)(shape.sums(half, v), kb.advance(ofHalf, v * kLanes, types.accumulate), stride);
  }
}

void TiledDotEmitter::multiplyAll(const Shape &shape, Cursor at, Value trips) {
  Cursor end = emitLevel(shape, 0, trips, at);
  if (!tiled.partialStep)
    return;
  Value second = kb.mul(kb.dim(&TiledDotDims::firstRows), TileUnit::kRowBytes);
  emitStep(shape, {rest, end.b, {}}, kb.index(TileUnit::kRowBytes),
           kb.advance(rest, second, DType::UInt8));
}

TiledDotEmitter::Cursor TiledDotEmitter::emitLevel(const Shape &shape, size_t index, Value trips,
                                                   Cursor at) {
  Value strideA = ofLevel(index, &DotDims::Level::strideA);
  Value stepB = kb.mul(kb.dim(&TiledDotDims::stepElements), spec.tile.columns());
  Value bytesOfRow = elementsOfA(rowStrideA());
  Values carried{at.a, at.b};
  if (at.ahead)
    carried.push_back(at.ahead);
  Values end = kb.forLoop(kb.index(0), trips, 1, carried, [&](Value, ValueRange now) -> Values {
    Cursor next{now[0], now[1], at.ahead ? Value(now[2]) : Value()};
    if (index + 1 < spec.tile.levels.size()) {
      next = emitLevel(shape, index + 1, ofLevel(index + 1, &DotDims::Level::trip), next);
      if (spec.tile.levels[index].hasStrideB)
        next.b = kb.advance(now[1], ofLevel(index, &DotDims::Level::strideB), types.b);
    } else {
      emitStep(shape, next, bytesOfRow,
               kb.advance(now[0], kb.dim(&TiledDotDims::secondA), types.a));
      next.b = kb.advance(now[1], stepB, types.b);
      if (at.ahead)
        next.ahead = kb.advance(
            next.ahead, kb.mul(kb.dim(&DotDims::aheadStride), kb.dim(&TiledDotDims::linesAhead)),
            DType::UInt8);
    }
    Values results{kb.advance(now[0], strideA, types.a), next.b};
    if (at.ahead)
      results.push_back(next.ahead);
    return results;
  });
  return {end[0], end[1], at.ahead ? Value(end[2]) : Value()};
}

// How many there are is the same for all steps: branches that a CPU foresees cost less than a loop.
void TiledDotEmitter::askAhead(Value ahead, int64_t first) {
  int64_t end = std::max<int64_t>(2 * first, 2);
  if (end > spec.tile.linesAhead)
    return;
  kb.ifThen(kb.lessThan(kb.index(first), kb.dim(&TiledDotDims::linesAhead)), [&] {
    Value line = ahead;
    for (int64_t i = first; i < end; ++i) {
      prefetch(kb, line, CacheLevel::Second);
      line = kb.advance(line, kb.dim(&DotDims::aheadStride), DType::UInt8);
    }
    askAhead(line, end);
  });
}

// Products that read the same tile of B follow each other: the unit takes 16 cycles for another
// one, and for the same a cycle for each row.
void TiledDotEmitter::emitStep(const Shape &shape, const Cursor &at, Value strideA, Value secondA) {
  Value strideB = kb.index(spec.tile.columns() * 4);
  auto firstB = [&](int64_t v) { return shape.ofA == 2 ? 6 + v : 5 + v % 3; };
  constexpr int64_t kFirstA = 4;
  unit.load(kFirstA, at.a, strideA);
  if (shape.ofA == 2)
    unit.load(kFirstA + 1, secondA, strideA);
  for (int64_t v = 0; v < shape.ofB; ++v) {
    unit.load(firstB(v), kb.advance(at.b, v * kLanes * spec.tile.group, types.b), strideB);
    for (int64_t half = 0; half < shape.ofA; ++half)
      unit.multiply(shape.sums(half, v), kFirstA + half, firstB(v));
  }
  if (at.ahead)
    askAhead(at.ahead, /*first=*/0);
}

void TiledDotEmitter::copyRest(Value a) {
  Value all = kb.mul(ofLevel(0, &DotDims::Level::trip), ofLevel(0, &DotDims::Level::strideA));
  Value end = kb.advance(a, all, types.a);
  Value bytes = elementsOfA(kb.dim(&TiledDotDims::leftOver));
  Value rows = kb.add(kb.dim(&TiledDotDims::firstRows), kb.dim(&TiledDotDims::secondRows));
  kb.forLoop(kb.index(0), rows, 1, [&](Value row) {
    Value from = kb.advance(end, kb.mul(row, rowStrideA()), types.a);
    Value to = kb.advance(rest, kb.mul(row, TileUnit::kRowBytes), DType::UInt8);
    kb.store(kb.load(from, DType::UInt8, TileUnit::kRowBytes, bytes), to, DType::UInt8,
             TileUnit::kRowBytes);
  });
}

void TiledDotEmitter::storeSums(const Tile &tile, const Block &block) {
  OpBuilder &ops = kb.builder();
  int64_t count = block.shape.ofB;
  auto add = [&](Value sum, Value bias) -> Value {
    if (isFloat(types.accumulate))
      return ops.create<arith::AddFOp>(kb.loc(), sum, bias);
    return ops.create<arith::AddIOp>(kb.loc(), sum, bias);
  };
  auto rowAt = [&](Value line, Value row) {
    Value ofLine = kb.mul(line, kb.dim(&DotDims::lineStrideC));
    ResultRow vectors;
    vectors.areAdjacent = spec.contiguousColumns;
    for (int64_t v = block.first; v < block.first + count; ++v) {
      vectors.at.push_back(position(kb.add(block.firstRow, row), v));
      vectors.active.push_back(active(v));
      vectors.at.back().element = kb.add(vectors.at.back().element, ofLine);
    }
    return vectors;
  };
  auto biasAt = [&](const ResultRow &row, int64_t v) {
    return loadOperand(kb, tile.bias, *spec.bias, types.accumulate, row.at[v], kLanes,
                       row.active[v]);
  };
  SharedOperands shared;
  Values sharedBias;
  if (!spec.epilogue.access.empty() || spec.bias == OperandAccess::PerColumn) {
    ResultRow columns = rowAt(kb.index(0), kb.index(0));
    shared = loadShared(kb, spec.epilogue, tile.operands, columns, kLanes);
    for (int64_t v = 0; spec.bias == OperandAccess::PerColumn && v < count; ++v)
      sharedBias.push_back(biasAt(columns, v));
  }
  auto storeSome = [&](Value line, Value ofLine, Value first, int64_t atOnce) {
    Values results;
    SmallVector<ResultRow> rows;
    for (int64_t i = 0; i < atOnce; ++i) {
      Value row = kb.add(first, i);
      Value ofRow = kb.advance(ofLine, kb.mul(row, block.shape.width() * kLanes), types.accumulate);
      rows.push_back(rowAt(line, row));
      for (int64_t v = 0; v < count; ++v) {
        Value sum =
            kb.load(kb.advance(ofRow, v * kLanes, types.accumulate), types.accumulate, kLanes);
        if (spec.bias)
          sum = add(sum, sharedBias.empty() ? biasAt(rows.back(), v) : sharedBias[v]);
        results.push_back(sum);
      }
    }
    storeRows(tile, rows, results, shared);
  };
  kb.forLoop(block.skipped.lines, kb.dim(&TiledDotDims::linesOfUnit), 1, [&](Value line) {
    Value ofHalf = kb.dim(&TiledDotDims::linesOfHalf);
    Value first = kb.add(kb.mul(kb.div(line, ofHalf), kb.dim(&TiledDotDims::firstRows)),
                         kb.mul(kb.rem(line, ofHalf), kb.dim(&TiledDotDims::lineGap)));
    Value ofLine =
        kb.advance(block.sums, kb.mul(first, block.shape.width() * kLanes), types.accumulate);
    Value from = block.skipped.rows, to = kb.dim(&TiledDotDims::storedRows);
    if (int64_t atOnce = rowsPackedAtOnce(); atOnce > 1) {
      Value whole = kb.add(from, kb.mul(kb.div(kb.sub(to, from), kb.index(atOnce)), atOnce));
      kb.forLoop(from, whole, atOnce, [&](Value row) { storeSome(line, ofLine, row, atOnce); });
      from = whole;
    }
    kb.forLoop(from, to, 1, [&](Value row) { storeSome(line, ofLine, row, 1); });
  });
}

void TiledDotSpec::emit(KernelBuilder &kb) const { TiledDotEmitter(kb, *this).emit(); }
