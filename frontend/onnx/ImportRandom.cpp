//===- ImportRandom.cpp - ops that draw at random -------------------------===//
//
// All distributions are made of nn.random, which draws from [0, 1).
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/RandomOps.h"

#include <fmt/format.h>

#include <bit>
#include <numbers>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// The float attribute `seed`, of which any value is one; null when there is none.
static mlir::IntegerAttr readSeed(NodeReader &node) {
  if (!node.hasAttribute("seed"))
    return {};
  auto bits = std::bit_cast<uint32_t>(static_cast<float>(node.getFloat("seed")));
  return node.builder().getI64IntegerAttr(bits);
}

/// The attribute `dtype`.
static DType readType(NodeReader &node, DType otherwise) {
  int64_t type = node.getInt("dtype", static_cast<int64_t>(otherwise));
  if (type > 0 && type <= static_cast<int64_t>(DType::Int4) &&
      static_cast<DType>(type) != DType::String)
    return static_cast<DType>(type);
  node.invalid(fmt::format("attribute 'dtype': {} is no type of numbers", type));
  return DType::Float32;
}

/// The type in which numbers of `dtype` are drawn and computed.
static DType drawnType(DType dtype) { return dtype == DType::Float64 ? dtype : DType::Float32; }

/// Numbers from [0, 1), of float32 or float64.
static Value createDraw(NodeReader &node, Value shape, DType dtype, mlir::IntegerAttr seed) {
  mlir::Type element = nn::elementTypeOf(node.builder().getContext(), dtype);
  return node.create<nn::RandomOp>(shape, element, seed);
}

/// The shape of operand 0: a constant when it is known.
static Value shapeOfInput(NodeReader &node) {
  if (auto shape = node.inputShape(0); shape && shape->isStatic())
    return node.intsConstant(*shape->sizes());
  return node.create<nn::ShapeOp>(node.input(0), node.builder().getI64IntegerAttr(0),
                                  mlir::IntegerAttr());
}

//===----------------------------------------------------------------------===//
// Uniform and normal numbers
//===----------------------------------------------------------------------===//

static void setUniform(NodeReader &node, Value shape, DType dtype) {
  double low = node.getFloat("low", 0), high = node.getFloat("high", 1);
  Value u = createDraw(node, shape, drawnType(dtype), readSeed(node));
  Value scaled = node.create<nn::MulOp>(u, constantLike(node, high - low, u));
  node.setOutput(0,
                 convert(node, node.create<nn::AddOp>(scaled, constantLike(node, low, u)), dtype));
}

/// By G. E. P. Box and M. E. Muller: the root of -2 ln u times the cosine of a random angle.
static void setNormal(NodeReader &node, Value shape, DType dtype) {
  double mean = node.getFloat("mean", 0), scale = node.getFloat("scale", 1);
  Value pairs = node.create<nn::ConcatOp>(mlir::ValueRange{node.intsConstant({2}), shape}, 0);
  Value u = createDraw(node, pairs, drawnType(dtype), readSeed(node));
  auto number = [&](double value) { return constantLike(node, value, u); };
  auto half = [&](int64_t i) -> Value {
    return node.create<nn::GatherOp>(u, node.scalarConstant(static_cast<double>(i), DType::Int64),
                                     /*axis=*/0);
  };
  // Of (0, 1], which has a logarithm.
  Value logarithm = node.create<nn::LogOp>(node.create<nn::SubOp>(number(1), half(0)));
  Value radius = node.create<nn::SqrtOp>(node.create<nn::MulOp>(logarithm, number(-2)));
  Value angle = node.create<nn::MulOp>(half(1), number(2 * std::numbers::pi));
  Value normal = node.create<nn::MulOp>(radius, node.create<nn::CosOp>(angle));
  Value scaled = node.create<nn::MulOp>(normal, number(scale));
  node.setOutput(0, convert(node, node.create<nn::AddOp>(scaled, number(mean)), dtype));
}

using SetNumbers = void (*)(NodeReader &, Value shape, DType);

template <SetNumbers set> static void importOfShape(NodeReader &node) {
  if (!node.hasAttribute("shape"))
    return node.invalid("required attribute 'shape' is missing");
  DType dtype = readType(node, DType::Float32);
  set(node, node.intsConstant(node.getInts("shape")), dtype);
}

template <SetNumbers set> static void importLike(NodeReader &node) {
  set(node, shapeOfInput(node), readType(node, node.inputDType(0)));
}

//===----------------------------------------------------------------------===//
// Bernoulli and Multinomial
//===----------------------------------------------------------------------===//

static void importBernoulli(NodeReader &node) {
  DType dtype = readType(node, node.inputDType(0));
  requireFloats(node, 0);
  if (node.failed())
    return;
  Value chance = widen(node, node.input(0));
  Value u = createDraw(node, shapeOfInput(node), dtypeOf(chance), readSeed(node));
  node.setOutput(0, node.createCast(node.create<nn::LessOp>(u, chance), dtype));
}

/// Of each row of logarithms of chances, the class where their sum passes a random number.
static void importMultinomial(NodeReader &node) {
  int64_t samples = node.getInt("sample_size", 1);
  DType dtype = readType(node, DType::Int32);
  requireFloats(node, 0);
  if (auto shape = node.inputShape(0); shape && shape->rank() != 2)
    node.invalid(fmt::format("the input must have rank 2, found {}", shape->rank()));
  if (samples < 1)
    node.invalid(fmt::format("attribute 'sample_size': {} is not positive", samples));
  if (dtype != DType::Int32 && dtype != DType::Int64)
    node.invalid(
        fmt::format("attribute 'dtype': expected int32 or int64, found {}", dtypeName(dtype)));
  if (node.failed())
    return;
  Value chances = node.create<nn::SoftmaxOp>(convert(node, node.input(0), DType::Float64),
                                             /*axis=*/1, /*trailing=*/false);
  Value sums = node.create<nn::CumulateOp>(chances, node.intsConstant({1}), ReduceKind::Sum,
                                           /*exclusive=*/false, /*reverse=*/false);
  sums = node.create<nn::UnsqueezeOp>(sums, node.intsConstant({1}));
  Value shape = joinSizes(node, {node.sizeOf(node.input(0), 0), node.intsConstant({samples})});
  Value u = createDraw(node, shape, DType::Float64, readSeed(node));
  u = node.create<nn::UnsqueezeOp>(u, node.intsConstant({2}));
  Value isPassed = node.createCast(createGreaterOrEqual(node, u, sums), DType::Int64);
  Value place = node.create<nn::ReduceOp>(isPassed, node.intsConstant({2}), ReduceKind::Sum,
                                          /*keepdims=*/false, /*noop_with_empty_axes=*/false);
  // The sum of all may be rounded to less than 1.
  Value last = node.create<nn::SubOp>(node.sizeOf(node.input(0), 1), node.intsConstant({1}));
  node.setOutput(0, convert(node, node.create<nn::MinOp>(place, last), dtype));
}

//===----------------------------------------------------------------------===//
// Dropout
//===----------------------------------------------------------------------===//

/// Whether dropout happens, a bool scalar; null when it never does.
static Value readTraining(NodeReader &node) {
  if (node.opset() < 7 && !node.getBool("is_test", false))
    return node.constant(Tensor::of<bool>({}, {true}));
  if (!node.hasInput(2))
    return {};
  if (node.inputDType(2) != DType::Bool)
    node.invalid(
        fmt::format("training_mode must be bool, found {}", dtypeName(node.inputDType(2))));
  std::optional<Tensor> known = nn::constantTensor(node.input(2));
  if (known && known->numElements() == 1 && !node.failed() && !known->data<bool>()[0])
    return {};
  return readScalar(node, 2, DType::Bool);
}

/// The mask had the type of the data before opset 10.
static void setMask(NodeReader &node, Value isKept) {
  if (node.hasOutput(1))
    node.setOutput(1, convert(node, isKept, node.opset() < 10 ? node.inputDType(0) : DType::Bool));
}

/// Keeps each element with the chance 1 - ratio, and makes up for the others by a factor.
static void importDropout(NodeReader &node) {
  Value ratio = node.opset() < 12 ? node.scalarConstant(node.getFloat("ratio", 0.5), DType::Float32)
                : node.hasInput(1) ? readScalar(node, 1, node.inputDType(1))
                                   : node.scalarConstant(0.5, DType::Float32);
  Value training = readTraining(node);
  mlir::IntegerAttr seed;
  if (node.opset() >= 12 && node.hasAttribute("seed"))
    seed = node.builder().getI64IntegerAttr(node.getInt("seed"));
  if (node.failed())
    return;
  if (!training) {
    node.setOutput(0, node.input(0));
    if (node.hasOutput(1))
      setMask(node, node.create<nn::ExpandOp>(node.constant(Tensor::of<bool>({}, {true})),
                                              shapeOfInput(node)));
    return;
  }
  requireFloats(node, 0);
  if (node.failed())
    return;
  Value x = widen(node, node.input(0)), one = constantLike(node, 1, x);
  ratio = convert(node, ratio, dtypeOf(x));
  Value u = createDraw(node, shapeOfInput(node), dtypeOf(x), seed);
  Value isKept =
      node.create<nn::OrOp>(createGreaterOrEqual(node, u, ratio), node.create<nn::NotOp>(training));
  Value factor = node.create<nn::DivOp>(one, node.create<nn::SubOp>(one, ratio));
  factor = node.create<nn::WhereOp>(training, factor, one);
  Value kept = node.create<nn::MulOp>(x, factor);
  Value y = node.create<nn::WhereOp>(isKept, kept, constantLike(node, 0, x));
  node.setOutput(0, convert(node, y, node.inputDType(0)));
  setMask(node, isKept);
}

std::span<const OpsetRow> quern::onnx::randomImports() {
  static constexpr OpsetRow rows[] = {
      {"Bernoulli", 15, kNewestOpset, 1, 1, 1, importBernoulli},
      {"Dropout", 1, 11, 1, 1, 2, importDropout},
      {"Dropout", 12, kNewestOpset, 1, 3, 2, importDropout},
      {"Multinomial", 7, kNewestOpset, 1, 1, 1, importMultinomial},
      {"RandomNormal", 1, kNewestOpset, 0, 0, 1, importOfShape<setNormal>},
      {"RandomNormalLike", 1, kNewestOpset, 1, 1, 1, importLike<setNormal>},
      {"RandomUniform", 1, kNewestOpset, 0, 0, 1, importOfShape<setUniform>},
      {"RandomUniformLike", 1, kNewestOpset, 1, 1, 1, importLike<setUniform>},
  };
  return rows;
}
