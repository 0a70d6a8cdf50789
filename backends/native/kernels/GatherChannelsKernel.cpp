//===- GatherChannelsKernel.cpp - channels of images in blocks, moved -----===//
//
// A vector of the result is some lanes of vectors of the inputs, in an order that the compiler
// knows. Blocks of the result that are made alike share their code; a table says of which blocks
// each of them is made.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/GatherChannelsKernel.h"

#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/target/TileChoice.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <algorithm>
#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::native;

using LanePattern = GatherChannelsSpec::Pattern;

namespace {
/// The run-time dims; then the blocks of each input, and of each pattern where its entries begin in
/// the table, and how many there are.
enum GatherChannelsDim { kPixels, kChunk, kChunks, kBlocks, kFixedDims };

class GatherChannelsEmitter {
public:
  GatherChannelsEmitter(KernelBuilder &kb, const GatherChannelsSpec &spec)
      : kb(kb), spec(spec), inputs(static_cast<int64_t>(spec.inputBlocks.size())),
        width(std::max(spec.block, *std::ranges::max_element(spec.inputBlocks))) {}
  void emit();

private:
  void emitPattern(int64_t number, Value image, Value from, Value to);
  /// The pixels of a block of an image.
  Value blockAt(int64_t buffer, Value blocks, Value image, Value block, int64_t lanes);
  Value entry(Value place) {
    return kb.load(kb.advance(kb.buffer(inputs + 1), place, DType::Int64), DType::Int64, 0);
  }
  Value shuffle(Value a, Value b, ArrayRef<int32_t> lanes) {
    return kb.builder().create<LLVM::ShuffleVectorOp>(kb.loc(), a, b, lanes);
  }
  Value zero(int64_t lanes);
  /// As many lanes, of which those that are not there may hold anything.
  Value resized(Value vector, int64_t from, int64_t to);
  Value gathered(const LanePattern &pattern, ArrayRef<Value> vectors);

  KernelBuilder &kb;
  const GatherChannelsSpec &spec;
  int64_t inputs;
  /// Lanes of the vectors that are shuffled: of the largest block.
  int64_t width;
};
} // namespace

void GatherChannelsEmitter::emit() {
  Value pixels = kb.dim(kPixels), chunk = kb.dim(kChunk), chunks = kb.dim(kChunks);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value image = kb.div(task, chunks), from = kb.mul(kb.rem(task, chunks), chunk);
    Value to = kb.minSigned(kb.add(from, chunk), pixels);
    for (int64_t number = 0; number < static_cast<int64_t>(spec.patterns.size()); ++number)
      emitPattern(number, image, from, to);
  });
}

Value GatherChannelsEmitter::blockAt(int64_t buffer, Value blocks, Value image, Value block,
                                     int64_t lanes) {
  Value number = kb.add(kb.mul(image, blocks), block);
  return kb.advance(kb.buffer(buffer), kb.mul(kb.mul(number, kb.dim(kPixels)), lanes), spec.dtype);
}

void GatherChannelsEmitter::emitPattern(int64_t number, Value image, Value from, Value to) {
  const LanePattern &pattern = spec.patterns[number];
  auto sources = static_cast<int64_t>(pattern.inputs.size());
  Value begin = kb.dim(kFixedDims + inputs + 2 * number),
        count = kb.dim(kFixedDims + inputs + 2 * number + 1);
  kb.forLoop(kb.index(0), count, 1, [&](Value i) {
    Value place = kb.add(begin, kb.mul(i, sources + 1));
    Value result = blockAt(inputs, kb.dim(kBlocks), image, entry(place), spec.block);
    SmallVector<Value> blocks;
    for (auto [source, input] : llvm::enumerate(pattern.inputs))
      blocks.push_back(blockAt(input, kb.dim(kFixedDims + input), image,
                               entry(kb.add(place, static_cast<int64_t>(source) + 1)),
                               spec.inputBlocks[input]));
    kb.forLoop(from, to, 1, [&](Value pixel) {
      SmallVector<Value> vectors;
      for (auto [block, input] : llvm::zip_equal(blocks, pattern.inputs)) {
        int64_t lanes = spec.inputBlocks[input];
        Value at = kb.advance(block, kb.mul(pixel, lanes), spec.dtype);
        vectors.push_back(resized(kb.load(at, spec.dtype, lanes), lanes, width));
      }
      kb.store(resized(gathered(pattern, vectors), width, spec.block),
               kb.advance(result, kb.mul(pixel, spec.block), spec.dtype), spec.dtype, spec.block);
    });
  });
}

Value GatherChannelsEmitter::zero(int64_t lanes) {
  OpBuilder &ops = kb.builder();
  Type type = nn::registerType(ops.getContext(), spec.dtype, lanes);
  return ops.create<arith::ConstantOp>(kb.loc(), ops.getZeroAttr(type));
}

Value GatherChannelsEmitter::resized(Value vector, int64_t from, int64_t to) {
  if (from == to)
    return vector;
  SmallVector<int32_t> lanes(to, -1);
  std::iota(lanes.begin(), lanes.begin() + std::min(from, to), 0);
  return shuffle(vector, vector, lanes);
}

Value GatherChannelsEmitter::gathered(const LanePattern &pattern, ArrayRef<Value> vectors) {
  auto sources = static_cast<int64_t>(vectors.size());
  if (sources == 0)
    return zero(width);
  // Two vectors at first, then what is there and one more.
  Value result = vectors[0];
  for (int64_t source = std::min<int64_t>(sources - 1, 1); source < sources; ++source) {
    SmallVector<int32_t> lanes(width, -1);
    for (auto [i, lane] : llvm::enumerate(pattern.lanes)) {
      int64_t of = lane < 0 ? sources : lane / width, within = lane % width;
      if (of == source)
        lanes[i] = static_cast<int32_t>(source == 0 ? within : width + within);
      else if (of < source)
        lanes[i] = static_cast<int32_t>(source <= 1 ? within : static_cast<int64_t>(i));
    }
    result = shuffle(result, vectors[source], lanes);
  }
  if (!llvm::is_contained(pattern.lanes, -1))
    return result;
  SmallVector<int32_t> lanes(width, static_cast<int32_t>(width));
  for (auto [i, lane] : llvm::enumerate(pattern.lanes))
    if (lane >= 0)
      lanes[i] = static_cast<int32_t>(i);
  return shuffle(result, zero(width), lanes);
}

std::string GatherChannelsSpec::name() const {
  return "gather_channels_" + std::string(dtypeName(dtype)) + "x" + std::to_string(block);
}

void GatherChannelsSpec::emit(KernelBuilder &kb) const { GatherChannelsEmitter(kb, *this).emit(); }

//===----------------------------------------------------------------------===//
// Step
//===----------------------------------------------------------------------===//

namespace {
/// Finds how blocks of a result are made, and the table.
class LanePatterns {
public:
  LanePatterns(ArrayRef<BlockedImages> inputs, int64_t width) : inputs(inputs), width(width) {}
  /// Adds block `number` of the result, which has these lanes.
  void add(int64_t number, ArrayRef<int64_t> lanes);

  std::vector<LanePattern> patterns;
  /// Of each pattern, for each block: its number, and those of the blocks that it is made of.
  std::vector<std::vector<int64_t>> entries;

private:
  /// Of a lane of all inputs the input, and the lane in it.
  std::pair<int64_t, int64_t> originOf(int64_t lane) const;

  ArrayRef<BlockedImages> inputs;
  int64_t width;
};
} // namespace

std::pair<int64_t, int64_t> LanePatterns::originOf(int64_t lane) const {
  int64_t input = 0;
  for (; lane >= inputs[input].blocks * inputs[input].block; ++input)
    lane -= inputs[input].blocks * inputs[input].block;
  return {input, lane};
}

void LanePatterns::add(int64_t number, ArrayRef<int64_t> lanes) {
  LanePattern pattern;
  std::vector<int64_t> entry{number};
  for (int64_t lane : lanes) {
    if (lane < 0) {
      pattern.lanes.push_back(-1);
      continue;
    }
    auto [input, within] = originOf(lane);
    int64_t block = within / inputs[input].block;
    size_t source = 0;
    while (source < pattern.inputs.size() &&
           (pattern.inputs[source] != input || entry[source + 1] != block))
      ++source;
    if (source == pattern.inputs.size()) {
      pattern.inputs.push_back(input);
      entry.push_back(block);
    }
    pattern.lanes.push_back(static_cast<int64_t>(source) * width + within % inputs[input].block);
  }
  auto known = std::ranges::find(patterns, pattern) - patterns.begin();
  if (known == static_cast<std::ptrdiff_t>(patterns.size())) {
    patterns.push_back(std::move(pattern));
    entries.emplace_back();
  }
  entries[known].insert(entries[known].end(), entry.begin(), entry.end());
}

LoweredStep native::gatherChannels(std::vector<BlockedImages> inputs, BlockedImages result,
                                   int64_t batch, int64_t pixels, llvm::ArrayRef<int64_t> lanes,
                                   DType dtype) {
  // What a task reads and writes of a block is a few lines of the first cache.
  constexpr int64_t kPixelsOfTask = 64;
  GatherChannelsSpec spec{
      .dtype = bitsOf(dtype), .inputBlocks = {}, .block = result.block, .patterns = {}};
  int64_t width = result.block;
  for (const BlockedImages &input : inputs) {
    spec.inputBlocks.push_back(input.block);
    width = std::max(width, input.block);
  }
  LanePatterns found(inputs, width);
  SmallVector<int64_t> padded(lanes);
  padded.resize(result.blocks * result.block, -1);
  for (int64_t block = 0; block < result.blocks; ++block)
    found.add(block, ArrayRef(padded).slice(block * result.block, result.block));
  int64_t chunks = ceilDiv(pixels, kPixelsOfTask), chunk = ceilDiv(pixels, chunks);
  LoweredStep step;
  step.dims = {pixels, chunk, chunks, result.blocks};
  for (const BlockedImages &input : inputs)
    step.dims.push_back(input.blocks);
  std::vector<int64_t> table;
  for (auto [pattern, entries] : llvm::zip_equal(found.patterns, found.entries)) {
    step.dims.push_back(static_cast<int64_t>(table.size()));
    step.dims.push_back(static_cast<int64_t>(entries.size() / (pattern.inputs.size() + 1)));
    table.insert(table.end(), entries.begin(), entries.end());
  }
  spec.patterns = std::move(found.patterns);
  for (BlockedImages &input : inputs)
    step.buffers.push_back(std::move(input.buffer));
  step.buffers.push_back(std::move(result.buffer));
  step.buffers.push_back(StepBuffer::weights(Tensor::ofInts(table)));
  step.tasks = batch * chunks;
  step.grain = chooseMoveGrain(2 * result.blocks * result.block * chunk * dtypeBytes(dtype));
  step.kernel = kernelOf(spec);
  return step;
}
