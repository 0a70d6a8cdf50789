//===- DotKernel.cpp - the register-tiled contraction kernel --------------===//
#include "backends/native/kernels/DotKernel.h"

#include "backends/native/lowering/TileChoice.h"
#include "runtime/lib/CeilDiv.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// Dims
//===----------------------------------------------------------------------===//

namespace {
/// Positions in DotDims::flatten.
enum DimIndex : int64_t {
  kColumnTiles,
  kLineChunks,
  kLinesPerChunk,
  kLines,
  kTilesPerLine,
  kLineStrideA,
  kLineStrideC,
  kBatchStrideA,
  kBatchStrideB,
  kBatchStrideC,
  kTilesPerGroup,
  kGroupStrideA,
  kTileStrideB,
  kTileStrideC,
  kVectorStrideC,
  kRowStrideA,
  kRowStrideC,
  kStrideB,
  kColumns,
  kBatchStrideBias,
  kFirstLevel,
};
} // namespace

void DotDims::splitLines(int64_t batches, double totalFlops, int64_t threads) {
  lineChunks = chooseLineChunks(lines, columnTiles * batches, totalFlops, threads);
  linesPerChunk = ceilDiv(lines, lineChunks);
}

std::vector<int64_t> DotDims::flatten() const {
  std::vector<int64_t> dims = {columnTiles,  lineChunks,   linesPerChunk, lines,
                               tilesPerLine, lineStrideA,  lineStrideC,   batchStrideA,
                               batchStrideB, batchStrideC, tilesPerGroup, groupStrideA,
                               tileStrideB,  tileStrideC,  vectorStrideC, rowStrideA,
                               rowStrideC,   strideB,      columns,       batchStrideBias};
  for (const Level &level : levels) {
    dims.push_back(level.trip);
    dims.push_back(level.strideA);
  }
  return dims;
}

//===----------------------------------------------------------------------===//
// Specs
//===----------------------------------------------------------------------===//

DotSpec DotSpec::product(const Target &target, DType dtype, int64_t rows, int64_t columns) {
  TileShape shape = chooseGemmTile(target, dtype, rows, columns);
  DotSpec spec;
  spec.dtype = dtype;
  spec.lanes = target.lanes(dtype);
  spec.rows = shape.rows;
  spec.vectors = shape.vectors;
  spec.flat = true;
  spec.tailRows = rows % spec.rows;
  spec.contiguousColumns = true;
  spec.maskColumns = columns % spec.tileColumns() != 0;
  return spec;
}

std::string DotSpec::name() const {
  std::string text = vectorA ? "depthwise_" : "dot_";
  return text + std::to_string(rows) + "x" + std::to_string(tileColumns()) +
         epilogue.program.label();
}

std::string DotSpec::key() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "dot " << dtypeName(dtype) << " " << lanes << " " << rows << "x" << vectors << " tail "
     << tailRows << (flat ? " flat" : "") << " A" << rowStrideA << " C" << rowStrideC
     << (vectorA ? " va" : "") << (packedB ? " pb" : "") << (contiguousColumns ? " cc" : "")
     << (maskColumns ? " mask" : "") << " bias" << (bias ? static_cast<int>(*bias) : -1);
  for (const Level &level : levels)
    os << " (" << level.trip << "," << level.strideA << "," << level.unroll << ")";
  os << epilogue.key();
  return text;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
class DotEmitter {
public:
  DotEmitter(KernelBuilder &kb, const DotSpec &spec) : kb(kb), spec(spec) {}

  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Values = KernelBuilder::Values;

  /// Where a column tile's data starts.
  struct Tile {
    Value a, b, c, bias;
    /// Epilogue operands, at the tile's first element.
    Values operands;
  };

  void emitTask(Value task);
  void emitLine(const Tile &tile, Value line);
  void emitRows(const Tile &tile, Value rowOffset, int64_t rows);
  Values initialAccumulators(const Tile &tile, Value firstRow, int64_t rows);
  Values emitLevel(size_t level, Value a, Value b, Values accumulators, int64_t rows, Value *nextB);
  Values emitStep(Value a, Value b, Values accumulators, int64_t rows);
  void emitStores(const Tile &tile, const Values &accumulators, Value firstRow, int64_t rows);

  Value rowOffset(int64_t stride, DimIndex dim, int64_t row) {
    return stride == DotSpec::kRuntime ? kb.mul(kb.dim(dim), row) : kb.index(stride * row);
  }
  Value strideOf(int64_t stride, int64_t dim) {
    return stride == DotSpec::kRuntime ? kb.dim(dim) : kb.index(stride);
  }
  /// Active lanes of vector `v`, or null when columns are not masked.
  Value active(int64_t v) { return activeLanes.empty() ? Value() : activeLanes[v]; }
  /// Of vector `v` in the tile's row `firstRow + row`.
  ResultPosition position(Value firstRow, int64_t row, int64_t v) {
    Value index = kb.add(firstRow, row);
    Value rowPart = kb.mul(strideOf(spec.rowStrideC, kRowStrideC), index);
    return {kb.add(rowPart, vectorOffsetC(v)), index, kb.index(v * spec.lanes)};
  }
  Value vectorOffsetC(int64_t v) {
    return spec.contiguousColumns ? kb.index(v * spec.lanes) : kb.mul(kb.dim(kVectorStrideC), v);
  }
  /// The element type of C: the epilogue may end in a cast or a comparison.
  DType resultType() const { return spec.epilogue.resultType(); }

  KernelBuilder &kb;
  const DotSpec &spec;
  /// Active lanes of each vector of the current column tile; empty if all are.
  Values activeLanes;
};

void DotEmitter::emitTask(Value task) {
  Value chunk = kb.rem(task, kb.dim(kLineChunks));
  Value outer = kb.div(task, kb.dim(kLineChunks));
  Value column = kb.rem(outer, kb.dim(kColumnTiles));
  Value batch = kb.div(outer, kb.dim(kColumnTiles));
  Value group = kb.div(column, kb.dim(kTilesPerGroup));

  Tile tile;
  DType dtype = spec.dtype;
  auto at = [&](Value base, std::initializer_list<std::pair<Value, Value>> terms) {
    Value offset = kb.index(0);
    for (auto [index, stride] : terms)
      offset = kb.add(offset, kb.mul(index, stride));
    return kb.advance(base, offset, dtype);
  };
  Value firstColumn = kb.mul(column, spec.tileColumns());
  tile.a = at(kb.buffer(0), {{batch, kb.dim(kBatchStrideA)}, {group, kb.dim(kGroupStrideA)}});
  tile.b = at(kb.buffer(1), {{batch, kb.dim(kBatchStrideB)}, {column, kb.dim(kTileStrideB)}});
  Value offsetOfC =
      kb.add(kb.mul(batch, kb.dim(kBatchStrideC)), kb.mul(column, kb.dim(kTileStrideC)));
  tile.c = kb.advance(kb.buffer(2), offsetOfC, resultType());
  activeLanes.clear();
  for (int64_t v = 0; spec.maskColumns && v < spec.vectors; ++v) {
    Value rest = kb.sub(kb.dim(kColumns), kb.add(firstColumn, v * spec.lanes));
    activeLanes.push_back(kb.minSigned(kb.maxSigned(rest, kb.index(0)), kb.index(spec.lanes)));
  }
  Value perBatch = kb.mul(batch, kb.dim(kBatchStrideBias));
  int64_t next = 3;
  auto operandOfTile = [&](OperandAccess access, DType operandType) {
    Value offset = access == OperandAccess::Full        ? offsetOfC
                   : access == OperandAccess::PerColumn ? kb.add(perBatch, firstColumn)
                   : access == OperandAccess::PerRow    ? perBatch
                                                        : kb.index(0);
    return kb.advance(kb.buffer(next++), offset, operandType);
  };
  if (spec.bias)
    tile.bias = operandOfTile(*spec.bias, dtype);
  for (auto [i, access] : llvm::enumerate(spec.epilogue.access))
    tile.operands.push_back(operandOfTile(access, spec.epilogue.program.inputs[i + 1]));

  Value from = kb.mul(chunk, kb.dim(kLinesPerChunk));
  Value to = kb.minSigned(kb.add(from, kb.dim(kLinesPerChunk)), kb.dim(kLines));
  kb.forLoop(from, to, 1, [&](Value line) { emitLine(tile, line); });
}

void DotEmitter::emitLine(const Tile &tile, Value line) {
  if (spec.flat) {
    // A line is one tile; the last one may be the tail.
    Value firstRow = kb.mul(line, spec.rows);
    if (spec.tailRows == 0)
      return emitRows(tile, firstRow, spec.rows);
    Value isFull = kb.lessThan(line, kb.sub(kb.dim(kLines), kb.index(1)));
    kb.ifThen(
        isFull, [&] { emitRows(tile, firstRow, spec.rows); },
        [&] { emitRows(tile, firstRow, spec.tailRows); });
    return;
  }
  Tile inLine = tile;
  inLine.a = kb.advance(tile.a, kb.mul(line, kb.dim(kLineStrideA)), spec.dtype);
  Value offsetOfC = kb.mul(line, kb.dim(kLineStrideC));
  inLine.c = kb.advance(tile.c, offsetOfC, resultType());
  if (spec.bias == OperandAccess::Full)
    inLine.bias = kb.advance(tile.bias, offsetOfC, spec.dtype);
  for (auto [i, access] : llvm::enumerate(spec.epilogue.access))
    if (access == OperandAccess::Full)
      inLine.operands[i] =
          kb.advance(tile.operands[i], offsetOfC, spec.epilogue.program.inputs[i + 1]);
  kb.forLoop(kb.index(0), kb.dim(kTilesPerLine), 1,
             [&](Value t) { emitRows(inLine, kb.mul(t, spec.rows), spec.rows); });
  if (spec.tailRows > 0)
    emitRows(inLine, kb.mul(kb.dim(kTilesPerLine), spec.rows), spec.tailRows);
}

void DotEmitter::emitRows(const Tile &tile, Value firstRow, int64_t rows) {
  Value strideA = strideOf(spec.rowStrideA, kRowStrideA);
  Value a = kb.advance(tile.a, kb.mul(firstRow, strideA), spec.dtype);
  Values accumulators = initialAccumulators(tile, firstRow, rows);
  Value nextB;
  accumulators = emitLevel(0, a, tile.b, std::move(accumulators), rows, &nextB);
  emitStores(tile, accumulators, firstRow, rows);
}

DotEmitter::Values DotEmitter::initialAccumulators(const Tile &tile, Value firstRow, int64_t rows) {
  Values accumulators;
  Value zero = kb.floatConstant(spec.dtype, spec.lanes, 0.0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < spec.vectors; ++v)
      accumulators.push_back(spec.bias
                                 ? loadOperand(kb, tile.bias, *spec.bias, spec.dtype,
                                               position(firstRow, r, v), spec.lanes, active(v))
                                 : zero);
  return accumulators;
}

DotEmitter::Values DotEmitter::emitLevel(size_t index, Value a, Value b, Values accumulators,
                                         int64_t rows, Value *nextB) {
  const DotSpec::Level &level = spec.levels[index];
  bool innermost = index + 1 == spec.levels.size();
  int64_t dimBase = kFirstLevel + 2 * static_cast<int64_t>(index);
  Value trip = strideOf(level.trip, dimBase);
  Value strideA = strideOf(level.strideA, dimBase + 1);
  Value strideB = spec.packedB ? kb.index(spec.tileColumns()) : kb.dim(kStrideB);

  // Carried: A and B pointers, then the accumulators.
  auto loop = [&](Value from, Value to, int64_t step, Values carried) {
    return kb.forLoop(from, to, step, carried, [&](Value, ValueRange now) -> Values {
      Value aNow = now[0], bNow = now[1];
      Values sums(now.begin() + 2, now.end());
      Values next;
      if (innermost) {
        for (int64_t u = 0; u < step; ++u)
          sums = emitStep(kb.advance(aNow, kb.mul(strideA, u), spec.dtype),
                          kb.advance(bNow, kb.mul(strideB, u), spec.dtype), std::move(sums), rows);
        next = {kb.advance(aNow, kb.mul(strideA, step), spec.dtype),
                kb.advance(bNow, kb.mul(strideB, step), spec.dtype)};
      } else {
        Value bNext;
        sums = emitLevel(index + 1, aNow, bNow, std::move(sums), rows, &bNext);
        next = {kb.advance(aNow, strideA, spec.dtype), bNext};
      }
      next.append(sums.begin(), sums.end());
      return next;
    });
  };
  Values carried = {a, b};
  carried.append(accumulators.begin(), accumulators.end());
  if (!innermost || level.unroll == 1) {
    carried = loop(kb.index(0), trip, 1, std::move(carried));
  } else if (level.trip != DotSpec::kRuntime && level.trip % level.unroll == 0) {
    carried = loop(kb.index(0), trip, level.unroll, std::move(carried));
  } else {
    Value full = kb.mul(kb.div(trip, kb.index(level.unroll)), level.unroll);
    carried = loop(kb.index(0), full, level.unroll, std::move(carried));
    carried = loop(full, trip, 1, std::move(carried));
  }
  *nextB = carried[1];
  return Values(carried.begin() + 2, carried.end());
}

DotEmitter::Values DotEmitter::emitStep(Value a, Value b, Values sums, int64_t rows) {
  Values columns;
  for (int64_t v = 0; v < spec.vectors; ++v)
    columns.push_back(kb.load(kb.advance(b, v * spec.lanes, spec.dtype), spec.dtype, spec.lanes,
                              spec.packedB ? Value() : active(v)));
  for (int64_t r = 0; r < rows; ++r) {
    Value address = kb.advance(a, rowOffset(spec.rowStrideA, kRowStrideA, r), spec.dtype);
    Value row = spec.vectorA ? kb.load(address, spec.dtype, spec.lanes)
                             : kb.splat(kb.load(address, spec.dtype, 0), spec.lanes);
    for (int64_t v = 0; v < spec.vectors; ++v) {
      Value &sum = sums[r * spec.vectors + v];
      sum = kb.multiplyAdd(row, columns[v], sum);
    }
  }
  return sums;
}

void DotEmitter::emitStores(const Tile &tile, const Values &accumulators, Value firstRow,
                            int64_t rows) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < spec.vectors; ++v)
      emitEpilogue(kb, spec.epilogue, accumulators[r * spec.vectors + v], tile.operands,
                   position(firstRow, r, v), spec.lanes, tile.c, active(v));
}
} // namespace

KernelSpec DotSpec::kernel() const {
  return {name(), key(), [spec = *this](KernelBuilder &kb) { DotEmitter(kb, spec).emit(); }};
}
