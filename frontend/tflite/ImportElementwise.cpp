//===- ImportElementwise.cpp - element by element -------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

template <typename NnOp> static void importUnary(OpReader &op) {
  op.setReal(0, op.create<NnOp>(op.real(0)));
}

template <typename NnOp> static void importBinary(OpReader &op) {
  op.setReal(0, op.create<NnOp>(op.real(0), op.real(1)));
}

/// ADD, SUB, MUL and DIV have an activation.
template <typename NnOp> static void importArithmetic(OpReader &op) {
  Value result = op.create<NnOp>(op.real(0), op.real(1));
  op.setReal(0, createFused(op, result, op.options<file::ActivationOptions>().activation()));
}

static void importAddN(OpReader &op) {
  Value sum = op.real(0);
  for (int i = 1; i < op.inputCount(); ++i)
    sum = op.create<nn::AddOp>(sum, op.real(i));
  op.setReal(0, sum);
}

static void importSquaredDifference(OpReader &op) {
  Value difference = op.create<nn::SubOp>(op.real(0), op.real(1));
  op.setReal(0, op.create<nn::MulOp>(difference, difference));
}

static void importSquare(OpReader &op) {
  Value x = op.real(0);
  op.setReal(0, op.create<nn::MulOp>(x, x));
}

static void importRsqrt(OpReader &op) {
  op.setReal(0, createReciprocal(op, op.create<nn::SqrtOp>(op.real(0))));
}

//===----------------------------------------------------------------------===//
// Division that rounds down
//===----------------------------------------------------------------------===//

/// The remainder that has the divisor's sign.
static Value floorMod(OpReader &op, Value a, Value b) {
  if (!isFloat(dtypeOf(a)))
    return op.create<nn::ModOp>(a, b);
  Value rest = op.create<nn::FmodOp>(a, b), zero = constantLike(op, 0, a);
  Value hasOtherSign =
      op.create<nn::XorOp>(op.create<nn::LessOp>(rest, zero), op.create<nn::LessOp>(b, zero));
  Value isZero = op.create<nn::EqualOp>(rest, zero);
  Value isWrong = op.create<nn::AndOp>(hasOtherSign, op.create<nn::NotOp>(isZero));
  return op.create<nn::WhereOp>(isWrong, op.create<nn::AddOp>(rest, b), rest);
}

static void importFloorMod(OpReader &op) { op.setReal(0, floorMod(op, op.real(0), op.real(1))); }

static void importFloorDiv(OpReader &op) {
  Value a = op.real(0), b = op.real(1);
  if (isFloat(dtypeOf(a)))
    return op.setReal(0, op.create<nn::FloorOp>(op.create<nn::DivOp>(a, b)));
  Value whole = op.create<nn::SubOp>(a, op.create<nn::ModOp>(a, b));
  op.setReal(0, op.create<nn::DivOp>(whole, b));
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

template <file::Activation activation> static void importActivation(OpReader &op) {
  op.setReal(0, createFused(op, op.real(0), activation));
}

static void importRelu0To1(OpReader &op) {
  op.setReal(0, frontend::createActivation(op, "Clip", op.real(0), {0.0, 1.0}));
}

static void importHardSwish(OpReader &op) {
  op.setReal(0, frontend::createActivation(op, "HardSwish", op.real(0), {}));
}

static void importElu(OpReader &op) {
  op.setReal(0, op.create<nn::EluOp>(op.real(0), llvm::APFloat(1.0)));
}

static void importLeakyRelu(OpReader &op) {
  double alpha = op.options<file::LeakyReluOptions>().alpha();
  op.setReal(0, op.create<nn::LeakyReluOp>(op.real(0), llvm::APFloat(alpha)));
}

static void importPrelu(OpReader &op) {
  Value x = op.real(0), slope = op.real(1);
  Value isNegative = op.create<nn::LessOp>(x, constantLike(op, 0, x));
  op.setReal(0, op.create<nn::WhereOp>(isNegative, op.create<nn::MulOp>(x, slope), x));
}

/// x / 2 * (1 + erf(x / sqrt 2)), or by tanh of a polynomial.
static void importGelu(OpReader &op) {
  Value x = op.real(0), bent;
  auto times = [&](double factor, Value value) {
    return op.create<nn::MulOp>(value, constantLike(op, factor, value));
  };
  if (op.options<file::GeluOptions>().approximate()) {
    Value cube = op.create<nn::MulOp>(op.create<nn::MulOp>(x, x), x);
    Value sum = op.create<nn::AddOp>(x, times(0.044715, cube));
    bent = op.create<nn::TanhOp>(times(std::sqrt(2 / std::numbers::pi), sum));
  } else {
    bent = op.create<nn::ErfOp>(times(std::numbers::sqrt2 / 2, x));
  }
  Value gate = op.create<nn::AddOp>(bent, constantLike(op, 1, x));
  op.setReal(0, op.create<nn::MulOp>(times(0.5, x), gate));
}

//===----------------------------------------------------------------------===//
// Comparisons and choices
//===----------------------------------------------------------------------===//

/// Quantized operands are compared as the numbers that they stand for.
template <typename NnOp> static void importComparison(OpReader &op) {
  op.setStored(0, op.create<NnOp>(op.real(0), op.real(1)));
}

template <typename NnOp> static void importReversed(OpReader &op) {
  op.setStored(0, op.create<NnOp>(op.real(1), op.real(0)));
}

static void importNotEqual(OpReader &op) {
  op.setStored(0, op.create<nn::NotOp>(op.create<nn::EqualOp>(op.real(0), op.real(1))));
}

/// Of the operands that are chosen from.
static void select(OpReader &op, Value condition) {
  op.setMoved(0, {1, 2}, [&](llvm::ArrayRef<Value> values) {
    return op.create<nn::WhereOp>(condition, values[0], values[1]);
  });
}

/// A vector says it for each of the first dimension.
static void importSelect(OpReader &op) {
  Value condition = op.stored(0);
  std::optional<nn::Shape> shape = op.inputShape(0), chosen = op.inputShape(1);
  if (!shape || !chosen)
    return op.unsupported("operands of unknown rank");
  std::vector<int64_t> axes;
  for (int64_t axis = 1; shape->rank() == 1 && axis < chosen->rank(); ++axis)
    axes.push_back(axis);
  if (!axes.empty())
    condition = op.create<nn::UnsqueezeOp>(condition, op.intsConstant(axes));
  select(op, condition);
}

static void importSelectV2(OpReader &op) { select(op, op.stored(0)); }

static void importCast(OpReader &op) {
  op.inputDType(0); // an error for complex numbers
  op.setStored(0, convert(op, op.stored(0), op.outputDType(0)));
}

std::span<const OpRow> tflite::elementwiseImports() {
  static constexpr OpRow rows[] = {
      {Op::ABS, 1, 1, importUnary<nn::AbsOp>},
      {Op::ADD, 2, 2, importArithmetic<nn::AddOp>},
      {Op::ADD_N, 1, kAnyNumber, importAddN},
      {Op::BITWISE_XOR, 2, 2, importComparison<nn::XorOp>},
      {Op::CAST, 1, 1, importCast},
      {Op::CEIL, 1, 1, importUnary<nn::CeilOp>},
      {Op::COS, 1, 1, importUnary<nn::CosOp>},
      {Op::DIV, 2, 2, importArithmetic<nn::DivOp>},
      {Op::ELU, 1, 1, importElu},
      {Op::EQUAL, 2, 2, importComparison<nn::EqualOp>},
      {Op::EXP, 1, 1, importUnary<nn::ExpOp>},
      {Op::FLOOR, 1, 1, importUnary<nn::FloorOp>},
      {Op::FLOOR_DIV, 2, 2, importFloorDiv},
      {Op::FLOOR_MOD, 2, 2, importFloorMod},
      {Op::GELU, 1, 1, importGelu},
      {Op::GREATER, 2, 2, importReversed<nn::LessOp>},
      {Op::GREATER_EQUAL, 2, 2, importReversed<nn::LessOrEqualOp>},
      {Op::HARD_SWISH, 1, 1, importHardSwish},
      {Op::LEAKY_RELU, 1, 1, importLeakyRelu},
      {Op::LESS, 2, 2, importComparison<nn::LessOp>},
      {Op::LESS_EQUAL, 2, 2, importComparison<nn::LessOrEqualOp>},
      {Op::LOG, 1, 1, importUnary<nn::LogOp>},
      {Op::LOGICAL_AND, 2, 2, importComparison<nn::AndOp>},
      {Op::LOGICAL_NOT, 1, 1, importUnary<nn::NotOp>},
      {Op::LOGICAL_OR, 2, 2, importComparison<nn::OrOp>},
      {Op::LOGISTIC, 1, 1, importUnary<nn::SigmoidOp>},
      {Op::MAXIMUM, 2, 2, importBinary<nn::MaxOp>},
      {Op::MINIMUM, 2, 2, importBinary<nn::MinOp>},
      {Op::MUL, 2, 2, importArithmetic<nn::MulOp>},
      {Op::NEG, 1, 1, importUnary<nn::NegOp>},
      {Op::NOT_EQUAL, 2, 2, importNotEqual},
      {Op::POW, 2, 2, importBinary<nn::PowOp>},
      {Op::PRELU, 2, 2, importPrelu},
      {Op::RELU, 1, 1, importActivation<file::Activation::Relu>},
      {Op::RELU6, 1, 1, importActivation<file::Activation::Relu6>},
      {Op::RELU_0_TO_1, 1, 1, importRelu0To1},
      {Op::RELU_N1_TO_1, 1, 1, importActivation<file::Activation::ReluN1To1>},
      {Op::ROUND, 1, 1, importUnary<nn::RoundOp>},
      {Op::RSQRT, 1, 1, importRsqrt},
      {Op::SELECT, 3, 3, importSelect},
      {Op::SELECT_V2, 3, 3, importSelectV2},
      {Op::SIGN, 1, 1, importUnary<nn::SignOp>},
      {Op::SIN, 1, 1, importUnary<nn::SinOp>},
      {Op::SQRT, 1, 1, importUnary<nn::SqrtOp>},
      {Op::SQUARE, 1, 1, importSquare},
      {Op::SQUARED_DIFFERENCE, 2, 2, importSquaredDifference},
      {Op::SUB, 2, 2, importArithmetic<nn::SubOp>},
      {Op::TANH, 1, 1, importUnary<nn::TanhOp>},
  };
  return rows;
}
