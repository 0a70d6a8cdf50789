//===- CopyKernels.cpp - strided copies -----------------------------------===//
//
// A transposition works on square tiles of L x L elements: L vectors along the
// dimension that is contiguous in the source, log2(L) rounds of interleaving,
// L vectors along the one that is contiguous in the target.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/CopyKernels.h"

#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

bool native::isMovable(DType dtype) {
  int64_t bytes = dtypeBytes(dtype);
  return dtype != DType::String && (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
}

bool native::isComputable(DType dtype) {
  return dtype == DType::Float16 || dtype == DType::BFloat16 || dtype == DType::Float32 ||
         dtype == DType::Float64 ||
         ((isSignedInteger(dtype) || isUnsignedInteger(dtype)) && dtypeBits(dtype) >= 8);
}

DType native::bitsOf(DType dtype) {
  switch (dtypeBytes(dtype)) {
  case 1:
    return DType::UInt8;
  case 2:
    return DType::UInt16;
  case 4:
    return DType::UInt32;
  default:
    return DType::UInt64;
  }
}

//===----------------------------------------------------------------------===//
// Transposition
//===----------------------------------------------------------------------===//

namespace {
/// The run-time dims; then for each outer dimension its size, source and target
/// stride. `a` runs along source vectors, `z` along target vectors.
enum TransposeDim {
  kASize,
  kZSize,
  kSourceZ,
  kTargetA,
  kAChunk,
  kATasks,
  kZChunk,
  kZTasks,
  kOuterDims
};

/// Emits a tiled transposition of elements of one width.
class TransposeEmitter {
public:
  TransposeEmitter(KernelBuilder &kb, DType dtype, int64_t outerRank)
      : kb(kb), dtype(dtype), outerRank(outerRank),
        tile(std::min<int64_t>(kb.target().lanes(dtype), 16)) {}
  void emit();

private:
  void emitTask(Value task);
  /// A full tile at the given addresses.
  void emitTile(Value source, Value target);
  /// Elements one by one where no full tile fits.
  void emitElements(Value source, Value target, Value aBegin, Value aEnd, Value zBegin, Value zEnd);
  Value sourceAt(Value source, Value a, Value z) {
    return kb.advance(source, kb.add(a, kb.mul(z, kb.dim(kSourceZ))), dtype);
  }
  Value targetAt(Value target, Value a, Value z) {
    return kb.advance(target, kb.add(z, kb.mul(a, kb.dim(kTargetA))), dtype);
  }

  KernelBuilder &kb;
  DType dtype;
  int64_t outerRank;
  int64_t tile;
};
} // namespace

void TransposeEmitter::emit() {
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
}

void TransposeEmitter::emitTask(Value task) {
  Value aBegin = kb.mul(kb.rem(task, kb.dim(kATasks)), kb.dim(kAChunk));
  Value rest = kb.div(task, kb.dim(kATasks));
  Value zBegin = kb.mul(kb.rem(rest, kb.dim(kZTasks)), kb.dim(kZChunk));
  rest = kb.div(rest, kb.dim(kZTasks));
  Value sourceOffset = kb.index(0), targetOffset = kb.index(0);
  for (int64_t d = outerRank - 1; d >= 0; --d) {
    Value at = kb.rem(rest, kb.dim(kOuterDims + 3 * d));
    rest = kb.div(rest, kb.dim(kOuterDims + 3 * d));
    sourceOffset = kb.add(sourceOffset, kb.mul(at, kb.dim(kOuterDims + 3 * d + 1)));
    targetOffset = kb.add(targetOffset, kb.mul(at, kb.dim(kOuterDims + 3 * d + 2)));
  }
  Value source = kb.advance(kb.buffer(0), sourceOffset, dtype);
  Value target = kb.advance(kb.buffer(1), targetOffset, dtype);
  Value aEnd = kb.minSigned(kb.add(aBegin, kb.dim(kAChunk)), kb.dim(kASize));
  Value aTiles = kb.sub(aEnd, kb.rem(kb.sub(aEnd, aBegin), kb.index(tile)));
  Value zEnd = kb.minSigned(kb.add(zBegin, kb.dim(kZChunk)), kb.dim(kZSize));
  Value zTiles = kb.sub(zEnd, kb.rem(kb.sub(zEnd, zBegin), kb.index(tile)));
  kb.forLoop(aBegin, aTiles, tile, [&](Value a) {
    kb.forLoop(zBegin, zTiles, tile,
               [&](Value z) { emitTile(sourceAt(source, a, z), targetAt(target, a, z)); });
  });
  emitElements(source, target, aBegin, aTiles, zTiles, zEnd);
  emitElements(source, target, aTiles, aEnd, zBegin, zEnd);
}

void TransposeEmitter::emitTile(Value source, Value target) {
  SmallVector<Value> rows;
  for (int64_t z = 0; z < tile; ++z)
    rows.push_back(kb.load(sourceAt(source, kb.index(0), kb.index(z)), dtype, tile));
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < tile / 2; ++i) {
    low.append({i, tile + i});
    high.append({tile / 2 + i, tile + tile / 2 + i});
  }
  // Interleaving rows i and i + L/2 is one perfect shuffle of all elements;
  // log2(L) of them exchange the two coordinates.
  for (int64_t round = 1; round < tile; round *= 2) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < tile / 2; ++i)
      for (ArrayRef<int64_t> order : {ArrayRef<int64_t>(low), ArrayRef<int64_t>(high)})
        next.push_back(
            kb.builder().create<vector::ShuffleOp>(kb.loc(), rows[i], rows[i + tile / 2], order));
    rows = std::move(next);
  }
  for (int64_t a = 0; a < tile; ++a)
    kb.store(rows[a], targetAt(target, kb.index(a), kb.index(0)), dtype, tile);
}

void TransposeEmitter::emitElements(Value source, Value target, Value aBegin, Value aEnd,
                                    Value zBegin, Value zEnd) {
  kb.forLoop(aBegin, aEnd, 1, [&](Value a) {
    kb.forLoop(zBegin, zEnd, 1, [&](Value z) {
      kb.store(kb.load(sourceAt(source, a, z), dtype, 0), targetAt(target, a, z), dtype, 0);
    });
  });
}

void TransposeSpec::emit(KernelBuilder &kb) const { TransposeEmitter(kb, bits, outerRank).emit(); }

/// The transposition that exchanges dimension `a`, contiguous in the source, and
/// the last one, contiguous in the target.
static LoweredStep makeTransposition(const Sizes &sizes, size_t a, DType bits, const Sizes &from,
                                     const Sizes &to) {
  // Source and target of a task fit into the first-level cache.
  constexpr int64_t kSide = 64, kTaskElements = kSide * kSide;
  size_t z = sizes.size() - 1;
  auto chunkBeside = [&](int64_t size, int64_t other) -> int64_t {
    return std::min<int64_t>(size, llvm::alignTo(kTaskElements / std::min(other, kSide), kSide));
  };
  int64_t aChunk = chunkBeside(sizes[a], sizes[z]), zChunk = chunkBeside(sizes[z], sizes[a]);
  int64_t aTasks = ceilDiv(sizes[a], aChunk), zTasks = ceilDiv(sizes[z], zChunk);
  LoweredStep step;
  step.dims = {sizes[a], sizes[z], from[z], to[a], aChunk, aTasks, zChunk, zTasks};
  step.tasks = aTasks * zTasks;
  for (size_t d = 0; d < z; ++d)
    if (d != a) {
      step.dims.insert(step.dims.end(), {sizes[d], from[d], to[d]});
      step.tasks *= sizes[d];
    }
  auto rank = static_cast<int64_t>(sizes.size()) - 2, outerRank = roundOuterRank(rank);
  for (int64_t d = rank; d < outerRank; ++d)
    step.dims.insert(step.dims.end(), {1, 0, 0});
  step.grain = std::max<int64_t>(1, 2 * kTaskElements / (aChunk * zChunk));
  step.kernel = kernelOf(TransposeSpec{bits, outerRank});
  return step;
}

void native::appendCopy(const Sizes &sizes, DType dtype, CopySide from, CopySide to,
                        std::vector<LoweredStep> &steps, ArrayRef<bool> lasting) {
  if (llvm::is_contained(sizes, 0))
    return;
  DType bits = bitsOf(dtype);
  Sizes loops = sizes;
  SmallVector<Sizes> strides = {from.strides, to.strides};
  collapseDimensions(loops, strides, lasting);
  size_t last = loops.size() - 1;
  auto unit = llvm::find(strides[0], 1);
  bool canTranspose = strides[0][last] != 1 && strides[1][last] == 1 && unit != strides[0].end() &&
                      strides[0][last] != 0;
  if (canTranspose) {
    auto a = static_cast<size_t>(unit - strides[0].begin());
    LoweredStep step = makeTransposition(loops, a, bits, strides[0], strides[1]);
    step.buffers = {std::move(from.buffer), std::move(to.buffer)};
    steps.push_back(std::move(step));
    return;
  }
  MapProblem problem;
  problem.name = "copy";
  problem.lasting.assign(loops.size(), true);
  problem.sizes = std::move(loops);
  problem.inputs.push_back({std::move(from.buffer), bits, std::move(strides[0])});
  problem.outputs.push_back({std::move(to.buffer), bits, std::move(strides[1])});
  problem.program.inputs = {bits};
  problem.program.results = {0};
  appendMap(std::move(problem), steps);
}

void native::appendFill(const Sizes &sizes, DType dtype, StepBuffer value, CopySide to,
                        std::vector<LoweredStep> &steps) {
  DType bits = bitsOf(dtype);
  MapProblem problem;
  problem.name = "fill";
  problem.sizes = sizes;
  problem.inputs.push_back({std::move(value), bits, Sizes(sizes.size(), 0)});
  problem.outputs.push_back({std::move(to.buffer), bits, std::move(to.strides)});
  problem.program.inputs = {bits};
  problem.program.results = {0};
  appendMap(std::move(problem), steps);
}
