//===- ElementwiseOps.td - one row per elementwise op ---------------------===//
//
// See ElementwiseBase.td for what a row means. `emit` and `eval` treat NaN, -0,
// overflow and division by zero alike. Rows without an ONNX name are chosen by
// the importer from an attribute (Mod, BitShift). What a few rows give together with
// no loss is no row: the importer composes it (Greater, IsNaN, PRelu).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_IR_ELEMENTWISEOPS_TD
#define QUERN_IR_ELEMENTWISEOPS_TD

include "ir/ElementwiseBase.td"

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

def NN_AddOp : NN_BinaryOp<"add", "Add", NN_Numeric,
  [{ return e.add(a, b); }], [{ return a + b; }]>;
def NN_SubOp : NN_BinaryOp<"sub", "Sub", NN_Numeric,
  [{ return e.sub(a, b); }], [{ return a - b; }]>;
def NN_MulOp : NN_BinaryOp<"mul", "Mul", NN_Numeric,
  [{ return e.mul(a, b); }], [{ return a * b; }]>;
// Integer division by zero gives 0, the smallest integer by -1 gives itself.
def NN_DivOp : NN_BinaryOp<"div", "Div", NN_Numeric,
  [{ return e.div(a, b); }], [{ return scalar::div(a, b); }]>;
// The sign of the divisor, as in Python; an integer modulo zero is 0.
def NN_ModOp : NN_BinaryOp<"mod", "", NN_Numeric,
  [{ return e.floorMod(a, b); }], [{ return scalar::floorMod(a, b); }], "Same", [NN_AmplifiesErrors]>;
// The sign of the dividend, as in C; an integer modulo zero is 0.
def NN_FmodOp : NN_BinaryOp<"fmod", "", NN_Numeric,
  [{ return e.remainder(a, b); }], [{ return scalar::remainder(a, b); }], "Same", [NN_AmplifiesErrors]>;
// Integers wrap; an integer to a negative power is 0 unless the base is 1 or -1.
def NN_PowOp : NN_BinaryOp<"pow", "Pow", NN_Numeric,
  [{ return e.power(a, b); }], [{ return scalar::power(a, b); }], "Same", [NN_AmplifiesErrors]>;
def NN_MinOp : NN_BinaryOp<"min", "Min", NN_Numeric,
  [{ return e.min(a, b); }], [{ return a != a ? a : a < b ? a : b; }]>;
def NN_MaxOp : NN_BinaryOp<"max", "Max", NN_Numeric,
  [{ return e.max(a, b); }], [{ return a != a ? a : a > b ? a : b; }]>;
// A shift by the width of the type or more gives 0.
def NN_ShiftLeftOp : NN_BinaryOp<"shift_left", "", NN_Unsigned,
  [{ return e.shiftLeft(a, b); }], [{ return b < 64 ? a << b : 0; }]>;
def NN_ShiftRightOp : NN_BinaryOp<"shift_right", "", NN_Unsigned,
  [{ return e.shiftRight(a, b); }], [{ return b < 64 ? a >> b : 0; }]>;

def NN_AbsOp : NN_UnaryOp<"abs", "Abs", NN_Numeric,
  [{ return e.abs(x); }], [{ return scalar::abs(x); }]>;
def NN_NegOp : NN_UnaryOp<"neg", "Neg", NN_Signed,
  [{ return e.neg(x); }], [{ return -x; }]>;
def NN_SignOp : NN_UnaryOp<"sign", "Sign", NN_Numeric,
  [{ return e.select(e.greater(x, e.constant(0)), e.constant(1),
                     e.select(e.less(x, e.constant(0)), e.constant(-1), x)); }],
  [{ return x > T(0) ? T(1) : x < T(0) ? T(-1) : x; }], "Same", [NN_AmplifiesErrors]>;
def NN_CeilOp : NN_MathOp<"ceil", "Ceil", [NN_AmplifiesErrors]>;
def NN_FloorOp : NN_MathOp<"floor", "Floor", [NN_AmplifiesErrors]>;
// Halves round to even.
def NN_RoundOp : NN_UnaryOp<"round", "Round", NN_Float,
  [{ return e.roundEven(x); }], [{ return std::nearbyint(x); }], "Same", [NN_AmplifiesErrors]>;

//===----------------------------------------------------------------------===//
// Elementary functions
//===----------------------------------------------------------------------===//

def NN_SqrtOp : NN_MathOp<"sqrt", "Sqrt">;
def NN_ExpOp : NN_MathOp<"exp", "Exp", [NN_AmplifiesErrors]>;
def NN_LogOp : NN_MathOp<"log", "Log">;
def NN_ErfOp : NN_MathOp<"erf", "Erf">;
def NN_SinOp : NN_MathOp<"sin", "Sin", [NN_AmplifiesErrors]>;
def NN_CosOp : NN_MathOp<"cos", "Cos", [NN_AmplifiesErrors]>;
def NN_TanOp : NN_MathOp<"tan", "Tan", [NN_AmplifiesErrors]>;
def NN_AsinOp : NN_MathOp<"asin", "Asin">;
def NN_AcosOp : NN_MathOp<"acos", "Acos">;
def NN_AtanOp : NN_MathOp<"atan", "Atan">;
def NN_SinhOp : NN_MathOp<"sinh", "Sinh", [NN_AmplifiesErrors]>;
def NN_CoshOp : NN_MathOp<"cosh", "Cosh", [NN_AmplifiesErrors]>;
def NN_TanhOp : NN_MathOp<"tanh", "Tanh">;
def NN_AsinhOp : NN_MathOp<"asinh", "Asinh">;
def NN_AcoshOp : NN_MathOp<"acosh", "Acosh">;
def NN_AtanhOp : NN_MathOp<"atanh", "Atanh">;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

def NN_ReluOp : NN_UnaryOp<"relu", "Relu", NN_Signed,
  [{ return e.atLeast(x, 0); }], [{ return x < T(0) ? T(0) : x; }]>;
def NN_LeakyReluOp : NN_UnaryAlphaOp<"leaky_relu", "LeakyRelu", "0.01",
  [{ return e.select(e.less(x, e.constant(0)), e.mul(x, e.constant(alpha)), x); }],
  [{ return x < 0 ? alpha * x : x; }]>;
def NN_ThresholdedReluOp : NN_UnaryAlphaOp<"thresholded_relu", "ThresholdedRelu", "1.0",
  [{ return e.select(e.greater(x, e.constant(alpha)), x, e.constant(0)); }],
  [{ return x > alpha ? x : 0; }], [NN_AmplifiesErrors]>;
def NN_EluOp : NN_UnaryAlphaOp<"elu", "Elu", "1.0",
  [{ return e.select(e.less(x, e.constant(0)), e.mul(e.expm1(x), e.constant(alpha)), x); }],
  [{ return x < 0 ? alpha * std::expm1(x) : x; }]>;
// p / (p + 1) or 1 / (p + 1) of p = exp(-|x|): what is small keeps its relative error, down to
// subnormal numbers, and p cannot overflow.
def NN_SigmoidOp : NN_UnaryOp<"sigmoid", "Sigmoid", NN_Float,
  [{ auto one = e.constant(1), power = e.exp(e.neg(e.abs(x)));
     auto part = e.select(e.less(x, e.constant(0)), power, one);
     return e.div(part, e.add(power, one)); }],
  [{ return 1 / (1 + std::exp(-x)); }]>;
def NN_HardSigmoidOp : NN_UnaryTwoParamOp<"hard_sigmoid", "HardSigmoid",
  NN_Param<"alpha", "0.2">, NN_Param<"beta", "0.5">,
  [{ return e.atMost(e.atLeast(e.fma(x, e.constant(alpha), e.constant(beta)), 0), 1); }],
  [{ return scalar::clamp01(alpha * x + beta); }]>;
// log(1 + exp(x)) without overflow.
def NN_SoftplusOp : NN_UnaryOp<"softplus", "Softplus", NN_Float,
  [{ return e.add(e.atLeast(x, 0), e.log1p(e.exp(e.neg(e.abs(x))))); }],
  [{ return (x < 0 ? 0 : x) + std::log1p(std::exp(-std::abs(x))); }]>;
def NN_SoftsignOp : NN_UnaryOp<"softsign", "Softsign", NN_Float,
  [{ return e.div(x, e.add(e.constant(1), e.abs(x))); }], [{ return x / (1 + std::abs(x)); }]>;

//===----------------------------------------------------------------------===//
// Comparison, logic and choice
//===----------------------------------------------------------------------===//

def NN_EqualOp : NN_BinaryOp<"equal", "Equal", NN_AnyElement,
  [{ return e.equal(a, b); }], [{ return a == b; }], "Bool">;
def NN_LessOp : NN_BinaryOp<"less", "Less", NN_Numeric,
  [{ return e.less(a, b); }], [{ return a < b; }], "Bool">;
def NN_LessOrEqualOp : NN_BinaryOp<"less_or_equal", "LessOrEqual", NN_Numeric,
  [{ return e.lessOrEqual(a, b); }], [{ return a <= b; }], "Bool">;
// Of bools, and bit by bit of integers.
def NN_AndOp : NN_BinaryOp<"and", "And", NN_Bits,
  [{ return e.logicalAnd(a, b); }], [{ return static_cast<T>(a & b); }]>;
def NN_OrOp : NN_BinaryOp<"or", "Or", NN_Bits,
  [{ return e.logicalOr(a, b); }], [{ return static_cast<T>(a | b); }]>;
def NN_XorOp : NN_BinaryOp<"xor", "Xor", NN_Bits,
  [{ return e.logicalXor(a, b); }], [{ return static_cast<T>(a ^ b); }]>;
def NN_NotOp : NN_UnaryOp<"not", "Not", NN_Bits,
  [{ return e.logicalXor(x, e.integerConstant(-1)); }], [{ return scalar::invert(x); }]>;
def NN_WhereOp : NN_TernaryOp<"where", "Where", NN_AnyElement,
  [{ return e.select(condition, a, b); }], [{ return condition != T(0) ? a : b; }]>;

#endif // QUERN_IR_ELEMENTWISEOPS_TD
