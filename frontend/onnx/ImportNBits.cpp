//===- ImportNBits.cpp - weights of few bits, in blocks -------------------===//
//
// ONNX Runtime's own packing: a byte holds 8 / bits values, the lowest bits first, and a
// block of `block_size` values along K has a scale and a zero point. They are unpacked and
// scaled in front of the product; where they are constants, once.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/Composition.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/Quantization.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

namespace {
/// The weights of MatMulNBits: [columns, blocks * blockSize], of which the first `depth` of a
/// row are used.
struct Packing {
  int64_t bits, blockSize, columns, depth;
  int64_t perByte() const { return 8 / bits; }
  int64_t blocks() const { return (depth + blockSize - 1) / blockSize; }
};
} // namespace

static Packing readPacking(NodeImport &node) {
  Packing packing{node.getInt("bits", 4), node.getInt("block_size"), node.getInt("N"),
                  node.getInt("K")};
  constexpr int64_t kMost = int64_t{1} << 31;
  if (packing.bits != 2 && packing.bits != 4 && packing.bits != 8)
    node.unsupported(fmt::format("attribute 'bits' = {}", packing.bits));
  else if (packing.blockSize < 16 || packing.blockSize > kMost ||
           (packing.blockSize & (packing.blockSize - 1)) != 0)
    node.invalid(fmt::format("attribute 'block_size' must be a power of two from 16, found {}",
                             packing.blockSize));
  for (auto [name, size] : {std::pair("N", packing.columns), std::pair("K", packing.depth)})
    if (size < 1 || size > kMost)
      node.invalid(fmt::format("attribute '{}' must be in [1, 2^31], found {}", name, size));
  return packing;
}

/// An operand of these sizes, in whatever dimensions it comes.
static Value shaped(NodeImport &node, int i, const std::vector<int64_t> &dims) {
  nn::Shape wanted = nn::Shape::fromSizes(dims);
  auto shape = node.inputShape(i);
  std::optional<int64_t> found = shape ? shape->numElements() : std::nullopt;
  if (found && found != wanted.numElements())
    node.invalid(fmt::format("operand {} is {}, expected as many elements as {}", i, shape->str(),
                             wanted.str()));
  return node.create<nn::ReshapeOp>(node.input(i), node.intsConstant(dims), /*allowzero=*/true);
}

/// The values in the bytes of a tensor, in a dimension more.
static Value unpacked(NodeImport &node, Value bytes, int64_t rank, const Packing &packing) {
  bytes = node.create<nn::UnsqueezeOp>(bytes, node.intsConstant({rank}));
  if (packing.perByte() == 1)
    return bytes;
  std::vector<uint8_t> shifts;
  for (int64_t i = 0; i < packing.perByte(); ++i)
    shifts.push_back(static_cast<uint8_t>(i * packing.bits));
  Value shift = node.constant(Tensor::of<uint8_t>({packing.perByte()}, shifts));
  auto mask = static_cast<uint8_t>((1 << packing.bits) - 1);
  return node.create<nn::AndOp>(node.create<nn::ShiftRightOp>(bytes, shift),
                                node.constant(Tensor::of<uint8_t>({}, {mask})));
}

/// What stands for zero, [columns, blocks, 1] or a scalar, in float32.
static Value readZeros(NodeImport &node, const Packing &packing) {
  if (!node.hasInput(3))
    return node.scalarConstant(1 << (packing.bits - 1), DType::Float32);
  std::vector<int64_t> dims = {packing.columns, packing.blocks(), 1};
  if (isFloat(node.inputDType(3)))
    return convert(node, shaped(node, 3, dims), DType::Float32);
  if (!checkDType(node, 3, {DType::UInt8}))
    return node.input(3);
  // The zero points of a row begin in a byte of their own.
  int64_t perRow = (packing.blocks() + packing.perByte() - 1) / packing.perByte();
  Value zeros = unpacked(node, shaped(node, 3, {packing.columns, perRow}), 2, packing);
  zeros = node.create<nn::ReshapeOp>(
      zeros, node.intsConstant({packing.columns, perRow * packing.perByte(), 1}), true);
  zeros =
      node.create<nn::SliceOp>(zeros, node.intsConstant({0}), node.intsConstant({packing.blocks()}),
                               node.intsConstant({1}), node.graph().none);
  return convert(node, zeros, DType::Float32);
}

/// [columns, blocks, 1] for each position along K: of its block, which operand 4 may name.
static Value ofPositions(NodeImport &node, Value ofBlocks, const Packing &packing) {
  if (!node.hasInput(4) || nn::shapeOf(ofBlocks.getType())->rank() == 0)
    return ofBlocks;
  ofBlocks = node.create<nn::SqueezeOp>(ofBlocks, node.intsConstant({2}));
  return node.create<nn::GatherOp>(ofBlocks, shaped(node, 4, {packing.depth}), /*axis=*/1);
}

/// The weights in float32, [columns, depth].
static Value readWeights(NodeImport &node, const Packing &packing) {
  int64_t columns = packing.columns, blocks = packing.blocks();
  Value bytes = shaped(node, 1, {columns, blocks, packing.blockSize / packing.perByte()});
  Value scales = convert(node, shaped(node, 2, {columns, blocks, 1}), DType::Float32);
  Value zeros = readZeros(node, packing);
  if (node.failed())
    return bytes;
  Value values = convert(node, unpacked(node, bytes, 3, packing), DType::Float32);
  auto reshape = [&](std::vector<int64_t> dims) {
    values = node.create<nn::ReshapeOp>(values, node.intsConstant(dims), /*allowzero=*/true);
  };
  auto scale = [&] {
    values = node.create<nn::SubOp>(values, ofPositions(node, zeros, packing));
    values = node.create<nn::MulOp>(values, ofPositions(node, scales, packing));
  };
  if (!node.hasInput(4)) {
    reshape({columns, blocks, packing.blockSize});
    scale();
  }
  reshape({columns, blocks * packing.blockSize});
  if (blocks * packing.blockSize != packing.depth)
    values =
        node.create<nn::SliceOp>(values, node.intsConstant({0}), node.intsConstant({packing.depth}),
                                 node.intsConstant({1}), node.graph().none);
  if (node.hasInput(4))
    scale();
  return values;
}

/// A product with weights [N, K]; accuracy levels ask for less, and get the same.
static void importMatMulNBits(NodeImport &node) {
  Packing packing = readPacking(node);
  node.ignoreAttribute("accuracy_level");
  if (node.getInt("weight_prepacked", 0) != 0)
    return node.unsupported("attribute 'weight_prepacked'");
  if (node.failed() || !checkScale(node, 0) || !checkDType(node, 1, {DType::UInt8}) ||
      !checkScale(node, 2) || (node.hasInput(4) && !checkDType(node, 4, {DType::Int32})))
    return;
  Value weights = readWeights(node, packing);
  if (node.failed())
    return;
  weights = node.create<nn::TransposeOp>(weights, std::vector<int64_t>{1, 0});
  Value product = node.create<nn::MatMulOp>(widen(node, node.input(0)), weights);
  if (node.hasInput(5))
    product =
        node.create<nn::AddOp>(product, checkBroadcast(node, widen(node, node.input(5)), product));
  node.setOutput(0, convert(node, product, node.inputDType(0)));
}

std::span<const OpsetRow> quern::onnx::nBitsImports() {
  static constexpr OpsetRow rows[] = {
      {"MatMulNBits", 1, 1, 3, 6, 1, importMatMulNBits, kMicrosoftDomain},
  };
  return rows;
}
