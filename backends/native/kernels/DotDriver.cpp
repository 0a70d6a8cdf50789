//===- DotDriver.cpp - where a task of products finds its data ------------===//
#include "backends/native/kernels/DotDriver.h"

#include "backends/native/kernels/ClippedTaps.h"
#include "backends/native/kernels/LineTask.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::native;

DotDriver::Place DotDriver::placeOfTask(Value task) {
  LineTask lines = lineTaskOf(kb, task,
                              {.columns = kb.dim(&DotDims::columnTiles),
                               .parts = kb.dim(&DotDims::lineParts),
                               .chunksOfPart = kb.dim(&DotDims::chunksOfPart),
                               .linesOfChunk = kb.dim(&DotDims::linesPerChunk),
                               .lines = kb.dim(&DotDims::lines)});
  return {tileOfTask(lines.image, lines.column), lines.from, lines.to};
}

DotDriver::Tile DotDriver::tileOfTask(Value batch, Value column) {
  Tile tile;
  auto offset = [&](std::initializer_list<std::pair<Value, int64_t DotDims::*>> terms) {
    Value sum = kb.index(0);
    for (auto [index, stride] : terms)
      sum = kb.add(sum, kb.mul(index, kb.dim(stride)));
    return sum;
  };
  Value group = kb.div(column, kb.dim(&DotDims::tilesPerGroup));
  Value batchOfA = spec.groupsRepeat ? kb.rem(batch, kb.dim(&DotDims::groups)) : batch;
  Value firstColumn = kb.mul(column, spec.tile.columns());
  tile.a = kb.advance(kb.buffer(0),
                      kb.add(kb.dim(&DotDims::startA), offset({{batchOfA, &DotDims::batchStrideA},
                                                               {group, &DotDims::groupStrideA}})),
                      types.a);
  tile.b =
      kb.advance(kb.buffer(1),
                 kb.add(kb.dim(&DotDims::startB),
                        offset({{batch, &DotDims::batchStrideB}, {column, &DotDims::tileStrideB}})),
                 types.b);
  if (spec.tile.linesAhead > 0) {
    // Of the last one itself, which is there.
    Value next =
        kb.minSigned(kb.add(column, 1), kb.sub(kb.dim(&DotDims::columnTiles), kb.index(1)));
    Value distance = kb.mul(kb.sub(next, column), kb.dim(&DotDims::tileStrideB));
    tile.ahead = kb.advance(tile.b, distance, types.b);
  }
  Value offsetOfC = offset({{batch, &DotDims::batchStrideC}, {column, &DotDims::tileStrideC}});
  tile.c = kb.advance(kb.buffer(2), offsetOfC, types.c);
  activeLanes.clear();
  for (int64_t v = 0; spec.maskColumns && v < spec.tile.vectors; ++v) {
    Value rest = kb.sub(kb.dim(&DotDims::columns), kb.add(firstColumn, v * spec.tile.lanes));
    activeLanes.push_back(kb.minSigned(kb.maxSigned(rest, kb.index(0)), kb.index(spec.tile.lanes)));
  }
  Value perBatch = offset({{batchOfA, &DotDims::batchStrideBias}});
  int64_t next = 3;
  if (spec.scaledBlocks)
    tile.scales = kb.advance(kb.buffer(next++), kb.mul(firstColumn, kb.dim(&DotDims::blocks)),
                             types.accumulate);
  if (spec.shiftedBlocks)
    tile.zeros = kb.advance(kb.buffer(next++), kb.mul(firstColumn, kb.dim(&DotDims::blocks)),
                            types.accumulate);
  auto startOf = [&](OperandAccess access) {
    switch (access) {
    case OperandAccess::Full:
      return offsetOfC;
    case OperandAccess::PerColumn:
      return kb.add(perBatch, firstColumn);
    case OperandAccess::PerRow:
      return perBatch;
    case OperandAccess::PerRowOfBatch:
      return kb.mul(batch, kb.dim(&DotDims::rowsOfBatch));
    case OperandAccess::PerColumnOfBatch:
      return kb.add(kb.mul(batch, kb.dim(&DotDims::columns)), firstColumn);
    case OperandAccess::Scalar:
    case OperandAccess::Table:
      return kb.index(0);
    }
    llvm_unreachable("all kinds are handled");
  };
  auto operand = [&](OperandAccess access, DType operandType) {
    return kb.advance(kb.buffer(next++), startOf(access), operandType);
  };
  if (spec.bias)
    tile.bias = operand(*spec.bias, types.accumulate);
  for (auto [i, access] : llvm::enumerate(spec.epilogue.access))
    tile.operands.push_back(operand(access, spec.epilogue.program.inputs[i + 1]));
  return tile;
}

DotDriver::Tile DotDriver::tileOfLine(const Tile &tile, Value line) {
  Tile inLine = tile;
  if (spec.clipsRows)
    clipRows(inLine, line);
  else
    inLine.a = kb.advance(tile.a, kb.mul(line, kb.dim(&DotDims::lineStrideA)), types.a);
  if (tile.ahead)
    inLine.ahead =
        kb.advance(tile.ahead, kb.mul(line, kb.dim(&DotDims::aheadShareOfLine)), DType::UInt8);
  Value offsetOfC = kb.mul(line, kb.dim(&DotDims::lineStrideC));
  inLine.c = kb.advance(tile.c, offsetOfC, types.c);
  if (spec.bias == OperandAccess::Full)
    inLine.bias = kb.advance(tile.bias, offsetOfC, types.accumulate);
  for (auto [i, access] : llvm::enumerate(spec.epilogue.access))
    if (access == OperandAccess::Full)
      inLine.operands[i] =
          kb.advance(tile.operands[i], offsetOfC, spec.epilogue.program.inputs[i + 1]);
  return inLine;
}

void DotDriver::clipRows(Tile &inLine, Value line) {
  constexpr size_t kFilterRows = 1;
  auto ofClip = [&](int64_t DotDims::Clip::*dim) {
    return kb.dim(dimIndex(&DotDims::clip) + dimIndex(dim));
  };
  Value start = kb.sub(kb.mul(line, ofClip(&DotDims::Clip::step)), ofClip(&DotDims::Clip::padTop));
  Value dilation = ofClip(&DotDims::Clip::dilation);
  ClippedTaps rows = clipTaps(kb, start, ofLevel(kFilterRows, &DotDims::Level::trip), dilation,
                              ofClip(&DotDims::Clip::rows));
  Value firstRow = kb.add(start, kb.mul(rows.from, dilation));
  inLine.a = kb.advance(inLine.a, kb.mul(firstRow, ofClip(&DotDims::Clip::lineStride)), types.a);
  inLine.b = kb.advance(inLine.b, kb.mul(rows.from, ofLevel(kFilterRows, &DotDims::Level::strideB)),
                        types.b);
  inLine.filterRows = kb.sub(rows.to, rows.from);
}

ResultPosition DotDriver::position(Value row, int64_t v) {
  Value ofVector = spec.contiguousColumns ? kb.index(v * spec.tile.lanes)
                                          : kb.mul(kb.dim(&DotDims::vectorStrideC), v);
  Value element = kb.add(kb.mul(strideOf(spec.rowStrideC, &DotDims::rowStrideC), row), ofVector);
  return {element, row, kb.index(v * spec.tile.lanes)};
}

bool DotDriver::areRowsAdjacent() const {
  int64_t vectors = spec.contiguousColumns ? spec.tile.vectors : 1;
  return spec.rowStrideC == vectors * spec.tile.lanes && !spec.maskColumns;
}

int64_t DotDriver::rowsPackedAtOnce() const {
  if (!areRowsAdjacent() || !spec.epilogue.program.canPack(kb.target()))
    return 1;
  int64_t vectors = spec.contiguousColumns ? spec.tile.vectors : 1;
  return std::max<int64_t>(ScalarProgram::kMostPacked / vectors, 1);
}

void DotDriver::storeRows(const Tile &tile, llvm::ArrayRef<ResultRow> rows, const Values &sums,
                          const SharedOperands &shared) {
  size_t vectors = rows[0].at.size();
  ResultRow places;
  Values ofPlaces;
  SharedOperands sharedOfPlaces;
  auto storeAll = [&] {
    emitEpilogueOfRow(kb, spec.epilogue, ofPlaces, tile.operands, places, spec.tile.lanes, tile.c,
                      sharedOfPlaces);
    places = {};
    ofPlaces.clear();
    sharedOfPlaces.clear();
  };
  auto take = [&](size_t row, size_t v) {
    places.at.push_back(rows[row].at[v]);
    places.active.push_back(rows[row].active[v]);
    places.areAdjacent = areRowsAdjacent() || spec.contiguousColumns;
    ofPlaces.push_back(sums[row * vectors + v]);
    if (!shared.empty())
      sharedOfPlaces.push_back(shared[v]);
  };
  bool isByColumns = areRowsAdjacent() && !spec.contiguousColumns;
  for (size_t v = 0; isByColumns && v < vectors; ++v) {
    for (size_t row = 0; row < rows.size(); ++row)
      take(row, v);
    storeAll();
  }
  for (size_t row = 0; !isByColumns && row < rows.size(); ++row) {
    for (size_t v = 0; v < vectors; ++v)
      take(row, v);
    if (!areRowsAdjacent() || row + 1 == rows.size())
      storeAll();
  }
}
