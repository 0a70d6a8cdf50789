//===- MoveKernels.cpp - copies that prepare a Dot's operands -------------===//
#include "backends/native/kernels/MoveKernels.h"

#include "backends/native/target/TileChoice.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
/// Stores `count` times `value`, a full vector, at `to`, vector-wise with a masked tail.
void emitFill(KernelBuilder &kb, Value value, Value to, Value count, DType dtype) {
  int64_t lanes = kb.target().lanes(dtype);
  kb.forLoop(kb.index(0), count, lanes, [&](Value i) {
    Value rest = kb.minSigned(kb.sub(count, i), kb.index(lanes));
    kb.store(value, kb.advance(to, i, dtype), dtype, lanes, rest);
  });
}

Value zeros(KernelBuilder &kb, DType dtype) {
  return nn::ScalarEmitter(kb.builder(), kb.loc(), dtype, kb.target().lanes(dtype)).constant(0);
}

/// What lies beyond the edges of an image, as a full vector: dim `dim` for bytes.
Value outsideOf(KernelBuilder &kb, DType dtype, int64_t dim) {
  if (dtype != DType::UInt8 && dtype != DType::Int8)
    return zeros(kb, dtype);
  OpBuilder &ops = kb.builder();
  Value byte = ops.create<arith::TruncIOp>(kb.loc(), ops.getI8Type(), kb.dim(dim));
  return kb.splat(byte, kb.target().lanes(dtype));
}

/// Copies `count` adjacent elements, vector-wise with a masked tail.
void emitCopy(KernelBuilder &kb, Value from, Value to, Value count, DType dtype) {
  int64_t lanes = kb.target().lanes(dtype);
  Value full = kb.mul(kb.div(count, kb.index(lanes)), lanes);
  kb.forLoop(kb.index(0), full, lanes, [&](Value i) {
    kb.store(kb.load(kb.advance(from, i, dtype), dtype, lanes), kb.advance(to, i, dtype), dtype,
             lanes);
  });
  Value rest = kb.sub(count, full);
  kb.ifThen(kb.lessThan(kb.index(0), rest), [&] {
    kb.store(kb.load(kb.advance(from, full, dtype), dtype, lanes, rest),
             kb.advance(to, full, dtype), dtype, lanes, rest);
  });
}

LoweredStep moveStep(KernelSpec kernel, StepBuffer from, StepBuffer to, std::vector<int64_t> dims,
                     int64_t tasks, double bytes) {
  LoweredStep step;
  step.kernel = std::move(kernel);
  step.buffers = {std::move(from), std::move(to)};
  step.dims = std::move(dims);
  step.tasks = tasks;
  step.grain = chooseMoveGrain(static_cast<int64_t>(bytes) / std::max<int64_t>(tasks, 1));
  step.share = 0; // what prepares a product is its overhead
  return step;
}
} // namespace

//===----------------------------------------------------------------------===//
// Halo
//===----------------------------------------------------------------------===//

/// Task t is part of the lines * planes + plane; the first part has what is above and below, too.
/// Dims: height, elements above and below of a plane,
/// left of, copied and right of a line; what lies outside; planes, lines of a part; planes of an
/// image.
static void emitPadHalo(KernelBuilder &kb, const PadHaloSpec &spec) {
  DType dtype = spec.dtype;
  Value height = kb.dim(0), top = kb.dim(1), bottom = kb.dim(2), left = kb.dim(3),
        copied = kb.dim(4), right = kb.dim(5);
  Value lineTo = kb.add(kb.add(left, copied), right);
  Value outside = outsideOf(kb, dtype, 6);
  Value planeFrom = kb.mul(height, copied);
  Value planeTo = kb.add(kb.add(top, bottom), kb.mul(height, lineTo));
  Value planes = kb.dim(7), linesOfPart = kb.dim(8);
  auto copyLine = [&](Value plane, Value from, Value to) {
    auto copyAll = [&] { emitCopy(kb, from, to, copied, dtype); };
    if (spec.lastElements == 0)
      return copyAll();
    Value ofImage = kb.dim(9);
    Value isLast = kb.lessThan(kb.sub(ofImage, kb.index(2)), kb.rem(plane, ofImage));
    kb.ifThen(
        isLast,
        [&] {
          kb.forLoop(kb.index(0), copied, spec.pixel, [&](Value at) {
            Value there = kb.load(kb.advance(from, at, dtype), dtype, spec.pixel,
                                  kb.index(spec.lastElements));
            kb.store(there, kb.advance(to, at, dtype), dtype, spec.pixel);
          });
        },
        copyAll);
  };
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value plane = kb.rem(task, planes), part = kb.div(task, planes);
    Value first = kb.mul(part, linesOfPart);
    Value end = kb.minSigned(kb.add(first, linesOfPart), height);
    Value from = kb.advance(kb.buffer(0), kb.mul(plane, planeFrom), dtype);
    Value to = kb.advance(kb.buffer(1), kb.mul(plane, planeTo), dtype);
    Value lines = kb.advance(to, top, dtype);
    kb.ifThen(kb.lessThan(part, kb.index(1)), [&] {
      emitFill(kb, outside, to, top, dtype);
      emitFill(kb, outside, kb.advance(lines, kb.mul(height, lineTo), dtype), bottom, dtype);
    });
    kb.forLoop(first, end, 1, [&](Value y) {
      Value line = kb.advance(lines, kb.mul(y, lineTo), dtype);
      emitFill(kb, outside, line, left, dtype);
      Value middle = kb.advance(line, left, dtype);
      copyLine(plane, kb.advance(from, kb.mul(y, copied), dtype), middle);
      emitFill(kb, outside, kb.advance(middle, copied, dtype), right, dtype);
    });
  });
}

std::string PadHaloSpec::name() const { return "pad_halo_" + std::string(dtypeName(dtype)); }

void PadHaloSpec::emit(KernelBuilder &kb) const { emitPadHalo(kb, *this); }

LoweredStep native::padHalo(StepBuffer from, StepBuffer to, const HaloShape &s, DType dtype) {
  int64_t lineTo = (s.left + s.width + s.right) * s.pixel;
  double bytes = static_cast<double>(
      s.planes * (s.height * s.width * s.pixel + (s.top + s.height + s.bottom) * lineTo) *
      dtypeBytes(dtype));
  PadHaloSpec spec{dtype};
  if (s.lastElements > 0) {
    spec.pixel = s.pixel;
    spec.lastElements = s.lastElements;
  }
  return moveStep(kernelOf(spec), std::move(from), std::move(to),
                  {s.height, s.top * lineTo, s.bottom * lineTo, s.left * s.pixel, s.width * s.pixel,
                   s.right * s.pixel, s.outside, s.planes, ceilDiv(s.height, s.parts),
                   s.planesOfImage},
                  s.planes * s.parts, bytes);
}

//===----------------------------------------------------------------------===//
// Pixels of a grid
//===----------------------------------------------------------------------===//

std::string TakePixelsSpec::name() const {
  return fmt::format(FMT_COMPILE("take_pixels_{}x{}"), pixel, dtypeName(dtype));
}

/// Task t is part of the lines * planes + plane. Dims: those of PixelGrid to columnStep, lines of a
/// part.
void TakePixelsSpec::emit(KernelBuilder &kb) const {
  Value planes = kb.dim(0), height = kb.dim(1), width = kb.dim(2), planeStride = kb.dim(3),
        lineStep = kb.dim(4), columnStep = kb.dim(5), linesOfPart = kb.dim(6);
  int64_t lanes = std::min(kb.target().lanes(dtype), pixel);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value plane = kb.rem(task, planes), first = kb.mul(kb.div(task, planes), linesOfPart);
    Value ofPlane = kb.advance(kb.buffer(0), kb.mul(plane, planeStride), dtype);
    Value end = kb.minSigned(kb.add(first, linesOfPart), height);
    kb.forLoop(first, end, 1, [&](Value y) {
      Value from = kb.advance(ofPlane, kb.mul(y, lineStep), dtype);
      Value line = kb.add(kb.mul(plane, height), y);
      Value to = kb.advance(kb.buffer(1), kb.mul(kb.mul(line, width), pixel), dtype);
      kb.forLoop(kb.index(0), width, 1, [&](Value x) {
        Value source = kb.advance(from, kb.mul(x, columnStep), dtype);
        Value target = kb.advance(to, kb.mul(x, pixel), dtype);
        for (int64_t i = 0; i < pixel; i += lanes)
          kb.store(kb.load(kb.advance(source, i, dtype), dtype, lanes),
                   kb.advance(target, i, dtype), dtype, lanes);
      });
    });
  });
}

LoweredStep native::takePixels(StepBuffer from, StepBuffer to, const PixelGrid &g,
                               const TakePixelsSpec &spec) {
  double bytes = 2.0 * double(g.planes) * double(g.height) * double(g.width) * double(spec.pixel) *
                 double(dtypeBytes(spec.dtype));
  return moveStep(kernelOf(spec), std::move(from), std::move(to),
                  {g.planes, g.height, g.width, g.planeStride, g.lineStep, g.columnStep,
                   ceilDiv(g.height, g.parts)},
                  g.planes * g.parts, bytes);
}

//===----------------------------------------------------------------------===//
// Unfold (im2col)
//===----------------------------------------------------------------------===//

/// Output positions [first, last) of one axis whose input position
/// `out * stride + shift` lies inside [0, size).
static std::pair<Value, Value> validRange(KernelBuilder &kb, Value shift, Value size, Value stride,
                                          Value outputs) {
  // first = ceil(max(0, -shift) / stride); last = ceil(max(0, size - shift) / stride).
  auto strides = [&](Value a) {
    Value positive = kb.maxSigned(a, kb.index(0));
    return kb.div(kb.add(positive, kb.sub(stride, kb.index(1))), stride);
  };
  Value first = kb.minSigned(strides(kb.sub(kb.index(0), shift)), outputs);
  Value last = kb.minSigned(strides(kb.sub(size, shift)), outputs);
  return {first, kb.maxSigned(first, last)};
}

/// A task is one row of the matrix: (channel, kernel position). Dims, per axis:
/// input, output, kernel, stride, dilation, padBegin; then what lies outside.
static void emitUnfold(KernelBuilder &kb, DType dtype, bool unitStride) {
  auto axis = [&](int64_t a, int64_t field) { return kb.dim(a * 6 + field); };
  Value outPixels = kb.mul(kb.mul(axis(0, 1), axis(1, 1)), axis(2, 1));
  Value inPixels = kb.mul(kb.mul(axis(0, 0), axis(1, 0)), axis(2, 0));
  Value outside = outsideOf(kb, dtype, 18);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value row) {
    Value kw = kb.rem(row, axis(2, 2)), rest = kb.div(row, axis(2, 2));
    Value kh = kb.rem(rest, axis(1, 2)), rest2 = kb.div(rest, axis(1, 2));
    Value kd = kb.rem(rest2, axis(0, 2)), channel = kb.div(rest2, axis(0, 2));
    Value kernelAt[3] = {kd, kh, kw}, shift[3];
    std::pair<Value, Value> valid[3];
    for (int64_t a = 0; a < 3; ++a) {
      shift[a] = kb.sub(kb.mul(kernelAt[a], axis(a, 4)), axis(a, 5));
      valid[a] = validRange(kb, shift[a], axis(a, 0), axis(a, 3), axis(a, 1));
    }
    Value from = kb.advance(kb.buffer(0), kb.mul(channel, inPixels), dtype);
    Value to = kb.advance(kb.buffer(1), kb.mul(row, outPixels), dtype);
    emitFill(kb, outside, to, outPixels, dtype);
    kb.forLoop(valid[0].first, valid[0].second, 1, [&](Value od) {
      kb.forLoop(valid[1].first, valid[1].second, 1, [&](Value oh) {
        Value id = kb.add(kb.mul(od, axis(0, 3)), shift[0]);
        Value ih = kb.add(kb.mul(oh, axis(1, 3)), shift[1]);
        Value lineFrom = kb.mul(kb.add(kb.mul(id, axis(1, 0)), ih), axis(2, 0));
        Value lineTo = kb.mul(kb.add(kb.mul(od, axis(1, 1)), oh), axis(2, 1));
        // Of the window's first element, which the padding may put before the image.
        Value firstFrom = kb.add(lineFrom, shift[2]);
        Value target = kb.advance(to, lineTo, dtype);
        if (unitStride)
          return emitCopy(kb, kb.advance(from, kb.add(firstFrom, valid[2].first), dtype),
                          kb.advance(target, valid[2].first, dtype),
                          kb.sub(valid[2].second, valid[2].first), dtype);
        kb.forLoop(valid[2].first, valid[2].second, 1, [&](Value ow) {
          Value offset = kb.add(firstFrom, kb.mul(ow, axis(2, 3)));
          Value element = kb.load(kb.advance(from, offset, dtype), dtype, 0);
          kb.store(element, kb.advance(target, ow, dtype), dtype, 0);
        });
      });
    });
  });
}

std::string UnfoldSpec::name() const {
  return "unfold_" + std::string(dtypeName(dtype)) + (unitStride ? "" : "_strided");
}

void UnfoldSpec::emit(KernelBuilder &kb) const { emitUnfold(kb, dtype, unitStride); }

LoweredStep native::unfoldWindows(StepBuffer from, StepBuffer to, const WindowShape3 &s,
                                  DType dtype) {
  std::vector<int64_t> dims;
  int64_t rows = s.channels, pixels = 1;
  for (int a = 0; a < 3; ++a) {
    dims.insert(dims.end(),
                {s.input[a], s.output[a], s.kernel[a], s.stride[a], s.dilation[a], s.padBegin[a]});
    rows *= s.kernel[a];
    pixels *= s.output[a];
  }
  dims.push_back(s.outside);
  double bytes = 3.0 * static_cast<double>(rows * pixels * dtypeBytes(dtype));
  return moveStep(kernelOf(UnfoldSpec{dtype, /*unitStride=*/s.stride[2] == 1}), std::move(from),
                  std::move(to), std::move(dims), rows, bytes);
}

//===----------------------------------------------------------------------===//
// Column packing
//===----------------------------------------------------------------------===//

namespace {
/// A task is one column tile of one batch. Dims: batchStride, k, n, strideK, strideN, column tiles,
/// paddedK.
class ColumnPacker {
public:
  ColumnPacker(KernelBuilder &kb, const PackColumnsSpec &spec)
      : kb(kb), spec(spec), dtype(spec.dtype), tileColumns(spec.tileColumns), group(spec.group),
        k(kb.dim(1)), strideK(kb.dim(3)), strideN(kb.dim(4)), paddedK(kb.dim(6)) {}

  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
      Value tiles = kb.dim(5);
      Value tile = kb.rem(task, tiles), batch = kb.div(task, tiles);
      Value firstColumn = kb.mul(tile, tileColumns);
      Value from = kb.advance(
          kb.buffer(0), kb.add(kb.mul(batch, kb.dim(0)), kb.mul(firstColumn, strideN)), dtype);
      Value to = kb.advance(kb.buffer(1), kb.mul(kb.mul(task, paddedK), tileColumns), dtype);
      Value columns = kb.minSigned(kb.sub(kb.dim(2), firstColumn), kb.index(tileColumns));
      if (spec.unitStride)
        packRows(from, to, columns);
      else
        packElements(from, to, columns);
    });
  }

private:
  void packElements(Value from, Value to, Value columns) {
    emitFill(kb, zeros(kb, dtype), to, kb.mul(paddedK, tileColumns), dtype);
    kb.forLoop(kb.index(0), columns, 1, [&](Value j) {
      Value column = kb.advance(from, kb.mul(j, strideN), dtype);
      kb.forLoop(kb.index(0), k, 1, [&](Value i) {
        Value element = kb.load(kb.advance(column, kb.mul(i, strideK), dtype), dtype, 0);
        Value inGroup = kb.rem(i, kb.index(group)), first = kb.sub(i, inGroup);
        Value place = kb.add(kb.mul(first, tileColumns), kb.add(kb.mul(j, group), inGroup));
        kb.store(element, kb.advance(to, place, dtype), dtype, 0);
      });
    });
  }
  void packRows(Value from, Value to, Value columns) {
    int64_t lanes = std::min(kb.target().vectorBytes / (dtypeBytes(dtype) * group), tileColumns);
    kb.forLoop(kb.index(0), k, group, [&](Value i) {
      Value row = kb.advance(from, kb.mul(i, strideK), dtype);
      for (int64_t c = 0; c < tileColumns; c += lanes) {
        Value rest =
            kb.minSigned(kb.maxSigned(kb.sub(columns, kb.index(c)), kb.index(0)), kb.index(lanes));
        Value place = kb.advance(to, kb.add(kb.mul(i, tileColumns), kb.index(c * group)), dtype);
        if (group == 1) {
          kb.store(kb.load(kb.advance(row, c, dtype), dtype, lanes, rest), place, dtype, lanes);
          continue;
        }
        kb.store(kb.interleave(groupOfRows(row, c, kb.sub(k, i), rest, lanes)), place, DType::Int32,
                 lanes);
      }
    });
    Value done = kb.mul(kb.div(kb.add(k, group - 1), kb.index(group)), group);
    emitFill(kb, zeros(kb, dtype), kb.advance(to, kb.mul(done, tileColumns), dtype),
             kb.mul(kb.sub(paddedK, done), tileColumns), dtype);
  }

  /// Vectors of the `group` rows from `row` on, of which `count` are there; others are zeros.
  KernelBuilder::Values groupOfRows(Value row, int64_t column, Value count, Value active,
                                    int64_t lanes) {
    DType word = group == 2 ? DType::Int16 : DType::Int8;
    KernelBuilder::Values rows;
    for (int64_t r = 0; r < group; ++r) {
      Value at = kb.advance(row, kb.add(kb.mul(strideK, r), column), dtype);
      Value isThere =
          kb.maxSigned(kb.minSigned(kb.sub(count, kb.index(r)), kb.index(1)), kb.index(0));
      rows.push_back(kb.load(at, word, lanes, r == 0 ? active : kb.mul(active, isThere)));
    }
    return rows;
  }

  KernelBuilder &kb;
  const PackColumnsSpec &spec;
  const DType dtype;
  const int64_t tileColumns, group;
  const Value k, strideK, strideN, paddedK;
};
} // namespace

std::string PackColumnsSpec::name() const {
  return fmt::format(FMT_COMPILE("pack_columns_{}_{}{}"), tileColumns, dtypeName(dtype),
                     unitStride ? "" : "_strided");
}

void PackColumnsSpec::emit(KernelBuilder &kb) const { ColumnPacker(kb, *this).emit(); }

LoweredStep native::packColumns(StepBuffer from, StepBuffer to, const PackShape &s, DType dtype) {
  int64_t tiles = ceilDiv(s.n, s.tileColumns);
  double bytes = 2.0 * static_cast<double>(s.batch * s.k * s.n * dtypeBytes(dtype));
  return moveStep(kernelOf(PackColumnsSpec{dtype, s.tileColumns, s.strideN == 1, s.group}),
                  std::move(from), std::move(to),
                  {s.batchStride, s.k, s.n, s.strideK, s.strideN, tiles, s.paddedK()},
                  tiles * s.batch, bytes);
}

//===----------------------------------------------------------------------===//
// Plain copies
//===----------------------------------------------------------------------===//

/// A task is one piece of `kPieceBytes`; dim: bytes in all, elements of one.
static constexpr int64_t kPieceBytes = 1 << 16;

void CopySpec::emit(KernelBuilder &kb) const {
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value first = kb.mul(task, kPieceBytes);
    Value count = kb.minSigned(kb.sub(kb.dim(0), first), kb.index(kPieceBytes));
    emitCopy(kb, kb.advance(kb.buffer(0), first, dtype), kb.advance(kb.buffer(1), first, dtype),
             count, dtype);
  });
}

LoweredStep native::copyBytes(StepBuffer from, StepBuffer to, int64_t bytes) {
  int64_t pieces = ceilDiv(bytes, kPieceBytes);
  LoweredStep step = moveStep(kernelOf(CopySpec()), std::move(from), std::move(to), {bytes}, pieces,
                              2.0 * static_cast<double>(bytes));
  step.share = 1;
  return step;
}
