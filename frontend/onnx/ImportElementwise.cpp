//===- ImportElementwise.cpp - ops on single elements ---------------------===//
//
// Most ops come straight from the elementwise table of the dialect. Written out
// here are only those whose ONNX form differs from their row.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// The first opset with an op of the table. (ThresholdedRelu was called experimental before
/// opset 10.)
static int64_t firstOpset(std::string_view op) {
  static const std::map<std::string_view, int64_t> later = {
      {"Acos", 7},  {"Asin", 7},  {"Atan", 7},   {"Cos", 7},         {"Sin", 7}, {"Tan", 7},
      {"Acosh", 9}, {"Asinh", 9}, {"Atanh", 9},  {"Cosh", 9},        {"Erf", 9}, {"Sign", 9},
      {"Sinh", 9},  {"Where", 9}, {"Round", 11}, {"LessOrEqual", 12}};
  auto found = later.find(op);
  return found != later.end() ? found->second : 1;
}

/// `b` with dimensions of size 1 behind its own, which then stand in `a` from `axis` on.
static Value alignedAt(NodeReader &node, Value a, Value b, int64_t axis) {
  std::optional<nn::Shape> whole = nn::shapeOf(a), part = nn::shapeOf(b);
  if (!whole || !part) {
    node.unsupported("broadcasting along an axis of tensors of unknown rank");
    return b;
  }
  int64_t first = axis < 0 ? axis + whole->rank() : axis;
  if (first < 0 || first > whole->rank() - part->rank()) {
    node.invalid(fmt::format("a tensor of rank {} does not fit into one of rank {} from axis {} on",
                             part->rank(), whole->rank(), axis));
    return b;
  }
  std::vector<int64_t> behind;
  for (int64_t d = first + part->rank(); d < whole->rank(); ++d)
    behind.push_back(d - first);
  return behind.empty() ? b : node.create<nn::UnsqueezeOp>(b, node.intsConstant(behind));
}

/// The operands of a binary op. Before opset 7 the second one broadcasts where it is asked
/// to, and along an axis; slopes of PRelu belong to channels.
static llvm::SmallVector<Value> binaryOperands(NodeReader &node) {
  llvm::SmallVector<Value> operands(node.allInputs());
  if (node.opset() >= 7)
    return operands;
  std::optional<nn::Shape> a = node.inputShape(0), b = node.inputShape(1);
  if (node.op() == "PRelu") {
    bool isPerChannel = a && b && b->rank() == 1 && a->rank() > 1 && !(*b)[0].isStatic(1);
    if (isPerChannel)
      operands[1] = alignedAt(node, operands[0], operands[1], 1);
  } else if (!node.getBool("broadcast", false)) {
    bool isSame = !a || !b || a->rank() == b->rank();
    for (int64_t d = 0; a && b && isSame && d < a->rank(); ++d)
      isSame = (*a)[d].compatibleWith((*b)[d]);
    if (!isSame)
      node.invalid(fmt::format("operands have shapes {} and {}, but no attribute 'broadcast'",
                               a->str(), b->str()));
  } else if (node.hasAttribute("axis")) {
    operands[1] = alignedAt(node, operands[0], operands[1], node.getInt("axis"));
  }
  return operands;
}

static void importRow(NodeReader &node) {
  const nn::ElementwiseInfo *row = nn::lookupElementwiseByOnnxName(node.op());
  llvm::SmallVector<double> params;
  for (const nn::ElementwiseParam &param : row->params)
    params.push_back(node.getNumber(param.name.str(), param.defaultValue));
  llvm::SmallVector<Value> operands(node.allInputs());
  if (row->arity == 2)
    operands = binaryOperands(node);
  node.setOutput(0, node.createElementwise(*row, operands, params));
}

static void importGreater(NodeReader &node) {
  llvm::SmallVector<Value> operands = binaryOperands(node);
  node.setOutput(0, createGreater(node, operands[0], operands[1]));
}
static void importGreaterOrEqual(NodeReader &node) {
  node.setOutput(0, createGreaterOrEqual(node, node.input(0), node.input(1)));
}

static void importReciprocal(NodeReader &node) {
  requireFloats(node, 0);
  node.setOutput(0, createReciprocal(node, node.input(0)));
}

/// Input 1 times what is below zero.
static void importPRelu(NodeReader &node) {
  llvm::SmallVector<Value> operands = binaryOperands(node);
  Value isBelow = node.create<nn::LessOp>(operands[0], constantLike(node, 0, operands[0]));
  Value below = node.create<nn::MulOp>(operands[0], operands[1]);
  node.setOutput(0, node.create<nn::WhereOp>(isBelow, below, operands[0]));
}

/// Logic of bools, or bit by bit of integers: the same op of the dialect.
template <typename Op> static void setLogic(NodeReader &node, bool ofBits) {
  if (DType dtype = node.inputDType(0); (dtype == DType::Bool) == ofBits)
    return node.invalid(fmt::format("input 0 must hold {}, found {}", ofBits ? "integers" : "bool",
                                    dtypeName(dtype)));
  llvm::SmallVector<Value> operands(node.allInputs());
  if (operands.size() == 2)
    operands = binaryOperands(node);
  node.setOutput(0, node.create<Op>(mlir::ValueRange(operands)));
}
static void importAnd(NodeReader &node) { setLogic<nn::AndOp>(node, /*ofBits=*/false); }
static void importOr(NodeReader &node) { setLogic<nn::OrOp>(node, /*ofBits=*/false); }
static void importXor(NodeReader &node) { setLogic<nn::XorOp>(node, /*ofBits=*/false); }
static void importNot(NodeReader &node) { setLogic<nn::NotOp>(node, /*ofBits=*/false); }
static void importBitwiseAnd(NodeReader &node) { setLogic<nn::AndOp>(node, /*ofBits=*/true); }
static void importBitwiseOr(NodeReader &node) { setLogic<nn::OrOp>(node, /*ofBits=*/true); }
static void importBitwiseXor(NodeReader &node) { setLogic<nn::XorOp>(node, /*ofBits=*/true); }
static void importBitwiseNot(NodeReader &node) { setLogic<nn::NotOp>(node, /*ofBits=*/true); }

static void importIsNan(NodeReader &node) {
  requireFloats(node, 0);
  node.setOutput(0, createIsNan(node, node.input(0)));
}

static void importIsInf(NodeReader &node) {
  requireFloats(node, 0);
  bool negative = node.getBool("detect_negative", true);
  bool positive = node.getBool("detect_positive", true);
  // Not every narrow type has an infinity to compare with.
  Value x = widen(node, node.input(0));
  if (negative == positive)
    x = node.create<nn::AbsOp>(x);
  // Nothing equals NaN.
  double wanted = !negative && !positive ? std::numeric_limits<double>::quiet_NaN()
                  : positive             ? std::numeric_limits<double>::infinity()
                                         : -std::numeric_limits<double>::infinity();
  node.setOutput(0, node.create<nn::EqualOp>(x, constantLike(node, wanted, x)));
}

/// Sum, Min and Max of any number of operands: a chain.
template <typename Op> static Value createChain(NodeReader &node) {
  Value result = node.input(0);
  for (Value operand : node.allInputs().drop_front())
    result = node.create<Op>(result, operand);
  return result;
}

static void importSum(NodeReader &node) { node.setOutput(0, createChain<nn::AddOp>(node)); }
static void importMin(NodeReader &node) { node.setOutput(0, createChain<nn::MinOp>(node)); }
static void importMax(NodeReader &node) { node.setOutput(0, createChain<nn::MaxOp>(node)); }

static void importMean(NodeReader &node) {
  Value sum = createChain<nn::AddOp>(node);
  Value count = node.scalarConstant(node.inputCount(), node.inputDType(0));
  node.setOutput(0, node.create<nn::DivOp>(sum, count));
}

/// Clip is max, then min: so min wins where it is below max, as ONNX says. Opsets 6 to 10 have
/// the largest floats as default bounds, which infinities are clipped to.
static void importClip(NodeReader &node) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  Value low = node.input(1), high = node.input(2);
  if (node.opset() < 11) {
    DType dtype = node.inputDType(0);
    bool hasDefaults = node.opset() >= 6;
    if (hasDefaults || node.hasAttribute("min"))
      low = node.scalarConstant(node.getFloat("min", -kLargest), dtype);
    if (hasDefaults || node.hasAttribute("max"))
      high = node.scalarConstant(node.getFloat("max", kLargest), dtype);
  }
  Value result = node.input(0);
  if (!nn::isNone(low))
    result = node.create<nn::MaxOp>(result, low);
  if (!nn::isNone(high))
    result = node.create<nn::MinOp>(result, high);
  node.setOutput(0, result);
}

static void importMod(NodeReader &node) {
  bool truncated = node.getBool("fmod", false);
  bool isRealMod = !truncated && isFloat(node.inputDType(0));
  if (isRealMod && node.opset() < 28)
    return node.invalid("floats need attribute 'fmod' = 1 before opset 28");
  Value a = node.input(0), b = node.input(1);
  Value result = truncated ? node.create<nn::FmodOp>(a, b) : node.create<nn::ModOp>(a, b);
  if (isRealMod) { // a zero has the sign of the divisor
    Value zero = constantLike(node, 0, result), minusZero = constantLike(node, -0.0, result);
    Value isNegative = node.create<nn::LessOp>(b, zero);
    Value signedZero = node.create<nn::WhereOp>(isNegative, minusZero, zero);
    Value isZero = node.create<nn::EqualOp>(result, zero);
    result = node.create<nn::WhereOp>(isZero, signedZero, result);
  }
  node.setOutput(0, result);
}

/// The unsigned integer of as many bits; nullopt of a type without.
static std::optional<DType> unsignedOf(DType dtype) {
  switch (dtype) {
  case DType::Int8:
    return DType::UInt8;
  case DType::Int16:
    return DType::UInt16;
  case DType::Int32:
    return DType::UInt32;
  case DType::Int64:
    return DType::UInt64;
  default:
    return std::nullopt;
  }
}

/// Shifts signed integers as unsigned ones, for which a negative count is a large one and
/// shifts all bits out. A negative x is shifted to the right with its bits inverted, so that
/// zeros come in, and inverted again.
static Value createSignedShift(NodeReader &node, bool left, DType bits) {
  Value x = node.input(0), count = node.createCast(node.input(1), bits);
  DType dtype = node.inputDType(0);
  if (left)
    return node.createCast(node.create<nn::ShiftLeftOp>(node.createCast(x, bits), count), dtype);
  auto number = [&](int64_t value) {
    return node.createCast(node.scalarConstant(static_cast<double>(value), DType::Int64), dtype);
  };
  Value isNegative = node.create<nn::LessOp>(x, number(0));
  Value inversion = node.create<nn::WhereOp>(isNegative, number(-1), number(0));
  Value inverted = node.createCast(node.create<nn::XorOp>(x, inversion), bits);
  Value shifted = node.create<nn::ShiftRightOp>(inverted, count);
  return node.create<nn::XorOp>(node.createCast(shifted, dtype), inversion);
}

static void importBitShift(NodeReader &node) {
  std::string direction = node.getString("direction");
  if (direction != "LEFT" && direction != "RIGHT")
    return node.invalid("attribute 'direction': expected LEFT or RIGHT, found '" + direction + "'");
  bool left = direction == "LEFT";
  if (auto bits = unsignedOf(node.inputDType(0)); bits && node.opset() >= 28) {
    if (node.inputDType(1) != node.inputDType(0))
      return node.invalid(fmt::format("input 1 is {}, expected {}", dtypeName(node.inputDType(1)),
                                      dtypeName(node.inputDType(0))));
    return node.setOutput(0, createSignedShift(node, left, *bits));
  }
  Value x = node.input(0), count = node.input(1);
  node.setOutput(0, left ? node.create<nn::ShiftLeftOp>(x, count)
                         : node.create<nn::ShiftRightOp>(x, count));
}

/// The result has the type of the base. An integer raised to a float is computed
/// in double, so that the exponent keeps its fraction.
static void importPow(NodeReader &node) {
  llvm::SmallVector<Value> operands = binaryOperands(node);
  Value base = operands[0], exponent = operands[1];
  DType baseType = node.inputDType(0), exponentType = node.inputDType(1);
  if (baseType == exponentType)
    return node.setOutput(0, node.create<nn::PowOp>(base, exponent));
  if (node.opset() < 12)
    return node.invalid(fmt::format("base is {}, exponent {}; before opset 12 they must be equal",
                                    dtypeName(baseType), dtypeName(exponentType)));
  bool inDouble = !isFloat(baseType) && isFloat(exponentType);
  DType common = inDouble ? DType::Float64 : baseType;
  if (inDouble)
    base = node.createCast(base, common);
  if (exponentType != common)
    exponent = node.createCast(exponent, common);
  Value power = node.create<nn::PowOp>(base, exponent);
  node.setOutput(0, inDouble ? node.createCast(power, baseType) : power);
}

/// Shrink moves x by `bias` towards zero; within [-lambd, lambd] it is zero.
static void importShrink(NodeReader &node) {
  DType dtype = node.inputDType(0);
  double lambd = node.getFloat("lambd", 0.5), bias = node.getFloat("bias", 0);
  Value x = node.input(0), zero = node.scalarConstant(0, dtype);
  Value below = node.create<nn::LessOp>(x, node.scalarConstant(-lambd, dtype));
  Value above = createGreater(node, x, node.scalarConstant(lambd, dtype));
  Value biasValue = node.scalarConstant(bias, dtype);
  Value lowered = node.create<nn::SubOp>(x, biasValue);
  Value raised = node.create<nn::AddOp>(x, biasValue);
  Value outer = node.create<nn::WhereOp>(above, lowered, zero);
  node.setOutput(0, node.create<nn::WhereOp>(below, raised, outer));
}

//===----------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------===//

/// A conversion by the node's attributes. Of floats beyond its range an integer of less than
/// a byte gets the low bits (as ONNX's cases have it); larger integers saturate.
static void setCast(NodeReader &node, DType to) {
  CastRounding rounding = CastRounding::Nearest;
  if (node.opset() >= 24) {
    CastRounding named = node.getEnum("round_mode", CastRounding::Up);
    rounding = to == DType::Float8E8M0 ? named : rounding;
  }
  bool saturate = node.opset() < 19 || node.getBool("saturate", true);
  Value x = node.input(0);
  for (DType type : {dtypeOf(x), to})
    if (type == DType::Complex64 || type == DType::Complex128)
      return node.unsupported(fmt::format("element type {}", dtypeName(type)));
  bool isSmallInteger = (isSignedInteger(to) || isUnsignedInteger(to)) && dtypeBits(to) < 8;
  if (isSmallInteger && isFloat(dtypeOf(x)))
    x = node.createCast(x, DType::Int32);
  node.setOutput(0, createCast(node, x, to, saturate, rounding));
}

/// Types were written by their names before opset 6.
static int64_t typeNamed(NodeReader &node, const std::string &name) {
  proto::TensorProto::DataType type = proto::TensorProto::UNDEFINED;
  if (!proto::TensorProto::DataType_Parse(name, &type))
    node.invalid("attribute 'to': unknown type '" + name + "'");
  return type;
}

static void importCast(NodeReader &node) {
  int64_t to = node.opset() < 6 ? typeNamed(node, node.getString("to")) : node.getInt("to");
  if (node.failed())
    return;
  if (!isDTypeNumber(to))
    return node.invalid(fmt::format("attribute 'to': unknown type {}", to));
  setCast(node, static_cast<DType>(to));
}

static void importCastLike(NodeReader &node) { setCast(node, node.inputDType(1)); }

/// A bool has the bits of a uint8, of which every number but 0 is true.
static void importBitCast(NodeReader &node) {
  int64_t number = node.getInt("to");
  if (number <= 0 || number > static_cast<int64_t>(DType::Int4))
    return node.invalid(fmt::format("attribute 'to': unknown type {}", number));
  auto to = static_cast<DType>(number);
  auto bitsOf = [](DType dtype) { return dtype == DType::Bool ? DType::UInt8 : dtype; };
  Value bits = convert(node, node.input(0), bitsOf(node.inputDType(0)));
  if (dtypeBits(dtypeOf(bits)) != dtypeBits(bitsOf(to)))
    return node.invalid(
        fmt::format("cannot read the bits of {} as {}", dtypeName(dtypeOf(bits)), dtypeName(to)));
  if (dtypeOf(bits) != bitsOf(to))
    bits = node.create<nn::BitCastOp>(bits,
                                      nn::elementTypeOf(node.builder().getContext(), bitsOf(to)));
  node.setOutput(0, convert(node, bits, to));
}

static constexpr OpsetRow kWrittenOut[] = {
    {"And", 1, kNewestOpset, 2, 2, 1, importAnd},
    {"BitCast", 26, kNewestOpset, 1, 1, 1, importBitCast},
    {"BitShift", 11, kNewestOpset, 2, 2, 1, importBitShift},
    {"BitwiseAnd", 18, kNewestOpset, 2, 2, 1, importBitwiseAnd},
    {"BitwiseNot", 18, kNewestOpset, 1, 1, 1, importBitwiseNot},
    {"BitwiseOr", 18, kNewestOpset, 2, 2, 1, importBitwiseOr},
    {"BitwiseXor", 18, kNewestOpset, 2, 2, 1, importBitwiseXor},
    {"Cast", 1, kNewestOpset, 1, 1, 1, importCast},
    {"CastLike", 15, kNewestOpset, 2, 2, 1, importCastLike},
    {"Clip", 1, 10, 1, 1, 1, importClip},
    {"Clip", 11, kNewestOpset, 1, 3, 1, importClip},
    {"Greater", 1, kNewestOpset, 2, 2, 1, importGreater},
    {"GreaterOrEqual", 12, kNewestOpset, 2, 2, 1, importGreaterOrEqual},
    {"IsInf", 10, kNewestOpset, 1, 1, 1, importIsInf},
    {"IsNaN", 9, kNewestOpset, 1, 1, 1, importIsNan},
    {"Max", 1, kNewestOpset, 1, kVariadic, 1, importMax},
    {"Mean", 1, kNewestOpset, 1, kVariadic, 1, importMean},
    {"Min", 1, kNewestOpset, 1, kVariadic, 1, importMin},
    {"Mod", 10, kNewestOpset, 2, 2, 1, importMod},
    {"Not", 1, kNewestOpset, 1, 1, 1, importNot},
    {"Or", 1, kNewestOpset, 2, 2, 1, importOr},
    {"PRelu", 1, kNewestOpset, 2, 2, 1, importPRelu},
    {"Pow", 1, kNewestOpset, 2, 2, 1, importPow},
    {"Reciprocal", 1, kNewestOpset, 1, 1, 1, importReciprocal},
    {"Shrink", 9, kNewestOpset, 1, 1, 1, importShrink},
    {"Sum", 1, kNewestOpset, 1, kVariadic, 1, importSum},
    {"Xor", 1, kNewestOpset, 2, 2, 1, importXor},
};

std::span<const OpsetRow> quern::onnx::elementwiseImports() {
  static const std::vector<OpsetRow> rows = [] {
    std::vector<OpsetRow> all(std::begin(kWrittenOut), std::end(kWrittenOut));
    for (const nn::ElementwiseInfo *info : nn::elementwiseTable()) {
      std::string_view op(info->onnxName.data(), info->onnxName.size());
      bool writtenOut = llvm::any_of(kWrittenOut, [&](const OpsetRow &r) { return r.op == op; });
      int arity = static_cast<int>(info->arity);
      if (!op.empty() && !writtenOut)
        all.push_back({op, firstOpset(op), kNewestOpset, arity, arity, 1, importRow});
    }
    return all;
  }();
  return rows;
}
