//===- WinogradKernel.cpp - 3 x 3 convolution by Winograd's algorithm -----===//
#include "backends/native/kernels/WinogradKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

std::string WinogradSpec::name() const {
  return fmt::format(FMT_COMPILE("winograd{}_{}x{}{}"), results, heights.front(), product.columns(),
                     epilogue.program.label());
}

namespace {
constexpr DType kType = DType::Float32;

class WinogradEmitter {
public:
  WinogradEmitter(KernelBuilder &kb, const WinogradSpec &spec)
      : kb(kb), spec(spec), tile(spec.tile()), lanes(spec.product.lanes) {}

  void emit() {
    zeros = kb.stackSpace(kType, lanes);
    kb.store(kb.floatConstant(kType, lanes, 0), zeros, kType, lanes);
    results = kb.stackSpace(kType, tile.results * tile.results * lanes);
    sums = kb.advance(kb.scratch(), kb.mul(dim(&WinogradDims::inputPoint), tile.points()), kType);
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Values = KernelBuilder::Values;

  /// A tile of an image: its first result.
  struct Place {
    Value image, y, x;
  };

  Value dim(int64_t WinogradDims::*member) { return kb.dim(member); }
  Place placeOf(Value index);
  void emitTask(Value task);
  /// Tile `index`, all channels, as row `row` of the products.
  void transformTile(Value index, Value row);
  /// The vector at pixel (y, x) of the image at `plane`: zeros outside.
  Values loadInputs(Value plane, const Place &at);
  /// The products of all points with a panel; the last task has fewer tiles.
  void multiply(Value panel, Value isLast);
  /// `ahead`: see DotOperands.
  void multiplyRows(Value firstRow, int64_t rows, Value a, Value b, Value c, Value ahead,
                    Value aheadStride);
  void finishTile(Value index, Value row, Value panel);
  void finishVector(const Place &at, Value row, Value vector, Value block);

  KernelBuilder &kb;
  const WinogradSpec &spec;
  WinogradTile tile;
  int64_t lanes;
  /// A vector of zeros; the results of a tile; the sums of a panel.
  Value zeros, results, sums;
};
} // namespace

WinogradEmitter::Place WinogradEmitter::placeOf(Value index) {
  Value inImage = kb.rem(index, dim(&WinogradDims::tilesPerImage));
  return {kb.div(index, dim(&WinogradDims::tilesPerImage)),
          kb.mul(kb.div(inImage, dim(&WinogradDims::tilesPerLine)), tile.results),
          kb.mul(kb.rem(inImage, dim(&WinogradDims::tilesPerLine)), tile.results)};
}

void WinogradEmitter::emitTask(Value task) {
  Value part = kb.rem(task, dim(&WinogradDims::panelParts));
  Value first =
      kb.mul(kb.div(task, dim(&WinogradDims::panelParts)), dim(&WinogradDims::tilesPerTask));
  Value rest = kb.sub(dim(&WinogradDims::tiles), first);
  Value isLast = kb.lessThan(rest, dim(&WinogradDims::tilesPerTask));
  Value count = kb.minSigned(rest, dim(&WinogradDims::tilesPerTask));
  kb.forLoop(kb.index(0), count, 1, [&](Value row) { transformTile(kb.add(first, row), row); });
  Value from = kb.mul(part, dim(&WinogradDims::panelsPerPart));
  Value to =
      kb.minSigned(kb.add(from, dim(&WinogradDims::panelsPerPart)), dim(&WinogradDims::panels));
  kb.forLoop(from, to, 1, [&](Value panel) {
    multiply(panel, isLast);
    kb.forLoop(kb.index(0), count, 1,
               [&](Value row) { finishTile(kb.add(first, row), row, panel); });
  });
}

WinogradEmitter::Values WinogradEmitter::loadInputs(Value plane, const Place &at) {
  OpBuilder &ops = kb.builder();
  // Row and column numbers below zero are large ones without a sign.
  auto isWithin = [&](Value number, Value size) -> Value {
    return ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ult, number, size);
  };
  Values columns, areColumns;
  for (int64_t j = 0; j < tile.inputs(); ++j) {
    Value x = kb.add(kb.sub(at.x, dim(&WinogradDims::padLeft)), j);
    columns.push_back(kb.mul(x, lanes));
    areColumns.push_back(isWithin(x, dim(&WinogradDims::width)));
  }
  Values inputs;
  for (int64_t i = 0; i < tile.inputs(); ++i) {
    Value y = kb.add(kb.sub(at.y, dim(&WinogradDims::padTop)), i);
    Value isRow = isWithin(y, dim(&WinogradDims::height));
    Value line = kb.mul(kb.mul(y, dim(&WinogradDims::width)), lanes);
    for (int64_t j = 0; j < tile.inputs(); ++j) {
      Value isPixel = ops.create<arith::AndIOp>(kb.loc(), isRow, areColumns[j]);
      Value pixel = kb.advance(plane, kb.add(line, columns[j]), kType);
      Value from = ops.create<arith::SelectOp>(kb.loc(), isPixel, pixel, zeros);
      inputs.push_back(kb.load(from, kType, lanes));
    }
  }
  return inputs;
}

void WinogradEmitter::transformTile(Value index, Value row) {
  Place at = placeOf(index);
  Value pixels = kb.mul(dim(&WinogradDims::height), dim(&WinogradDims::width));
  Value blocks = dim(&WinogradDims::inputBlocks);
  kb.forLoop(kb.index(0), blocks, 1, [&](Value block) {
    Value plane = kb.mul(kb.add(kb.mul(at.image, blocks), block), kb.mul(pixels, lanes));
    Values inputs = loadInputs(kb.advance(kb.buffer(0), plane, kType), at);
    Value to = kb.add(kb.mul(row, lanes), kb.mul(block, dim(&WinogradDims::blockStride)));
    for (Value vector : transformInputs(kb, tile, inputs, lanes)) {
      kb.store(vector, kb.advance(kb.scratch(), to, kType), kType, lanes);
      to = kb.add(to, dim(&WinogradDims::inputPoint));
    }
  });
}

void WinogradEmitter::multiplyRows(Value firstRow, int64_t rows, Value a, Value b, Value c,
                                   Value ahead, Value aheadStride) {
  DotOperands operands;
  operands.ahead = ahead;
  operands.aheadStride = aheadStride;
  Value fullBlocks = kb.div(dim(&WinogradDims::depth), kb.index(lanes));
  operands.levels.push_back({fullBlocks, dim(&WinogradDims::blockStride), {}});
  operands.levels.push_back({});
  DotMicroKernel micro(kb, spec.product, operands);
  a = kb.advance(a, kb.mul(firstRow, lanes), kType);
  Values products = micro.accumulate(rows, a, b, micro.zeros(rows));
  Value to = kb.advance(c, kb.mul(firstRow, spec.product.columns()), kType);
  for (auto [i, product] : llvm::enumerate(products))
    kb.store(product, kb.advance(to, static_cast<int64_t>(i) * lanes, kType), kType, lanes);
}

void WinogradEmitter::multiply(Value panel, Value isLast) {
  Value matrix = kb.mul(dim(&WinogradDims::depth), spec.product.columns());
  Value weights = kb.advance(kb.buffer(1), kb.mul(panel, kb.mul(matrix, tile.points())), kType);
  auto ofTask = [&](Value last, Value others) -> Value {
    return kb.builder().create<arith::SelectOp>(kb.loc(), isLast, last, others);
  };
  bool asks = spec.product.linesAhead > 0;
  Value share, stride;
  if (asks) {
    share = ofTask(dim(&WinogradDims::lastAheadShare), dim(&WinogradDims::aheadShare));
    stride = ofTask(dim(&WinogradDims::lastAheadStride), dim(&WinogradDims::aheadStride));
  }
  Value group = kb.div(panel, dim(&WinogradDims::panelsOfGroup));
  Value channels = kb.mul(kb.mul(group, kb.div(dim(&WinogradDims::depth), kb.index(lanes))),
                          dim(&WinogradDims::blockStride));
  Value inputs = kb.advance(kb.scratch(), channels, kType);
  kb.forLoop(kb.index(0), kb.index(tile.points()), 1, [&](Value point) {
    Value a = kb.advance(inputs, kb.mul(point, dim(&WinogradDims::inputPoint)), kType);
    Value b = kb.advance(weights, kb.mul(point, matrix), kType);
    Value c = kb.advance(sums, kb.mul(point, dim(&WinogradDims::sumPoint)), kType);
    Value next = kb.advance(b, matrix, kType);
    Value firstRow = kb.index(0), firstTile = kb.index(0);
    for (auto [i, height] : llvm::enumerate(spec.heights)) {
      auto number = static_cast<int64_t>(i);
      Value count = ofTask(kb.dim(dimIndex(&WinogradDims::lastCover) + number),
                           kb.dim(dimIndex(&WinogradDims::cover) + number));
      kb.forLoop(kb.index(0), count, 1, [&, rows = height](Value t) {
        Value ahead;
        if (asks)
          ahead = kb.advance(next, kb.mul(kb.add(firstTile, t), share), DType::UInt8);
        multiplyRows(kb.add(firstRow, kb.mul(t, rows)), rows, a, b, c, ahead, stride);
      });
      firstRow = kb.add(firstRow, kb.mul(count, height));
      firstTile = kb.add(firstTile, count);
    }
  });
}

void WinogradEmitter::finishTile(Value index, Value row, Value panel) {
  Place at = placeOf(index);
  kb.forLoop(kb.index(0), kb.index(spec.product.vectors), 1, [&](Value vector) {
    finishVector(at, row, vector, kb.add(kb.mul(panel, spec.product.vectors), vector));
  });
}

void WinogradEmitter::finishVector(const Place &at, Value row, Value vector, Value block) {
  Values products;
  Value from = kb.add(kb.mul(row, spec.product.columns()), kb.mul(vector, lanes));
  for (int64_t point = 0; point < tile.points(); ++point) {
    products.push_back(kb.load(kb.advance(sums, from, kType), kType, lanes));
    from = kb.add(from, dim(&WinogradDims::sumPoint));
  }
  Value channel = kb.mul(block, lanes);
  Value bias =
      spec.hasBias ? kb.load(kb.advance(kb.buffer(3), channel, kType), kType, lanes) : Value();
  for (auto [i, result] : llvm::enumerate(transformSums(kb, tile, products, lanes))) {
    Value sum = bias ? kb.builder().create<arith::AddFOp>(kb.loc(), result, bias) : result;
    kb.store(sum, kb.advance(results, static_cast<int64_t>(i) * lanes, kType), kType, lanes);
  }
  // By way of memory, so that the epilogue's code is there once; tiles reach over the edges.
  Values operands = epilogueBuffers(kb, spec.epilogue, spec.hasBias ? 4 : 3);
  Value height = dim(&WinogradDims::outputHeight), width = dim(&WinogradDims::outputWidth);
  Value plane = kb.mul(kb.add(kb.mul(at.image, dim(&WinogradDims::outputBlocks)), block), height);
  Value edge = kb.index(tile.results);
  kb.forLoop(kb.index(0), kb.minSigned(edge, kb.sub(height, at.y)), 1, [&](Value i) {
    Value line = kb.add(kb.mul(kb.add(plane, kb.add(at.y, i)), width), at.x);
    kb.forLoop(kb.index(0), kb.minSigned(edge, kb.sub(width, at.x)), 1, [&](Value j) {
      Value place = kb.mul(kb.add(kb.mul(i, tile.results), j), lanes);
      Value result = kb.load(kb.advance(results, place, kType), kType, lanes);
      emitEpilogue(kb, spec.epilogue, result, operands,
                   {kb.mul(kb.add(line, j), lanes), {}, channel}, lanes, kb.buffer(2));
    });
  });
}

void WinogradSpec::emit(KernelBuilder &kb) const { WinogradEmitter(kb, *this).emit(); }
