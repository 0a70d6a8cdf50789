//===- ImportReduction.cpp - reductions, softmax, arg max -----------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// Whether axes are given, at least one; false when only a run tells.
static bool hasAxes(Value axes) {
  auto shape = nn::isNone(axes) ? std::nullopt : nn::shapeOf(axes.getType());
  return shape && shape->rank() == 1 && (*shape)[0].isStatic() && (*shape)[0].size() > 0;
}

/// A reduction of no axes, when the attribute says that none are meant, still does to each
/// element what is done before and after the sum.
static Value reducePerhapsNone(NodeReader &node, Value input, Value axes, ReduceKind kind,
                               bool keepDims) {
  auto reduce = [&](Value x, ReduceKind of) -> Value {
    return node.create<nn::ReduceOp>(x, axes, of, keepDims, /*noop_with_empty_axes=*/true);
  };
  DType dtype = dtypeOf(input);
  switch (kind) {
  case ReduceKind::L1:
    return convert(node, reduce(node.create<nn::AbsOp>(widen(node, input)), ReduceKind::Sum),
                   dtype);
  case ReduceKind::SumSquare:
  case ReduceKind::L2: {
    Value x = widen(node, input);
    if (kind == ReduceKind::L2 && !isFloat(dtype))
      x = convert(node, x, DType::Float64);
    Value sum = reduce(node.create<nn::MulOp>(x, x), ReduceKind::Sum);
    return convert(node, kind == ReduceKind::L2 ? node.create<nn::SqrtOp>(sum) : sum, dtype);
  }
  case ReduceKind::LogSum: {
    Value x = isFloat(dtype) ? widen(node, input) : convert(node, input, DType::Float64);
    return convert(node, node.create<nn::LogOp>(reduce(x, ReduceKind::Sum)), dtype);
  }
  default: // the others, and the logarithm of a power, leave single elements as they are
    return reduce(input, kind);
  }
}

/// Builds `nn.reduce`. The axes became an operand in opset `axesInput`, an
/// attribute before; absent axes mean all.
static void importReduce(NodeReader &node, ReduceKind kind, int64_t axesInput) {
  bool keepDims = node.getBool("keepdims", true);
  bool noopWithEmptyAxes = false;
  mlir::Value axes = node.input(1);
  if (node.opset() >= axesInput) {
    noopWithEmptyAxes = node.getBool("noop_with_empty_axes", false);
  } else {
    if (node.hasInput(1))
      return node.invalid(fmt::format("axes are an attribute before opset {}", axesInput));
    if (std::vector<int64_t> list = node.getInts("axes"); !list.empty())
      axes = node.intsConstant(list);
  }
  // Bools, which have a largest and a smallest from opset 20 on, are the numbers 0 and 1.
  bool ofBools = node.inputDType(0) == DType::Bool && node.opset() >= 20 &&
                 (kind == ReduceKind::Max || kind == ReduceKind::Min);
  Value input = ofBools ? node.createCast(node.input(0), DType::UInt8) : node.input(0);
  Value result = noopWithEmptyAxes && !hasAxes(axes)
                     ? reducePerhapsNone(node, input, axes, kind, keepDims)
                     : node.create<nn::ReduceOp>(input, axes, kind, keepDims, noopWithEmptyAxes);
  node.setOutput(0, ofBools ? node.createCast(result, DType::Bool) : result);
}

static void importReduceSum(NodeReader &node) { importReduce(node, ReduceKind::Sum, 13); }
static void importReduceMean(NodeReader &node) { importReduce(node, ReduceKind::Mean, 18); }
static void importReduceMax(NodeReader &node) { importReduce(node, ReduceKind::Max, 18); }
static void importReduceMin(NodeReader &node) { importReduce(node, ReduceKind::Min, 18); }
static void importReduceProd(NodeReader &node) { importReduce(node, ReduceKind::Prod, 18); }
static void importReduceL1(NodeReader &node) { importReduce(node, ReduceKind::L1, 18); }
static void importReduceL2(NodeReader &node) { importReduce(node, ReduceKind::L2, 18); }
static void importReduceLogSum(NodeReader &node) { importReduce(node, ReduceKind::LogSum, 18); }
static void importReduceLogSumExp(NodeReader &node) {
  importReduce(node, ReduceKind::LogSumExp, 18);
}
static void importReduceSumSquare(NodeReader &node) {
  importReduce(node, ReduceKind::SumSquare, 18);
}

/// Before opset 13 softmax worked on all dimensions from `axis` on together.
static void setSoftmax(NodeReader &node, bool logarithm) {
  bool trailing = node.opset() < 13;
  int64_t axis = node.getInt("axis", trailing ? 1 : -1);
  node.setOutput(0, node.create<nn::SoftmaxOp>(node.input(0), axis, trailing, logarithm));
}
static void importSoftmax(NodeReader &node) { setSoftmax(node, /*logarithm=*/false); }
static void importLogSoftmax(NodeReader &node) { setSoftmax(node, /*logarithm=*/true); }

template <ReduceKind kind> static void importArg(NodeReader &node) {
  int64_t axis = node.getInt("axis", 0);
  bool keepDims = node.getBool("keepdims", true);
  bool selectLast = node.opset() >= 12 && node.getBool("select_last_index", false);
  node.setOutput(0, node.create<nn::ArgReduceOp>(node.input(0), kind, axis, keepDims, selectLast));
}

/// 1 where the first maximum along `axis`, which is below 0, is; 0 elsewhere.
static mlir::Value createHardmax(NodeReader &node, mlir::Value x, int64_t axis) {
  Value place = node.create<nn::ArgReduceOp>(x, ReduceKind::Max, axis, /*keepdims=*/true,
                                             /*select_last_index=*/false);
  // The places along the axis as [size, 1, ...].
  Value places = node.createCount(node.sizeOf(x, axis));
  if (axis < -1) {
    std::vector<int64_t> shape(static_cast<size_t>(-axis), 1);
    shape[0] = -1;
    places = node.create<nn::ReshapeOp>(places, node.intsConstant(shape), /*allowzero=*/false);
  }
  return node.createCast(node.create<nn::EqualOp>(place, places), dtypeOf(x));
}

static void importHardmax(NodeReader &node) {
  bool trailing = node.opset() < 13;
  int64_t axis = readAxis(node, trailing ? 1 : -1);
  requireFloats(node, 0);
  mlir::Value x = node.input(0);
  if (node.failed())
    return;
  if (trailing) {
    mlir::Value rows = node.create<nn::FlattenOp>(x, axis);
    return node.setOutput(0, reshapeLike(node, createHardmax(node, rows, -1), x));
  }
  if (axis >= 0)
    return node.unsupported("a tensor of unknown rank along an axis from the front");
  node.setOutput(0, createHardmax(node, x, axis));
}

static void importCumulate(NodeReader &node, ReduceKind kind) {
  bool exclusive = node.getBool("exclusive", false), reverse = node.getBool("reverse", false);
  node.setOutput(
      0, node.create<nn::CumulateOp>(node.input(0), node.input(1), kind, exclusive, reverse));
}
static void importCumProd(NodeReader &node) { importCumulate(node, ReduceKind::Prod); }
static void importCumSum(NodeReader &node) { importCumulate(node, ReduceKind::Sum); }

/// `k` was an attribute before opset 10. What need not be sorted is sorted as well.
static void importTopK(NodeReader &node) {
  int64_t axis = node.getInt("axis", -1);
  mlir::Value k = node.opset() < 10 ? node.intsConstant({node.getInt("k")}) : node.input(1);
  bool largest = true;
  if (node.opset() >= 11) {
    largest = node.getBool("largest", true);
    node.ignoreAttribute("sorted");
  }
  auto results = node.createMulti<nn::TopKOp>(2, node.input(0), k, axis, largest);
  node.setOutput(0, results[0]);
  node.setOutput(1, results[1]);
}

std::span<const OpsetRow> quern::onnx::reductionImports() {
  static constexpr OpsetRow rows[] = {
      {"ArgMax", 1, kNewestOpset, 1, 1, 1, importArg<ReduceKind::Max>},
      {"ArgMin", 1, kNewestOpset, 1, 1, 1, importArg<ReduceKind::Min>},
      {"Hardmax", 1, kNewestOpset, 1, 1, 1, importHardmax},
      {"CumProd", 26, kNewestOpset, 2, 2, 1, importCumProd},
      {"CumSum", 11, kNewestOpset, 2, 2, 1, importCumSum},
      {"LogSoftmax", 1, kNewestOpset, 1, 1, 1, importLogSoftmax},
      {"ReduceL1", 1, kNewestOpset, 1, 2, 1, importReduceL1},
      {"ReduceL2", 1, kNewestOpset, 1, 2, 1, importReduceL2},
      {"ReduceLogSum", 1, kNewestOpset, 1, 2, 1, importReduceLogSum},
      {"ReduceLogSumExp", 1, kNewestOpset, 1, 2, 1, importReduceLogSumExp},
      {"ReduceMax", 1, kNewestOpset, 1, 2, 1, importReduceMax},
      {"ReduceMean", 1, kNewestOpset, 1, 2, 1, importReduceMean},
      {"ReduceMin", 1, kNewestOpset, 1, 2, 1, importReduceMin},
      {"ReduceProd", 1, kNewestOpset, 1, 2, 1, importReduceProd},
      {"ReduceSum", 1, kNewestOpset, 1, 2, 1, importReduceSum},
      {"ReduceSumSquare", 1, kNewestOpset, 1, 2, 1, importReduceSumSquare},
      {"Softmax", 1, kNewestOpset, 1, 1, 1, importSoftmax},
      {"TopK", 1, 9, 1, 1, 2, importTopK},
      {"TopK", 10, kNewestOpset, 2, 2, 2, importTopK},
  };
  return rows;
}
