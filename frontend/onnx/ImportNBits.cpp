//===- ImportNBits.cpp - weights of few bits, in blocks -------------------===//
//
// ONNX Runtime's own packing: a byte holds 8 / bits values, the lowest bits first, and a
// block of `block_size` values along K has a scale and a zero point: nn.dequantize in front of
// the product. Zero points that are floats, and blocks in any order, are composed.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/compose/Quantization.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/QuantOps.h"

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

static Packing readPacking(NodeReader &node) {
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
static Value shaped(NodeReader &node, int i, const std::vector<int64_t> &dims) {
  nn::Shape wanted = nn::Shape::fromSizes(dims);
  auto shape = node.inputShape(i);
  std::optional<int64_t> found = shape ? shape->numElements() : std::nullopt;
  if (found && found != wanted.numElements())
    node.invalid(fmt::format("operand {} is {}, expected as many elements as {}", i, shape->str(),
                             wanted.str()));
  return node.create<nn::ReshapeOp>(node.input(i), node.intsConstant(dims), /*allowzero=*/true);
}

/// The values in the bytes of a tensor, in a dimension more.
static Value unpacked(NodeReader &node, Value bytes, int64_t rank, const Packing &packing) {
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

/// The first positions along dimension 1.
static Value firstOf(NodeReader &node, Value value, int64_t count) {
  if ((*nn::shapeOf(value.getType()))[1].isStatic(count))
    return value;
  return node.create<nn::SliceOp>(value, node.intsConstant({0}), node.intsConstant({count}),
                                  node.intsConstant({1}), node.none());
}

/// What stands for zero, [columns, blocks] or a scalar: bytes, or floats as they are given.
static Value readZeros(NodeReader &node, const Packing &packing) {
  if (!node.hasInput(3))
    return node.constant(Tensor::of<uint8_t>({}, {static_cast<uint8_t>(1 << (packing.bits - 1))}));
  if (isFloat(node.inputDType(3)))
    return shaped(node, 3, {packing.columns, packing.blocks()});
  if (!checkDType(node, 3, {DType::UInt8}))
    return node.input(3);
  // The zero points of a row begin in a byte of their own.
  int64_t perRow = (packing.blocks() + packing.perByte() - 1) / packing.perByte();
  Value zeros = unpacked(node, shaped(node, 3, {packing.columns, perRow}), 2, packing);
  zeros = node.create<nn::ReshapeOp>(
      zeros, node.intsConstant({packing.columns, perRow * packing.perByte()}), true);
  return firstOf(node, zeros, packing.blocks());
}

/// (values - zeros) * scales of what broadcasts, in float32.
static Value scaled(NodeReader &node, Value values, Value scales, Value zeros) {
  auto wide = [&](Value value) { return convert(node, value, DType::Float32); };
  return node.create<nn::MulOp>(node.create<nn::SubOp>(wide(values), wide(zeros)), wide(scales));
}

/// `place` of [columns, blocks], not of a scalar.
template <typename Place> static Value placed(Value ofBlocks, Place place) {
  return nn::shapeOf(ofBlocks.getType())->rank() == 0 ? ofBlocks : place(ofBlocks);
}

/// The weights in float32, [columns, depth].
static Value readWeights(NodeReader &node, const Packing &packing) {
  int64_t columns = packing.columns, blocks = packing.blocks(), size = packing.blockSize;
  Value bytes = shaped(node, 1, {columns, blocks, size / packing.perByte()});
  Value scales = shaped(node, 2, {columns, blocks}), zeros = readZeros(node, packing);
  if (node.failed())
    return bytes;
  auto reshaped = [&](Value value, const std::vector<int64_t> &dims) {
    return node.create<nn::ReshapeOp>(value, node.intsConstant(dims), /*allowzero=*/true);
  };
  Value values = unpacked(node, bytes, 3, packing);
  auto inRows = [&](Value all) {
    return firstOf(node, reshaped(all, {columns, blocks * size}), packing.depth);
  };
  if (node.hasInput(4)) { // says the block of each position along K
    auto gathered = [&](Value ofBlocks) -> Value {
      return node.create<nn::GatherOp>(ofBlocks, shaped(node, 4, {packing.depth}), /*axis=*/1);
    };
    return scaled(node, inRows(values), gathered(scales), placed(zeros, gathered));
  }
  if (isFloat(dtypeOf(zeros))) {
    auto repeated = [&](Value ofBlocks) -> Value {
      return node.create<nn::UnsqueezeOp>(ofBlocks, node.intsConstant({2}));
    };
    values = reshaped(values, {columns, blocks, size});
    return inRows(scaled(node, values, repeated(scales), placed(zeros, repeated)));
  }
  // Of the type that says how many bits they have.
  DType type = packing.bits == 2 ? DType::UInt2 : packing.bits == 4 ? DType::UInt4 : DType::UInt8;
  values = convert(node, inRows(values), type);
  zeros = convert(node, zeros, type);
  return node.create<nn::DequantizeOp>(values, scales, zeros, node.builder().getF32Type(),
                                       /*axis=*/1, size);
}

/// A product with weights [N, K]; accuracy levels ask for less, and get the same.
static void importMatMulNBits(NodeReader &node) {
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
