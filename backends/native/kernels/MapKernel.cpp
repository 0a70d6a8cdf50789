//===- MapKernel.cpp - elementwise kernels on strided operands ------------===//
//
// The index space is collapsed to few dimensions: outer ones, which a task's
// number is split into, and in each task a block of rows of inner elements.
// Inner elements are computed by vectors, or one by one when an operand's inner
// stride is neither 0 nor 1.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/MapKernel.h"

#include "backends/native/target/CpuRates.h"
#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// Bytes that one task should move.
static constexpr int64_t kTaskBytes = 32 << 10;

void native::collapseDimensions(Sizes &sizes, SmallVector<Sizes> &strides, ArrayRef<bool> lasting) {
  Sizes keptSizes;
  SmallVector<Sizes> kept(strides.size());
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == 1 && (lasting.empty() || !lasting[d]))
      continue;
    bool merges = !keptSizes.empty();
    for (size_t k = 0; k < strides.size(); ++k)
      merges = merges && kept[k].back() == strides[k][d] * sizes[d];
    if (merges)
      keptSizes.back() *= sizes[d];
    else
      keptSizes.push_back(sizes[d]);
    for (size_t k = 0; k < strides.size(); ++k) {
      if (merges)
        kept[k].back() = strides[k][d];
      else
        kept[k].push_back(strides[k][d]);
    }
  }
  if (keptSizes.empty()) {
    keptSizes.push_back(1);
    for (auto &s : kept)
      s.push_back(1);
  }
  sizes = std::move(keptSizes);
  strides = std::move(kept);
}

int64_t native::roundOuterRank(int64_t rank) { return rank <= 2 ? 2 : rank <= 4 ? 4 : rank; }

bool native::hasMaskedAccess(const Target &target, DType dtype) {
  return target.has(Isa::Avx512) || (target.has(Isa::Avx2) && dtypeBytes(dtype) >= 4);
}

namespace {
using InnerStride = MapSpec::InnerStride;

/// The run-time dims, in this order; then the outer sizes; then for each operand
/// its inner stride, row stride and outer strides.
enum MapDim { kInner, kInnerChunk, kInnerTasks, kRows, kRowChunk, kRowTasks, kFixedDims };

/// Emits one map kernel.
class MapEmitter {
public:
  MapEmitter(KernelBuilder &kb, const MapSpec &kernel);
  void emit();

private:
  size_t operandCount() const { return kernel.inputs.size() + kernel.outputs.size(); }
  InnerStride innerStrideOf(size_t k) const {
    return k < kernel.inputs.size() ? kernel.inputs[k] : kernel.outputs[k - kernel.inputs.size()];
  }
  DType typeOf(size_t k) const {
    return k < kernel.inputs.size() ? kernel.program.inputs[k]
                                    : kernel.outputTypes[k - kernel.inputs.size()];
  }
  Value strideOf(size_t k, int64_t i) {
    return kb.dim(kFixedDims + kernel.outerRank + int64_t(k) * (2 + kernel.outerRank) + i);
  }

  /// All tasks of this call in run number `run` of kInnerTasks.
  void emitRun(Value run);
  void emitRow(ArrayRef<Value> pointers, Value count);
  /// Whether a row is a few whole vectors of a known number.
  bool hasWholeRows() const;
  /// `count` rows from `bases` on, a few at a time.
  void emitWholeRows(ArrayRef<Value> bases, Value count);
  void emitVectors(ArrayRef<Value> pointers, Value count);
  /// Computes `copies` vectors (or elements, for width 0) from index `at`.
  void emitBlock(ArrayRef<Value> pointers, Value at, int64_t width, int64_t copies,
                 Value active = {});
  Value elementPointer(ArrayRef<Value> pointers, size_t k, Value at, int64_t ahead);
  /// What operand `k` has for vector `i`: a value, or where its result goes.
  using OfVector = llvm::function_ref<Value(size_t k, int64_t i)>;
  /// Computes `count` vectors. Stores come last, so that an output may overwrite an input in place.
  void emitVectorsOf(int64_t count, int64_t width, Value active, OfVector argument,
                     OfVector address);

  KernelBuilder &kb;
  const MapSpec &kernel;
  int64_t lanes = 0;
  int64_t unroll = 1;
  bool masksTail = true;
  /// The elements of inputs with inner stride 0, in this row.
  SmallVector<Value> rowScalars;
};
} // namespace

/// Whether the operands' way from a cache takes longer than the program. Conversions to floats of
/// 16 bits take longer than ScalarProgram::cycles says.
static bool isStreamed(const ScalarProgram &program) {
  constexpr double kFewCycles = 2.5;
  for (const ScalarProgram::Op &op : program.ops)
    if (isFloat(op.resultType) && dtypeBytes(op.resultType) == 2)
      return false;
  return program.cycles() <= kFewCycles;
}

MapEmitter::MapEmitter(KernelBuilder &kb, const MapSpec &kernel) : kb(kb), kernel(kernel) {
  const ScalarProgram &program = kernel.program;
  int64_t widest = 1;
  for (size_t v = 0; v < program.inputs.size() + program.ops.size(); ++v)
    widest = std::max(widest, dtypeBytes(program.typeOf(static_cast<int>(v))));
  bool streams = isStreamed(program);
  int64_t vectorBytes = kb.target().vectorBytes;
  if (streams && hasHalfUnits(kb.target()))
    vectorBytes /= 2;
  lanes = vectorBytes / widest;
  for (size_t k = 0; k < operandCount(); ++k) {
    if (innerStrideOf(k) == InnerStride::Any)
      lanes = 0;
    masksTail &= hasMaskedAccess(kb.target(), typeOf(k));
  }
  // What streams is walked through by a line of each operand in turn: several at once, which are at
  // other places in their lines, take up to a fifth longer to come from any cache.
  constexpr int64_t kCacheLine = 64;
  unroll = streams                    ? std::max<int64_t>(1, kCacheLine / vectorBytes)
           : program.ops.size() <= 4  ? 4
           : program.ops.size() <= 12 ? 2
                                      : 1;
}

/// Tasks that follow each other along the inner elements are computed as one: what is found out
/// before each takes as long as a kilobyte from the third cache.
void MapEmitter::emit() {
  Value tasks = kb.dim(kInnerTasks);
  Value end = kb.div(kb.add(kb.taskEnd(), kb.sub(tasks, kb.index(1))), tasks);
  kb.forLoop(kb.div(kb.taskBegin(), tasks), end, 1, [&](Value run) { emitRun(run); });
}

void MapEmitter::emitRun(Value run) {
  Value first = kb.mul(run, kb.dim(kInnerTasks));
  Value from = kb.maxSigned(kb.sub(kb.taskBegin(), first), kb.index(0));
  Value to = kb.minSigned(kb.sub(kb.taskEnd(), first), kb.dim(kInnerTasks));
  Value innerBegin = kb.mul(from, kb.dim(kInnerChunk));
  Value innerEnd = kb.minSigned(kb.mul(to, kb.dim(kInnerChunk)), kb.dim(kInner));
  Value count = kb.sub(innerEnd, innerBegin);
  Value rest = run;
  Value rowBegin = kb.mul(kb.rem(rest, kb.dim(kRowTasks)), kb.dim(kRowChunk));
  rest = kb.div(rest, kb.dim(kRowTasks));
  SmallVector<Value> outer(kernel.outerRank);
  for (int64_t d = kernel.outerRank - 1; d >= 0; --d) {
    outer[d] = d == 0 ? rest : kb.rem(rest, kb.dim(kFixedDims + d));
    rest = kb.div(rest, kb.dim(kFixedDims + d));
  }
  Value rowCount = kb.minSigned(kb.dim(kRowChunk), kb.sub(kb.dim(kRows), rowBegin));

  SmallVector<Value> bases;
  for (size_t k = 0; k < operandCount(); ++k) {
    Value at = kb.add(kb.mul(innerBegin, strideOf(k, 0)), kb.mul(rowBegin, strideOf(k, 1)));
    for (int64_t d = 0; d < kernel.outerRank; ++d)
      at = kb.add(at, kb.mul(outer[d], strideOf(k, 2 + d)));
    bases.push_back(kb.advance(kb.buffer(static_cast<int64_t>(k)), at, typeOf(k)));
  }
  if (hasWholeRows())
    return emitWholeRows(bases, rowCount);
  kb.forLoop(kb.index(0), rowCount, 1, [&](Value row) {
    SmallVector<Value> pointers;
    for (size_t k = 0; k < operandCount(); ++k)
      pointers.push_back(kb.advance(bases[k], kb.mul(row, strideOf(k, 1)), typeOf(k)));
    emitRow(pointers, count);
  });
}

bool MapEmitter::hasWholeRows() const {
  constexpr int64_t kMostVectors = 4;
  return kernel.rowElements > 0 && lanes > 0 && kernel.rowElements % lanes == 0 &&
         kernel.rowElements / lanes <= kMostVectors;
}

void MapEmitter::emitWholeRows(ArrayRef<Value> bases, Value count) {
  int64_t vectors = kernel.rowElements / lanes, atOnce = std::max<int64_t>(unroll / vectors, 1);
  size_t inputCount = kernel.inputs.size();
  // Of input `k` for vector `v` of the row at `pointer`.
  auto load = [&](size_t k, Value pointer, int64_t v) -> Value {
    if (kernel.program.isTable(static_cast<int>(k)))
      return pointer;
    if (kernel.inputs[k] == InnerStride::Zero)
      return kb.splat(kb.load(pointer, typeOf(k), 0), lanes);
    return kb.load(kb.advance(pointer, v * lanes, typeOf(k)), typeOf(k), lanes);
  };
  SmallVector<KernelBuilder::Values> repeated(inputCount);
  for (size_t k = 0; k < inputCount; ++k)
    for (int64_t v = 0; kernel.repeats[k] && v < vectors; ++v)
      repeated[k].push_back(v > 0 && kernel.inputs[k] == InnerStride::Zero ? repeated[k][0]
                                                                           : load(k, bases[k], v));
  auto computeRows = [&](Value first, int64_t rows) {
    auto pointerOf = [&](size_t k, int64_t i) {
      Value row = kb.add(first, i / vectors);
      return kb.advance(bases[k], kb.mul(row, strideOf(k, 1)), typeOf(k));
    };
    emitVectorsOf(
        rows * vectors, lanes, {},
        [&](size_t k, int64_t i) {
          return kernel.repeats[k] ? repeated[k][i % vectors]
                                   : load(k, pointerOf(k, i), i % vectors);
        },
        [&](size_t k, int64_t i) {
          return kb.advance(pointerOf(k, i), i % vectors * lanes, typeOf(k));
        });
  };
  Value whole = kb.sub(count, kb.rem(count, kb.index(atOnce)));
  kb.forLoop(kb.index(0), whole, atOnce, [&](Value row) { computeRows(row, atOnce); });
  if (atOnce > 1)
    kb.forLoop(whole, count, 1, [&](Value row) { computeRows(row, 1); });
}

void MapEmitter::emitRow(ArrayRef<Value> pointers, Value count) {
  rowScalars.assign(kernel.inputs.size(), Value());
  for (size_t k = 0; k < kernel.inputs.size(); ++k)
    if (kernel.inputs[k] == InnerStride::Zero && !kernel.program.isTable(static_cast<int>(k)))
      rowScalars[k] = kb.load(pointers[k], typeOf(k), 0);
  if (lanes > 0)
    return emitVectors(pointers, count);
  kb.forLoop(kb.index(0), count, 1, [&](Value i) { emitBlock(pointers, i, 0, 1); });
}

void MapEmitter::emitVectors(ArrayRef<Value> pointers, Value count) {
  Value unrolledEnd = kb.sub(count, kb.rem(count, kb.index(lanes * unroll)));
  Value vectorEnd = kb.sub(count, kb.rem(count, kb.index(lanes)));
  kb.forLoop(kb.index(0), unrolledEnd, lanes * unroll,
             [&](Value i) { emitBlock(pointers, i, lanes, unroll); });
  if (unroll > 1)
    kb.forLoop(unrolledEnd, vectorEnd, lanes, [&](Value i) { emitBlock(pointers, i, lanes, 1); });
  if (!masksTail)
    return kb.forLoop(vectorEnd, count, 1, [&](Value i) { emitBlock(pointers, i, 0, 1); });
  kb.ifThen(kb.lessThan(vectorEnd, count),
            [&] { emitBlock(pointers, vectorEnd, lanes, 1, kb.sub(count, vectorEnd)); });
}

Value MapEmitter::elementPointer(ArrayRef<Value> pointers, size_t k, Value at, int64_t ahead) {
  if (innerStrideOf(k) == InnerStride::Any)
    return kb.advance(pointers[k], kb.mul(at, strideOf(k, 0)), typeOf(k));
  return kb.advance(kb.advance(pointers[k], at, typeOf(k)), ahead, typeOf(k));
}

void MapEmitter::emitVectorsOf(int64_t count, int64_t width, Value active, OfVector argument,
                               OfVector address) {
  size_t inputCount = kernel.inputs.size();
  SmallVector<KernelBuilder::Values> results;
  for (int64_t i = 0; i < count; ++i) {
    SmallVector<Value> arguments;
    for (size_t k = 0; k < inputCount; ++k)
      arguments.push_back(argument(k, i));
    results.push_back(kernel.program.emit(kb, arguments, width));
  }
  for (int64_t i = 0; i < count; ++i)
    for (auto [r, value] : llvm::enumerate(results[i]))
      kb.store(value, address(inputCount + r, i), typeOf(inputCount + r), width, active);
}

void MapEmitter::emitBlock(ArrayRef<Value> pointers, Value at, int64_t width, int64_t copies,
                           Value active) {
  auto address = [&](size_t k, int64_t c) { return elementPointer(pointers, k, at, c * width); };
  auto argument = [&](size_t k, int64_t c) -> Value {
    if (kernel.program.isTable(static_cast<int>(k)))
      return pointers[k];
    if (rowScalars[k])
      return kb.splat(rowScalars[k], width);
    return kb.load(address(k, c), typeOf(k), width, active);
  };
  emitVectorsOf(copies, width, active, argument, address);
}

void MapSpec::emit(KernelBuilder &kb) const { MapEmitter(kb, *this).emit(); }

static InnerStride classify(int64_t stride, bool isInput) {
  if (stride == 1)
    return InnerStride::One;
  return stride == 0 && isInput ? InnerStride::Zero : InnerStride::Any;
}

/// Rows are pixels of the same channels, for which all operands go by vectors: notes what they
/// share.
static void noteWholeRows(MapSpec &kernel, int64_t inner, ArrayRef<Sizes> strides) {
  auto isAny = [](InnerStride stride) { return stride == InnerStride::Any; };
  if (llvm::any_of(kernel.inputs, isAny) || llvm::any_of(kernel.outputs, isAny))
    return;
  bool sharesVectors = false;
  for (auto [k, stride] : llvm::enumerate(kernel.inputs)) {
    kernel.repeats.push_back(strides[k][strides[k].size() - 2] == 0);
    sharesVectors |= kernel.repeats.back() && stride == InnerStride::One;
  }
  if (sharesVectors)
    kernel.rowElements = inner;
  else
    kernel.repeats.clear();
}

/// The sizes of tasks: how many inner elements, and how many rows.
static std::pair<int64_t, int64_t> chooseChunks(int64_t inner, int64_t rows, int64_t elements) {
  int64_t innerChunk = inner <= 2 * elements ? inner : int64_t(llvm::alignTo(elements, 256));
  return {innerChunk, std::clamp<int64_t>(elements / innerChunk, 1, rows)};
}

void native::appendMap(MapProblem problem, std::vector<LoweredStep> &steps) {
  if (llvm::is_contained(problem.sizes, 0))
    return;
  MapSpec kernel;
  kernel.program = std::move(problem.program);
  LoweredStep step;
  Sizes sizes = std::move(problem.sizes);
  SmallVector<Sizes> strides;
  step.buffers.reserve(problem.inputs.size() + problem.outputs.size());
  for (auto *operands : {&problem.inputs, &problem.outputs})
    for (MapOperand &operand : *operands) {
      strides.push_back(std::move(operand.strides));
      step.buffers.push_back(std::move(operand.buffer));
    }
  if (problem.outputs.size() == 1)
    for (auto [k, input] : llvm::enumerate(problem.inputs))
      if (strides[k] == strides.back() &&
          dtypeBytes(input.dtype) == dtypeBytes(problem.outputs.front().dtype))
        step.overwritable.push_back(static_cast<uint32_t>(k));
  collapseDimensions(sizes, strides, problem.lasting);
  kernel.outerRank = roundOuterRank(std::max<int64_t>(static_cast<int64_t>(sizes.size()) - 2, 0));
  size_t rank = static_cast<size_t>(kernel.outerRank) + 2, added = rank - sizes.size();
  sizes.insert(sizes.begin(), added, 1);
  for (auto &s : strides)
    s.insert(s.begin(), added, 0);

  int64_t elementCost = 0, elements = 1, index = 0;
  for (int64_t size : sizes)
    elements *= size;
  for (const MapOperand &operand : problem.inputs) {
    // A table is not walked through, whatever is left of the dimensions.
    bool isTable = kernel.program.isTable(static_cast<int>(index));
    int64_t stride = isTable ? 0 : strides[index].back();
    kernel.inputs.push_back(classify(stride, true));
    ++index;
    elementCost += kernel.inputs.back() == InnerStride::Zero ? 0 : dtypeBytes(operand.dtype);
  }
  for (const MapOperand &operand : problem.outputs) {
    kernel.outputs.push_back(classify(strides[index++].back(), false));
    kernel.outputTypes.push_back(operand.dtype);
    elementCost += dtypeBytes(operand.dtype);
  }
  elementCost += 2 * static_cast<int64_t>(kernel.program.ops.size());

  int64_t inner = sizes[rank - 1], rows = sizes[rank - 2];
  if (problem.block > 0 && inner == problem.block)
    noteWholeRows(kernel, inner, strides);
  auto [innerChunk, rowChunk] =
      chooseChunks(inner, rows, std::max<int64_t>(1, kTaskBytes / elementCost));
  int64_t innerTasks = ceilDiv(inner, innerChunk);
  int64_t rowTasks = ceilDiv(rows, rowChunk);
  step.dims.reserve(kFixedDims + kernel.outerRank + strides.size() * rank);
  step.dims = {inner, innerChunk, innerTasks, rows, rowChunk, rowTasks};
  step.dims.insert(step.dims.end(), sizes.begin(), sizes.end() - 2);
  for (const auto &s : strides) {
    step.dims.insert(step.dims.end(), {s[rank - 1], s[rank - 2]});
    step.dims.insert(step.dims.end(), s.begin(), s.end() - 2);
  }
  step.tasks = elements / (inner * rows) * innerTasks * rowTasks;
  step.grain = chooseMoveGrain(innerChunk * rowChunk * elementCost);
  step.kernel = kernelOf(std::move(kernel), std::move(problem.name));
  steps.push_back(std::move(step));
}
