//===- Composition.cpp - for ops that are imported as several -------------===//
#include "frontend/compose/Composition.h"

#include "ir/GatherOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::frontend;
using mlir::Value;

DType frontend::dtypeOf(Value value) { return nn::dtypeOf(nn::elementTypeOf(value)); }

Value frontend::convert(GraphBuilder &graph, Value value, DType dtype) {
  return dtypeOf(value) == dtype ? value : graph.createCast(value, dtype);
}

Value frontend::createCast(GraphBuilder &graph, Value value, DType dtype, bool saturate,
                           CastRounding rounding) {
  mlir::Type type = nn::elementTypeOf(graph.builder().getContext(), dtype);
  return graph.create<nn::CastOp>(value, type, saturate, rounding);
}

Value frontend::widen(GraphBuilder &graph, Value value) {
  DType dtype = dtypeOf(value);
  bool isNarrow = isFloat(dtype) && dtypeBits(dtype) < 32;
  return isNarrow ? graph.createCast(value, DType::Float32) : value;
}

Value frontend::constantLike(GraphBuilder &graph, double value, Value like) {
  return graph.scalarConstant(value, dtypeOf(like));
}

Value frontend::createGreater(GraphBuilder &graph, Value a, Value b) {
  return graph.create<nn::LessOp>(b, a);
}

Value frontend::createGreaterOrEqual(GraphBuilder &graph, Value a, Value b) {
  return graph.create<nn::LessOrEqualOp>(b, a);
}

Value frontend::createReciprocal(GraphBuilder &graph, Value x) {
  return graph.create<nn::DivOp>(constantLike(graph, 1, x), x);
}

Value frontend::createIsNan(GraphBuilder &graph, Value x) {
  return graph.create<nn::NotOp>(graph.create<nn::EqualOp>(x, x));
}

Value frontend::reshapeLike(GraphBuilder &graph, Value value, Value like) {
  Value shape = graph.create<nn::ShapeOp>(like, graph.builder().getI64IntegerAttr(0),
                                          /*end=*/mlir::IntegerAttr());
  return graph.create<nn::ReshapeOp>(value, shape, /*allowzero=*/true);
}

Value frontend::joinSizes(GraphBuilder &graph, llvm::ArrayRef<Value> sizes) {
  std::vector<int64_t> known;
  bool areKnown = true;
  for (Value size : sizes) {
    std::optional<std::vector<int64_t>> constant = nn::constantInts(size);
    areKnown &= constant.has_value();
    if (constant)
      known.insert(known.end(), constant->begin(), constant->end());
  }
  return areKnown ? graph.intsConstant(known)
                  : graph.create<nn::ConcatOp>(mlir::ValueRange(sizes), /*axis=*/0);
}

Value frontend::multiplySizes(GraphBuilder &graph, Value a, Value b) {
  std::optional<std::vector<int64_t>> x = nn::constantInts(a), y = nn::constantInts(b);
  if (!x || !y)
    return graph.create<nn::MulOp>(a, b);
  CheckedSize product = CheckedSize(x->front()) * CheckedSize(y->front());
  if (!product.valid())
    graph.invalid(fmt::format("a size of {} times {} overflows", x->front(), y->front()));
  return graph.intsConstant({product.valid() ? product.value() : 0});
}

Value frontend::entriesAt(GraphBuilder &graph, Value values, Value axes, int64_t rank) {
  Value zeros = graph.intsConstant(std::vector<int64_t>(static_cast<size_t>(rank), 0));
  return graph.create<nn::ScatterElementsOp>(zeros, axes, values, ScatterReduction::None,
                                             /*axis=*/0);
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

Value frontend::timesSize(GraphBuilder &graph, Value size, int64_t factor) {
  return multiplySizes(graph, size, graph.intsConstant({factor}));
}

Value frontend::dividedSize(GraphBuilder &graph, Value size, int64_t divisor) {
  auto constant = nn::constantInts(size);
  if (!constant)
    return graph.create<nn::DivOp>(size, graph.intsConstant({divisor}));
  if (constant->front() % divisor != 0)
    graph.invalid(fmt::format("a size of {} is no multiple of {}", constant->front(), divisor));
  return graph.intsConstant({constant->front() / divisor});
}

Value frontend::createSizes(GraphBuilder &graph, Value tensor, int64_t start,
                            std::optional<int64_t> end) {
  mlir::IntegerAttr endAttr;
  if (end)
    endAttr = graph.builder().getI64IntegerAttr(*end);
  return graph.create<nn::ShapeOp>(tensor, graph.builder().getI64IntegerAttr(start), endAttr);
}

Value frontend::reshapeTo(GraphBuilder &graph, Value value, llvm::ArrayRef<Value> sizes) {
  return graph.create<nn::ReshapeOp>(value, joinSizes(graph, sizes), /*allowzero=*/true);
}

bool frontend::canBroadcastTo(const nn::Shape &from, const nn::Shape &to) {
  bool fits = from.rank() <= to.rank();
  for (int64_t d = 1; fits && d <= from.rank(); ++d) {
    const nn::Dim &have = from[from.rank() - d], &want = to[to.rank() - d];
    fits = have.isStatic(1) || have.compatibleWith(want);
  }
  return fits;
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

using Params = llvm::ArrayRef<double>;

/// alpha * f(beta * x), of which ONNX has no op.
template <typename Op> static Value createScaled(GraphBuilder &graph, Value x, Params params) {
  Value inner = graph.create<nn::MulOp>(x, constantLike(graph, params[1], x));
  return graph.create<nn::MulOp>(graph.create<Op>(inner), constantLike(graph, params[0], x));
}

static Value createClip(GraphBuilder &graph, Value x, Params params) {
  Value raised = graph.create<nn::MaxOp>(x, constantLike(graph, params[0], x));
  return graph.create<nn::MinOp>(raised, constantLike(graph, params[1], x));
}

/// alpha * (exp(x / alpha) - 1) below zero, x above.
static Value createCelu(GraphBuilder &graph, Value x, Params params) {
  double alpha = params[0];
  if (alpha == 1)
    return graph.create<nn::EluOp>(x, llvm::APFloat(1.0));
  Value scale = constantLike(graph, alpha, x), zero = constantLike(graph, 0, x);
  Value scaled = graph.create<nn::DivOp>(x, scale);
  // Elu is exp - 1 below zero only, and exact there.
  Value inner = alpha > 0 ? graph.create<nn::EluOp>(scaled, llvm::APFloat(1.0))
                          : graph.create<nn::SubOp>(graph.create<nn::ExpOp>(scaled),
                                                    constantLike(graph, 1, x));
  Value below = graph.create<nn::MulOp>(inner, scale);
  return graph.create<nn::WhereOp>(graph.create<nn::LessOp>(x, zero), below, x);
}

/// x times the hard sigmoid of slope 1/6.
static Value createHardSwish(GraphBuilder &graph, Value x, Params /*params*/) {
  Value gate = graph.create<nn::HardSigmoidOp>(x, llvm::APFloat(1.0 / 6), llvm::APFloat(0.5));
  return graph.create<nn::MulOp>(x, gate);
}

/// gamma times Elu.
static Value createSelu(GraphBuilder &graph, Value x, Params params) {
  Value elu = graph.create<nn::EluOp>(x, llvm::APFloat(params[0]));
  return graph.create<nn::MulOp>(elu, constantLike(graph, params[1], x));
}

namespace {
/// An activation without a row in the elementwise table.
struct ComposedActivation {
  std::string_view name;
  size_t params;
  Value (*create)(GraphBuilder &graph, Value x, Params params);
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

Value frontend::createActivation(GraphBuilder &graph, const std::string &name, Value x,
                                 Params params) {
  if (name.empty())
    return x;
  const nn::ElementwiseInfo *row = nn::lookupElementwiseByOnnxName(name);
  if (row && (row->arity != 1 || row->result != nn::ResultElement::Same))
    row = nullptr;
  const auto *composed = llvm::find_if(
      kComposedActivations, [&](const ComposedActivation &one) { return one.name == name; });
  if (!row && composed == std::end(kComposedActivations)) {
    graph.unsupported("activation '" + name + "'");
    return x;
  }
  size_t wanted = row ? row->params.size() : composed->params;
  if (params.size() < wanted) {
    graph.invalid(
        fmt::format("activation '{}' needs {} parameters, found {}", name, wanted, params.size()));
    return x;
  }
  return row ? graph.createElementwise(*row, x, params) : composed->create(graph, x, params);
}
