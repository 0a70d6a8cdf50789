//===- WinogradTiles.cpp - a tile of an image to points and back ----------===//
#include "backends/native/kernels/WinogradTiles.h"

#include "backends/native/emit/Prefetch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

static constexpr DType kType = DType::Float32;

WinogradTiles::WinogradTiles(KernelBuilder &kb, const WinogradSpec &spec)
    : kb(kb), spec(spec), tile(spec.tile), lanes(spec.product.lanes) {
  const WinogradAxis &rows = tile.rows, &columns = tile.columns;
  constexpr int64_t kMostPoints = 36;
  fitsRegisters = kb.target().vectorRegisters >= 32 && tile.points() <= kMostPoints;
  int64_t widest = std::max(columns.pixels(), columns.results);
  copy = kb.stackSpace(kType, rows.pixels() * columns.pixels() * lanes);
  halfway = kb.stackSpace(kType, rows.points() * widest * lanes);
  results = kb.stackSpace(kType, tile.results() * lanes);
}

Value WinogradTiles::select(Value condition, Value yes, Value no) const {
  return kb.builder().create<arith::SelectOp>(kb.loc(), condition, yes, no);
}
Value WinogradTiles::loadVector(Value pointer) const { return kb.load(pointer, kType, lanes); }
void WinogradTiles::storeVector(Value vector, Value pointer) const {
  kb.store(vector, pointer, kType, lanes);
}
Value WinogradTiles::advance(Value pointer, Value elements) const {
  return kb.advance(pointer, elements, kType);
}
Value WinogradTiles::placeIn(const Line &line, int64_t number) const {
  return advance(line.first, kb.mul(line.step, number));
}

void WinogradTiles::forLines(int64_t count, const std::function<void(Value)> &body) const {
  if (!fitsRegisters)
    return kb.forLoop(kb.index(0), kb.index(count), 1, body);
  for (int64_t i = 0; i < count; ++i)
    body(kb.index(i));
}

WinogradTiles::Place WinogradTiles::placeOf(Value index) const {
  Value inImage = kb.rem(index, dim(&WinogradDims::tilesPerImage));
  return {kb.div(index, dim(&WinogradDims::tilesPerImage)),
          kb.mul(kb.div(inImage, dim(&WinogradDims::tilesPerLine)), tile.rows.results),
          kb.mul(kb.rem(inImage, dim(&WinogradDims::tilesPerLine)), tile.columns.results)};
}

WinogradTiles::PointGrid WinogradTiles::gridOf(const WinogradFilter &rows,
                                               const WinogradFilter &columns, Value base,
                                               Value pointStride, Value tilesStride,
                                               Value shift) const {
  // Points that share their weight follow each other as rows of one matrix, so those of a weight
  // follow all points of the weights before.
  int64_t ofRow = rows.isShared() ? rows.points() : 1;
  int64_t ofColumn = columns.isShared() ? columns.points() : 1;
  int64_t ofLine = tile.columns.points();
  Value before = kb.mul(pointStride, rows.firstPoint * ofLine + ofRow * columns.firstPoint);
  return {advance(base, kb.add(before, kb.mul(shift, ofRow * ofColumn))),
          rows.isShared() ? kb.mul(tilesStride, ofColumn) : kb.mul(pointStride, ofLine),
          columns.isShared() ? tilesStride : kb.mul(pointStride, ofRow)};
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

WinogradTiles::Window WinogradTiles::windowOf(const Place &at) const {
  Value zero = kb.index(0), lines = kb.index(tile.rows.pixels()),
        columns = kb.index(tile.columns.pixels());
  Window window;
  window.top = kb.sub(kb.mul(at.y, tile.rows.stride), dim(&WinogradDims::padTop));
  window.left = kb.sub(kb.mul(at.x, tile.columns.stride), dim(&WinogradDims::padLeft));
  window.firstLine = kb.maxSigned(zero, kb.sub(zero, window.top));
  window.endLine = kb.minSigned(lines, kb.sub(dim(&WinogradDims::height), window.top));
  window.firstColumn = kb.maxSigned(zero, kb.sub(zero, window.left));
  window.endColumn = kb.minSigned(columns, kb.sub(dim(&WinogradDims::width), window.left));
  Value isCut = kb.lessThan(kb.sub(window.endLine, window.firstLine), lines);
  Value isNarrow = kb.lessThan(kb.sub(window.endColumn, window.firstColumn), columns);
  window.isBorder = kb.builder().create<arith::OrIOp>(kb.loc(), isCut, isNarrow);
  return window;
}

Value WinogradTiles::offsetOf(const Window &window, Value line, Value column) const {
  Value inPlane = kb.mul(kb.add(window.top, line), dim(&WinogradDims::width));
  return kb.mul(kb.add(inPlane, kb.add(window.left, column)), lanes);
}

WinogradTiles::Line WinogradTiles::pixelsOf(const Window &window, Value plane) const {
  int64_t lineOfCopy = tile.columns.pixels() * lanes;
  kb.ifThen(window.isBorder, [&] {
    kb.forLoop(window.firstLine, window.endLine, 1, [&](Value line) {
      kb.forLoop(window.firstColumn, window.endColumn, 1, [&](Value column) {
        Value to = kb.add(kb.mul(line, lineOfCopy), kb.mul(column, lanes));
        storeVector(loadVector(advance(plane, offsetOf(window, line, column))), advance(copy, to));
      });
    });
  });
  Value corner = advance(plane, offsetOf(window, kb.index(0), kb.index(0)));
  return {select(window.isBorder, copy, corner),
          select(window.isBorder, kb.index(lineOfCopy), kb.mul(dim(&WinogradDims::width), lanes))};
}

void WinogradTiles::askForNext(const Line &pixels) const {
  int64_t ownEnd = tile.columns.pixels();
  int64_t end = ownEnd + tile.columns.results * tile.columns.stride;
  forLines(tile.rows.pixels(), [&](Value i) {
    Value line = advance(pixels.first, kb.mul(i, pixels.step));
    for (int64_t column = ownEnd; column < end; ++column)
      prefetch(kb, advance(line, kb.index(column * lanes)), CacheLevel::Second);
  });
}

void WinogradTiles::transformLine(const WinogradFilter &part, const Line &from,
                                  const Line &to) const {
  Values inputs;
  Value place = from.first;
  for (int64_t i = 0; i < part.points(); ++i) {
    inputs.push_back(loadVector(place));
    place = advance(place, from.step);
  }
  place = to.first;
  for (Value point : transformInputs(kb, part, inputs, lanes)) {
    storeVector(point, place);
    place = advance(place, to.step);
  }
}

void WinogradTiles::transformBlock(const Tile &of, const Line &pixels, Value block) const {
  const WinogradAxis &rows = tile.rows, &columns = tile.columns;
  Value base = advance(kb.scratch(), kb.mul(of.number, lanes));
  Value shift = kb.mul(block, dim(&WinogradDims::blockStride));
  Value halfwayStep = kb.index(columns.pixels() * lanes);
  for (const WinogradFilter &rowsPart : rows.parts()) {
    auto gridWith = [&](const WinogradFilter &columnsPart) {
      return gridOf(rowsPart, columnsPart, base, dim(&WinogradDims::inputPoint),
                    kb.mul(of.count, lanes), shift);
    };
    Value line = advance(pixels.first, kb.mul(pixels.step, rowsPart.firstTap));
    Value lineStep = kb.mul(pixels.step, rows.stride);
    Value halfwayLine = advance(halfway, kb.mul(halfwayStep, rowsPart.firstPoint));
    // Along an axis with one weight there is nothing to transform.
    if (!rowsPart.isShared() && columns.isShared()) {
      PointGrid grid = gridWith(columns.parts().front());
      forLines(columns.points(), [&](Value j) {
        transformLine(rowsPart, {advance(line, kb.mul(j, columns.stride * lanes)), lineStep},
                      {advance(grid.first, kb.mul(j, grid.columnStep)), grid.rowStep});
      });
      continue;
    }
    if (!rowsPart.isShared())
      forLines(columns.pixels(), [&](Value j) {
        Value column = kb.mul(j, lanes);
        transformLine(rowsPart, {advance(line, column), lineStep},
                      {advance(halfwayLine, column), halfwayStep});
      });
    Line from = rowsPart.isShared() ? Line{line, lineStep} : Line{halfwayLine, halfwayStep};
    for (const WinogradFilter &columnsPart : columns.parts()) {
      PointGrid grid = gridWith(columnsPart);
      forLines(rowsPart.points(), [&](Value i) {
        Value row = advance(from.first,
                            kb.add(kb.mul(i, from.step), kb.index(columnsPart.firstTap * lanes)));
        transformLine(columnsPart, {row, kb.index(columns.stride * lanes)},
                      {advance(grid.first, kb.mul(i, grid.rowStep)), grid.columnStep});
      });
    }
  }
}

void WinogradTiles::transform(const Tile &of) {
  Place at = placeOf(of.index);
  Window window = windowOf(at);
  kb.ifThen(window.isBorder, [&] {
    Value zeros = kb.floatConstant(kType, lanes, 0);
    kb.forLoop(kb.index(0), kb.index(tile.rows.pixels() * tile.columns.pixels()), 1,
               [&](Value i) { storeVector(zeros, advance(copy, kb.mul(i, lanes))); });
  });
  Value plane = kb.mul(kb.mul(dim(&WinogradDims::height), dim(&WinogradDims::width)), lanes);
  Value blocks = dim(&WinogradDims::inputBlocks);
  kb.forLoop(kb.index(0), blocks, 1, [&](Value block) {
    Value number = kb.add(kb.mul(at.image, blocks), block);
    Line pixels = pixelsOf(window, advance(kb.buffer(0), kb.mul(number, plane)));
    askForNext(pixels);
    transformBlock(of, pixels, block);
  });
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

void WinogradTiles::finishVector(const Place &at, const Tile &of, Value sums, Value block) const {
  const WinogradAxis &rows = tile.rows, &columns = tile.columns;
  int64_t panel = spec.product.columns();
  auto gridOfSums = [&](const WinogradFilter &rowsPart, const WinogradFilter &columnsPart) {
    return gridOf(rowsPart, columnsPart, sums, dim(&WinogradDims::sumPoint),
                  kb.mul(of.count, panel), kb.index(0));
  };
  auto load = [&](Values &to, Value place, Value step, int64_t count) {
    for (int64_t i = 0; i < count; ++i, place = advance(place, step))
      to.push_back(loadVector(place));
  };
  auto transformTo = [&](const WinogradAxis &axis, const Values &points, Value place, Value step) {
    for (Value result : transformSums(kb, axis, points, lanes)) {
      storeVector(result, place);
      place = advance(place, step);
    }
  };
  Value vector = kb.index(lanes), row = kb.index(columns.results * lanes);
  // Along an axis with one weight sums are results.
  if (!columns.isShared())
    for (const WinogradFilter &rowsPart : rows.parts()) {
      Value to = advance(rows.isShared() ? results : halfway, kb.mul(row, rowsPart.firstPoint));
      forLines(rowsPart.points(), [&](Value i) {
        Values points;
        for (const WinogradFilter &columnsPart : columns.parts()) {
          PointGrid grid = gridOfSums(rowsPart, columnsPart);
          load(points, advance(grid.first, kb.mul(i, grid.rowStep)), grid.columnStep,
               columnsPart.points());
        }
        transformTo(columns, points, advance(to, kb.mul(i, row)), vector);
      });
    }
  if (!rows.isShared())
    forLines(columns.results, [&](Value j) {
      Values points;
      for (const WinogradFilter &rowsPart : rows.parts()) {
        if (columns.isShared()) {
          PointGrid grid = gridOfSums(rowsPart, columns.parts().front());
          load(points, advance(grid.first, kb.mul(j, grid.columnStep)), grid.rowStep,
               rowsPart.points());
        } else {
          Value from = kb.add(kb.mul(row, rowsPart.firstPoint), kb.mul(j, lanes));
          load(points, advance(halfway, from), row, rowsPart.points());
        }
      }
      transformTo(rows, points, advance(results, kb.mul(j, lanes)), row);
    });
  storeResults(at, block);
}

void WinogradTiles::storeResults(const Place &at, Value block) const {
  Value channel = kb.mul(block, lanes);
  Value bias = spec.hasBias ? loadVector(advance(kb.buffer(3), channel)) : Value();
  Values operands = epilogueBuffers(kb, spec.epilogue, spec.hasBias ? 4 : 3);
  Value height = dim(&WinogradDims::outputHeight), width = dim(&WinogradDims::outputWidth);
  Value plane = kb.mul(kb.add(kb.mul(at.image, dim(&WinogradDims::outputBlocks)), block), height);
  // Tiles reach over the edges.
  Value lines = kb.minSigned(kb.index(tile.rows.results), kb.sub(height, at.y));
  Value pixels = kb.minSigned(kb.index(tile.columns.results), kb.sub(width, at.x));
  kb.forLoop(kb.index(0), lines, 1, [&](Value i) {
    Value line = kb.add(kb.mul(kb.add(plane, kb.add(at.y, i)), width), at.x);
    kb.forLoop(kb.index(0), pixels, 1, [&](Value j) {
      Value place = kb.mul(kb.add(kb.mul(i, tile.columns.results), j), lanes);
      Value result = loadVector(advance(results, place));
      if (bias)
        result = kb.builder().create<arith::AddFOp>(kb.loc(), result, bias);
      emitEpilogue(kb, spec.epilogue, result, operands,
                   {kb.mul(kb.add(line, j), lanes), {}, channel}, lanes, kb.buffer(2));
    });
  });
}

void WinogradTiles::finish(const Tile &of, Value sums, Value panel) {
  Place at = placeOf(of.index);
  kb.forLoop(kb.index(0), kb.index(spec.product.vectors), 1, [&](Value vector) {
    Value from = kb.add(kb.mul(of.number, spec.product.columns()), kb.mul(vector, lanes));
    finishVector(at, of, advance(sums, from), kb.add(kb.mul(panel, spec.product.vectors), vector));
  });
}
