//===- LowerPack.cpp - into blocks of channels, and back ------------------===//
#include "backends/native/kernels/GatherChannelsKernel.h"
#include "backends/native/kernels/MapKernel.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/lowering/MovedParts.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// The sizes of a plain tensor and of its blocked form, spatial ones as one.
struct BlockedShape {
  int64_t batch, channels, spatial, blocks, block;
  int64_t fullBlocks() const { return channels / block; }
  int64_t restChannels() const { return channels % block; }
  int64_t plainBatch() const { return channels * spatial; }
  int64_t blockedBatch() const { return blocks * spatial * block; }
};
} // namespace

/// The program that puts `count` unsigned `elements` into a `word`, the first into its lowest bits.
static ScalarProgram joinElements(int64_t count, DType elements, DType word) {
  ScalarProgram program;
  program.inputs.assign(static_cast<size_t>(count), elements);
  auto append = [&](ScalarProgram::Op op) {
    op.resultType = word;
    program.ops.push_back(std::move(op));
    return static_cast<int>(program.inputs.size() + program.ops.size()) - 1;
  };
  int joined = -1;
  for (int i = 0; i < count; ++i) {
    int element = append({.name = "nn.cast", .args = {i}, .operandType = elements});
    if (i > 0) {
      int bits = append(
          {.name = "constant", .operandType = word, .intValue = int64_t{dtypeBits(elements)} * i});
      element = append({.name = "nn.shift_left", .args = {element, bits}, .operandType = word});
      joined = append({.name = "nn.or", .args = {joined, element}, .operandType = word});
    } else {
      joined = element;
    }
  }
  program.results = {joined};
  return program;
}

/// A block of channels that fills a word of 4 or 8 bytes: of bytes, or of 16 bits.
static std::optional<DType> wordOfBlock(DType dtype, int64_t block) {
  int64_t bytes = dtypeBytes(dtype) * block;
  if (dtypeBytes(dtype) > 2 || (bytes != 4 && bytes != 8))
    return std::nullopt;
  return bytes == 4 ? DType::UInt32 : DType::UInt64;
}

/// At most so many channels as a word has: each pixel is a word, the rest of it 0.
static LoweredSteps packWords(nn::PackOp op, const BlockedShape &s, DType word) {
  DType dtype = dtypeBytes(dtypeOfValue(op.getInput())) == 1 ? DType::UInt8 : DType::UInt16;
  MapProblem problem;
  problem.name = "pack_words";
  problem.sizes = {s.batch, s.spatial};
  for (int64_t c = 0; c < s.channels; ++c)
    problem.inputs.push_back({StepBuffer::of(op.getInput(), c * s.spatial * dtypeBytes(dtype)),
                              dtype,
                              {s.plainBatch(), 1}});
  problem.outputs.push_back({StepBuffer::of(op.getResult()), word, {s.spatial, 1}});
  problem.program = joinElements(s.channels, dtype, word);
  LoweredSteps lowered;
  appendMap(std::move(problem), lowered);
  return lowered;
}

static LoweringResult lower(nn::PackOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  BlockedShape s{sizes[0], sizes[1], productOf(sizes.drop_front(2)),
                 context.sizesOf(op.getResult())[1], context.sizesOf(op.getResult()).back()};
  if (std::optional<DType> word = wordOfBlock(dtypeOfValue(op.getInput()), s.block);
      word && s.blocks == 1)
    return packWords(op, s, *word);
  LoweredSteps lowered;
  copyPart(op.getResult(), {s.batch, s.fullBlocks(), s.spatial, s.block},
           viewOf(op.getInput(), {s.plainBatch(), s.block * s.spatial, 1, s.spatial}),
           viewOf(op.getResult(), {s.blockedBatch(), s.spatial * s.block, s.block, 1}), context,
           lowered);
  if (s.restChannels() == 0)
    return lowered;
  int64_t plainRest = s.fullBlocks() * s.block * s.spatial, blockedRest = plainRest;
  copyPart(op.getResult(), {s.batch, s.spatial, s.restChannels()},
           viewOf(op.getInput(), {s.plainBatch(), 1, s.spatial}, plainRest),
           viewOf(op.getResult(), {s.blockedBatch(), s.block, 1}, blockedRest), context, lowered);
  fillPart(op.getResult(), {s.batch, s.spatial, s.block - s.restChannels()},
           StepBuffer::weights(Tensor::allocate(dtypeOfValue(op.getInput()), {}).take()),
           viewOf(op.getResult(), {s.blockedBatch(), s.block, 1}, blockedRest + s.restChannels()),
           context, lowered);
  return lowered;
}

static LoweringResult lower(nn::UnpackOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  BlockedShape s{sizes[0], op.getChannels(), productOf(sizes.drop_front(2).drop_back()), sizes[1],
                 sizes.back()};
  LoweredSteps lowered;
  copyPart(op.getResult(), {s.batch, s.fullBlocks(), s.block, s.spatial},
           viewOf(op.getInput(), {s.blockedBatch(), s.spatial * s.block, 1, s.block}),
           viewOf(op.getResult(), {s.plainBatch(), s.block * s.spatial, s.spatial, 1}), context,
           lowered);
  int64_t restOffset = s.fullBlocks() * s.block * s.spatial;
  copyPart(op.getResult(), {s.batch, s.restChannels(), s.spatial},
           viewOf(op.getInput(), {s.blockedBatch(), 1, s.block}, restOffset),
           viewOf(op.getResult(), {s.plainBatch(), s.spatial, 1}, restOffset), context, lowered);
  return lowered;
}

static LoweringResult lower(nn::GatherChannelsOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  auto imagesOf = [&](Value value) {
    ArrayRef<int64_t> sizes = context.sizesOf(value);
    return BlockedImages{StepBuffer::of(value), sizes[1], sizes.back()};
  };
  ArrayRef<int64_t> sizes = context.sizesOf(op.getResult());
  int64_t pixels = productOf(sizes.drop_front(2).drop_back());
  if (sizes[0] * sizes[1] * pixels == 0)
    return LoweredSteps();
  std::vector<BlockedImages> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(imagesOf(input));
  return oneStep(gatherChannels(std::move(inputs), imagesOf(op.getResult()), sizes[0], pixels,
                                op.getLanes(), dtypeOfValue(op.getResult())));
}

std::span<const LoweringRow> native::packLowerings() {
  static const LoweringRow rows[] = {lowered<nn::PackOp, lower>(), lowered<nn::UnpackOp, lower>(),
                                     lowered<nn::GatherChannelsOp, lower>()};
  return rows;
}
