//===- Composition.cpp - for ops that are imported as several -------------===//
#include "frontend/onnx/Composition.h"

#include "ir/GatherOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

DType quern::onnx::dtypeOf(Value value) { return nn::dtypeOf(nn::elementTypeOf(value)); }

Value quern::onnx::convert(NodeImport &node, Value value, DType dtype) {
  return dtypeOf(value) == dtype ? value : node.createCast(value, dtype);
}

Value quern::onnx::createCast(NodeImport &node, Value value, DType dtype, bool saturate,
                              CastRounding rounding) {
  mlir::Type type = nn::elementTypeOf(node.builder().getContext(), dtype);
  return node.create<nn::CastOp>(value, type, saturate, rounding);
}

Value quern::onnx::widen(NodeImport &node, Value value) {
  DType dtype = dtypeOf(value);
  bool isNarrow = isFloat(dtype) && dtypeBits(dtype) < 32;
  return isNarrow ? node.createCast(value, DType::Float32) : value;
}

Value quern::onnx::constantLike(NodeImport &node, double value, Value like) {
  return node.scalarConstant(value, dtypeOf(like));
}

Value quern::onnx::createGreater(NodeImport &node, Value a, Value b) {
  return node.create<nn::LessOp>(b, a);
}

Value quern::onnx::createGreaterOrEqual(NodeImport &node, Value a, Value b) {
  return node.create<nn::LessOrEqualOp>(b, a);
}

Value quern::onnx::createReciprocal(NodeImport &node, Value x) {
  return node.create<nn::DivOp>(constantLike(node, 1, x), x);
}

Value quern::onnx::createIsNan(NodeImport &node, Value x) {
  return node.create<nn::NotOp>(node.create<nn::EqualOp>(x, x));
}

Value quern::onnx::reshapeLike(NodeImport &node, Value value, Value like) {
  Value shape = node.create<nn::ShapeOp>(like, node.builder().getI64IntegerAttr(0),
                                         /*end=*/mlir::IntegerAttr());
  return node.create<nn::ReshapeOp>(value, shape, /*allowzero=*/true);
}

Value quern::onnx::joinSizes(NodeImport &node, llvm::ArrayRef<Value> sizes) {
  std::vector<int64_t> known;
  bool areKnown = true;
  for (Value size : sizes) {
    std::optional<std::vector<int64_t>> constant = nn::constantInts(size);
    areKnown &= constant.has_value();
    if (constant)
      known.insert(known.end(), constant->begin(), constant->end());
  }
  return areKnown ? node.intsConstant(known)
                  : node.create<nn::ConcatOp>(mlir::ValueRange(sizes), /*axis=*/0);
}

Value quern::onnx::multiplySizes(NodeImport &node, Value a, Value b) {
  std::optional<std::vector<int64_t>> x = nn::constantInts(a), y = nn::constantInts(b);
  if (!x || !y)
    return node.create<nn::MulOp>(a, b);
  CheckedSize product = CheckedSize(x->front()) * CheckedSize(y->front());
  if (!product.valid())
    node.invalid(fmt::format("a size of {} times {} overflows", x->front(), y->front()));
  return node.intsConstant({product.valid() ? product.value() : 0});
}

Value quern::onnx::entriesAt(NodeImport &node, Value values, Value axes, int64_t rank) {
  Value zeros = node.intsConstant(std::vector<int64_t>(static_cast<size_t>(rank), 0));
  return node.create<nn::ScatterElementsOp>(zeros, axes, values, ScatterReduction::None,
                                            /*axis=*/0);
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

Value quern::onnx::timesSize(NodeImport &node, Value size, int64_t factor) {
  return multiplySizes(node, size, node.intsConstant({factor}));
}

Value quern::onnx::dividedSize(NodeImport &node, Value size, int64_t divisor) {
  auto constant = nn::constantInts(size);
  if (!constant)
    return node.create<nn::DivOp>(size, node.intsConstant({divisor}));
  if (constant->front() % divisor != 0)
    node.invalid(fmt::format("a size of {} is no multiple of {}", constant->front(), divisor));
  return node.intsConstant({constant->front() / divisor});
}

Value quern::onnx::createSizes(NodeImport &node, Value tensor, int64_t start,
                               std::optional<int64_t> end) {
  mlir::IntegerAttr endAttr;
  if (end)
    endAttr = node.builder().getI64IntegerAttr(*end);
  return node.create<nn::ShapeOp>(tensor, node.builder().getI64IntegerAttr(start), endAttr);
}

Value quern::onnx::reshapeTo(NodeImport &node, Value value, llvm::ArrayRef<Value> sizes) {
  return node.create<nn::ReshapeOp>(value, joinSizes(node, sizes), /*allowzero=*/true);
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

int64_t quern::onnx::readAxis(NodeImport &node, int64_t otherwise) {
  int64_t axis = node.getInt("axis", otherwise);
  std::optional<nn::Shape> shape = node.inputShape(0);
  if (!shape)
    return axis;
  int64_t rank = shape->rank();
  if (axis < -rank || axis >= rank) {
    node.invalid(fmt::format("axis {} is outside [{}, {})", axis, -rank, rank));
    return -1;
  }
  return axis < 0 ? axis : axis - rank;
}

Value quern::onnx::readScalar(NodeImport &node, int i, DType dtype) {
  std::optional<nn::Shape> shape = node.inputShape(i);
  if (shape && shape->numElements().value_or(1) != 1)
    node.invalid(fmt::format("input {} must be one number, found {}", i, shape->str()));
  Value value = convert(node, node.input(i), dtype);
  bool isScalar = shape && shape->rank() == 0;
  return isScalar ? value : node.create<nn::ReshapeOp>(value, node.intsConstant({}), false);
}

void quern::onnx::requireFloats(NodeImport &node, int i) {
  if (DType dtype = node.inputDType(i); !isFloat(dtype))
    node.invalid(fmt::format("input {} must hold floats, found {}", i, dtypeName(dtype)));
}

bool quern::onnx::canBroadcastTo(const nn::Shape &from, const nn::Shape &to) {
  bool fits = from.rank() <= to.rank();
  for (int64_t d = 1; fits && d <= from.rank(); ++d) {
    const nn::Dim &have = from[from.rank() - d], &want = to[to.rank() - d];
    fits = have.isStatic(1) || have.compatibleWith(want);
  }
  return fits;
}

void quern::onnx::requireBroadcastsToFirst(NodeImport &node, int i) {
  std::optional<nn::Shape> from = node.inputShape(i), to = node.inputShape(0);
  if (node.hasInput(i) && from && to && !canBroadcastTo(*from, *to))
    node.invalid(fmt::format("input {} does not broadcast to the shape of input 0", i));
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

using Params = llvm::ArrayRef<double>;

/// alpha * f(beta * x), of which ONNX has no op.
template <typename Op> static Value createScaled(NodeImport &node, Value x, Params params) {
  Value inner = node.create<nn::MulOp>(x, constantLike(node, params[1], x));
  return node.create<nn::MulOp>(node.create<Op>(inner), constantLike(node, params[0], x));
}

static Value createClip(NodeImport &node, Value x, Params params) {
  Value raised = node.create<nn::MaxOp>(x, constantLike(node, params[0], x));
  return node.create<nn::MinOp>(raised, constantLike(node, params[1], x));
}

/// alpha * (exp(x / alpha) - 1) below zero, x above.
static Value createCelu(NodeImport &node, Value x, Params params) {
  double alpha = params[0];
  if (alpha == 1)
    return node.create<nn::EluOp>(x, llvm::APFloat(1.0));
  Value scale = constantLike(node, alpha, x), zero = constantLike(node, 0, x);
  Value scaled = node.create<nn::DivOp>(x, scale);
  // Elu is exp - 1 below zero only, and exact there.
  Value inner =
      alpha > 0 ? node.create<nn::EluOp>(scaled, llvm::APFloat(1.0))
                : node.create<nn::SubOp>(node.create<nn::ExpOp>(scaled), constantLike(node, 1, x));
  Value below = node.create<nn::MulOp>(inner, scale);
  return node.create<nn::WhereOp>(node.create<nn::LessOp>(x, zero), below, x);
}

/// x times the hard sigmoid of slope 1/6.
static Value createHardSwish(NodeImport &node, Value x, Params /*params*/) {
  Value gate = node.create<nn::HardSigmoidOp>(x, llvm::APFloat(1.0 / 6), llvm::APFloat(0.5));
  return node.create<nn::MulOp>(x, gate);
}

/// gamma times Elu.
static Value createSelu(NodeImport &node, Value x, Params params) {
  Value elu = node.create<nn::EluOp>(x, llvm::APFloat(params[0]));
  return node.create<nn::MulOp>(elu, constantLike(node, params[1], x));
}

namespace {
/// An activation without a row in the elementwise table.
struct ComposedActivation {
  std::string_view name;
  size_t params;
  Value (*create)(NodeImport &node, Value x, Params params);
};
} // namespace

static constexpr ComposedActivation kComposedActivations[] = {
    {"Celu", 1, createCelu},
    {"Clip", 2, createClip},
    {"HardSwish", 0, createHardSwish},
    {"ParametricSoftplus", 2, createScaled<nn::SoftplusOp>},
    {"ScaledTanh", 2, createScaled<nn::TanhOp>},
    {"Selu", 2, createSelu},
};

Value quern::onnx::createActivation(NodeImport &node, const std::string &name, Value x,
                                    Params params) {
  if (name.empty())
    return x;
  const nn::ElementwiseInfo *row = nn::lookupElementwiseByOnnxName(name);
  if (row && (row->arity != 1 || row->result != nn::ResultElement::Same))
    row = nullptr;
  const auto *composed = llvm::find_if(
      kComposedActivations, [&](const ComposedActivation &one) { return one.name == name; });
  if (!row && composed == std::end(kComposedActivations)) {
    node.unsupported("activation '" + name + "'");
    return x;
  }
  size_t wanted = row ? row->params.size() : composed->params;
  if (params.size() < wanted) {
    node.invalid(
        fmt::format("activation '{}' needs {} parameters, found {}", name, wanted, params.size()));
    return x;
  }
  return row ? node.createElementwise(*row, x, params) : composed->create(node, x, params);
}
