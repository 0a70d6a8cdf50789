//===- ImportSelect.cpp - ops that choose by position ---------------------===//
//
// All of them are compositions: positions are counted, compared, and the result says
// which of two values an element gets.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/OpsetTable.h"
#include "quern/Limits.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

//===----------------------------------------------------------------------===//
// Trilu and EyeLike
//===----------------------------------------------------------------------===//

namespace {
/// The columns of a matrix, [columns], and for each row, [rows, 1], the column where its
/// diagonal number k is: row + k.
struct Diagonal {
  Value columns;
  Value ofRows;
};
} // namespace

static Diagonal diagonalOf(NodeReader &node, Value matrix, Value k) {
  Value rows = node.createCount(node.sizeOf(matrix, -2));
  rows = node.create<nn::UnsqueezeOp>(rows, node.intsConstant({1}));
  // More than there are columns, but nothing that overflows.
  k = node.create<nn::MinOp>(k, node.constant(Tensor::of<int64_t>({}, {int64_t{1} << 60})));
  return {node.createCount(node.sizeOf(matrix, -1)), node.create<nn::AddOp>(rows, k)};
}

static void importTrilu(NodeReader &node) {
  if (auto shape = node.inputShape(0); shape && shape->rank() < 2)
    return node.invalid(fmt::format("the input must have rank 2 or more, found {}", shape->rank()));
  if (auto k = node.inputShape(1); k && (k->rank() > 1 || !k->numElements().value_or(1)))
    return node.invalid(fmt::format("k must be a scalar, found {}", k->str()));
  bool upper = node.getBool("upper", true);
  Value k = node.hasInput(1) ? node.input(1) : node.scalarConstant(0, DType::Int64);
  Diagonal diagonal = diagonalOf(node, node.input(0), k);
  Value isKept = upper ? createGreaterOrEqual(node, diagonal.columns, diagonal.ofRows)
                       : node.create<nn::LessOrEqualOp>(diagonal.columns, diagonal.ofRows);
  Value zero = node.createCast(node.scalarConstant(0, DType::Float32), node.inputDType(0));
  node.setOutput(0, node.create<nn::WhereOp>(isKept, node.input(0), zero));
}

static void importEyeLike(NodeReader &node) {
  if (auto shape = node.inputShape(0); shape && shape->rank() != 2)
    return node.invalid(fmt::format("the input must have rank 2, found {}", shape->rank()));
  int64_t dtype = node.getInt("dtype", static_cast<int64_t>(node.inputDType(0)));
  if (!isDTypeNumber(dtype))
    return node.invalid(fmt::format("attribute 'dtype': unknown type {}", dtype));
  Value k = node.constant(Tensor::of<int64_t>({}, {node.getInt("k", 0)}));
  Diagonal diagonal = diagonalOf(node, node.input(0), k);
  Value isOne = node.create<nn::EqualOp>(diagonal.columns, diagonal.ofRows);
  node.setOutput(0, node.createCast(isOne, static_cast<DType>(dtype)));
}

//===----------------------------------------------------------------------===//
// OneHot
//===----------------------------------------------------------------------===//

/// The number of classes as an int64 scalar.
static Value readDepth(NodeReader &node) {
  Value depth = convert(node, node.input(1), DType::Int64);
  if (auto shape = node.inputShape(1); shape && shape->rank() == 0)
    return depth;
  return node.create<nn::ReshapeOp>(depth, node.intsConstant({}), /*allowzero=*/false);
}

/// The indices as int64, of which negative ones count from the end. What is out of range
/// stays so, and is no class.
static Value classIndices(NodeReader &node, Value depth) {
  Value indices = convert(node, node.input(0), DType::Int64);
  Value isNegative = node.create<nn::LessOp>(indices, node.scalarConstant(0, DType::Int64));
  Value fromEnd = node.create<nn::AddOp>(indices, depth);
  return node.create<nn::WhereOp>(isNegative, fromEnd, indices);
}

static void importOneHot(NodeReader &node) {
  int64_t axis = node.getInt("axis", -1);
  auto shape = node.inputShape(0);
  int64_t trailing = 0;
  if (shape) {
    int64_t rank = shape->rank(), at = axis < 0 ? axis + rank + 1 : axis;
    if (at < 0 || at > rank)
      return node.invalid(fmt::format("axis {} is not in [-{}, {}]", axis, rank + 1, rank));
    trailing = rank - at;
    axis = at;
  } else if (axis >= 0) {
    return node.unsupported("an axis from the front, when the rank of the indices is unknown");
  } else {
    trailing = -1 - axis;
  }
  if (auto values = node.inputShape(2);
      values && (values->rank() != 1 || !(*values)[0].compatibleWith(nn::Dim(2))))
    return node.invalid(fmt::format("values must have 2 elements, found {}", values->str()));
  Value depth = readDepth(node);
  Value indices =
      node.create<nn::UnsqueezeOp>(classIndices(node, depth), node.intsConstant({axis}));
  Value classes = node.createCount(depth);
  if (trailing > Limits().maxRank)
    return node.invalid(fmt::format("axis {} is beyond any rank", axis));
  std::vector<int64_t> ones;
  for (int64_t d = 1; d <= trailing; ++d)
    ones.push_back(d);
  if (!ones.empty())
    classes = node.create<nn::UnsqueezeOp>(classes, node.intsConstant(ones));
  Value isHot = node.create<nn::EqualOp>(indices, classes);
  auto value = [&](int64_t i) {
    return node.create<nn::GatherOp>(node.input(2), node.scalarConstant(i, DType::Int64),
                                     /*axis=*/0);
  };
  if (node.inputDType(2) == DType::String)
    return node.setOutput(0, node.create<nn::GatherOp>(
                                 node.input(2), node.createCast(isHot, DType::Int64), /*axis=*/0));
  node.setOutput(0, node.create<nn::WhereOp>(isHot, value(1), value(0)));
}

std::span<const OpsetRow> quern::onnx::selectImports() {
  static constexpr OpsetRow rows[] = {
      {"EyeLike", 9, kNewestOpset, 1, 1, 1, importEyeLike},
      {"OneHot", 9, kNewestOpset, 3, 3, 1, importOneHot},
      {"Trilu", 14, kNewestOpset, 1, 2, 1, importTrilu},
  };
  return rows;
}
