//===- ImportElementwise.cpp - ops on single elements ---------------------===//
//
// Most ops come straight from the elementwise table of the dialect. Written out
// here are only those whose ONNX form differs from their row.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/ImportContext.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// The first opset with an op of the table, where it is not the usual one: 6 for
/// unary ops (which then lost `consumed_inputs`), 7 for others (then broadcasting).
static int64_t firstOpset(std::string_view op, unsigned arity) {
  static const std::map<std::string_view, int64_t> exceptions = {{"Not", 1},
                                                                 {"Softplus", 1},
                                                                 {"Softsign", 1},
                                                                 {"Acos", 7},
                                                                 {"Asin", 7},
                                                                 {"Atan", 7},
                                                                 {"Cos", 7},
                                                                 {"Sin", 7},
                                                                 {"Tan", 7},
                                                                 {"Acosh", 9},
                                                                 {"Asinh", 9},
                                                                 {"Atanh", 9},
                                                                 {"Cosh", 9},
                                                                 {"Erf", 9},
                                                                 {"IsNaN", 9},
                                                                 {"Sign", 9},
                                                                 {"Sinh", 9},
                                                                 {"Where", 9},
                                                                 {"IsInf", 10},
                                                                 {"ThresholdedRelu", 10},
                                                                 {"Round", 11},
                                                                 {"Celu", 12},
                                                                 {"GreaterOrEqual", 12},
                                                                 {"LessOrEqual", 12},
                                                                 {"HardSwish", 14},
                                                                 {"BitwiseAnd", 18},
                                                                 {"BitwiseNot", 18},
                                                                 {"BitwiseOr", 18},
                                                                 {"BitwiseXor", 18},
                                                                 {"Mish", 18}};
  auto found = exceptions.find(op);
  return found != exceptions.end() ? found->second : arity == 1 ? 6 : 7;
}

/// An op of the table, by its name in the dialect.
static Value createOp(NodeImport &node, llvm::StringRef opName, mlir::ValueRange operands) {
  const nn::ElementwiseInfo *row = nn::lookupElementwise(opName);
  if (!row) {
    node.fail(internalError("the dialect has no " + opName.str()));
    return operands.front();
  }
  return node.createElementwise(*row, operands);
}

static void importRow(NodeImport &node) {
  const nn::ElementwiseInfo *row = nn::lookupElementwiseByOnnxName(node.op());
  llvm::SmallVector<double> params;
  for (const nn::ElementwiseParam &param : row->params)
    params.push_back(node.getNumber(param.name.str(), param.defaultValue));
  node.setOutput(0, node.createElementwise(*row, node.allInputs(), params));
}

/// Sum, Min and Max of any number of operands: a chain.
static Value createChain(NodeImport &node, llvm::StringRef opName) {
  Value result = node.input(0);
  for (Value operand : node.allInputs().drop_front())
    result = createOp(node, opName, {result, operand});
  return result;
}

static void importSum(NodeImport &node) { node.setOutput(0, createChain(node, "nn.add")); }
static void importMin(NodeImport &node) { node.setOutput(0, createChain(node, "nn.min")); }
static void importMax(NodeImport &node) { node.setOutput(0, createChain(node, "nn.max")); }

static void importMean(NodeImport &node) {
  Value sum = createChain(node, "nn.add");
  Value count = node.scalarConstant(node.inputCount(), node.inputDType(0));
  node.setOutput(0, createOp(node, "nn.div", {sum, count}));
}

/// Clip is max, then min: so min wins where it is below max, as ONNX says.
static void importClip(NodeImport &node) {
  Value low = node.input(1), high = node.input(2);
  if (node.opset() < 11) {
    DType dtype = node.inputDType(0);
    if (node.hasAttribute("min"))
      low = node.scalarConstant(node.getFloat("min"), dtype);
    if (node.hasAttribute("max"))
      high = node.scalarConstant(node.getFloat("max"), dtype);
  }
  Value result = node.input(0);
  if (!nn::isNone(low))
    result = createOp(node, "nn.max", {result, low});
  if (!nn::isNone(high))
    result = createOp(node, "nn.min", {result, high});
  node.setOutput(0, result);
}

static void importMod(NodeImport &node) {
  bool truncated = node.getBool("fmod", false);
  if (!truncated && isFloat(node.inputDType(0)))
    return node.invalid("floats need attribute 'fmod' = 1");
  node.setOutput(0, createOp(node, truncated ? "nn.fmod" : "nn.mod", node.allInputs()));
}

static void importBitShift(NodeImport &node) {
  std::string direction = node.getString("direction");
  if (direction != "LEFT" && direction != "RIGHT")
    return node.invalid("attribute 'direction': expected LEFT or RIGHT, found '" + direction + "'");
  node.setOutput(0, createOp(node, direction == "LEFT" ? "nn.shift_left" : "nn.shift_right",
                             node.allInputs()));
}

/// The result has the type of the base. An integer raised to a float is computed
/// in double, so that the exponent keeps its fraction.
static void importPow(NodeImport &node) {
  Value base = node.input(0), exponent = node.input(1);
  DType baseType = node.inputDType(0), exponentType = node.inputDType(1);
  if (baseType == exponentType)
    return node.setOutput(0, createOp(node, "nn.pow", {base, exponent}));
  if (node.opset() < 12)
    return node.invalid(fmt::format("base is {}, exponent {}; before opset 12 they must be equal",
                                    dtypeName(baseType), dtypeName(exponentType)));
  bool inDouble = !isFloat(baseType) && isFloat(exponentType);
  DType common = inDouble ? DType::Float64 : baseType;
  if (inDouble)
    base = node.createCast(base, common);
  if (exponentType != common)
    exponent = node.createCast(exponent, common);
  Value power = createOp(node, "nn.pow", {base, exponent});
  node.setOutput(0, inDouble ? node.createCast(power, baseType) : power);
}

/// Shrink moves x by `bias` towards zero; within [-lambd, lambd] it is zero.
static void importShrink(NodeImport &node) {
  DType dtype = node.inputDType(0);
  double lambd = node.getFloat("lambd", 0.5), bias = node.getFloat("bias", 0);
  Value x = node.input(0), zero = node.scalarConstant(0, dtype);
  Value below = createOp(node, "nn.less", {x, node.scalarConstant(-lambd, dtype)});
  Value above = createOp(node, "nn.greater", {x, node.scalarConstant(lambd, dtype)});
  Value biasValue = node.scalarConstant(bias, dtype);
  Value lowered = createOp(node, "nn.sub", {x, biasValue});
  Value raised = createOp(node, "nn.add", {x, biasValue});
  Value outer = createOp(node, "nn.where", {above, lowered, zero});
  node.setOutput(0, createOp(node, "nn.where", {below, raised, outer}));
}

/// Refuses the wrapping conversion to float8, the only thing `saturate` is about.
static void refuseWrappingCast(NodeImport &node, DType to) {
  node.ignoreAttribute("round_mode"); // of float8e8m0, a type that we lack
  bool saturate = node.opset() < 19 || node.getBool("saturate", true);
  if (!saturate && isFloat(to) && dtypeBits(to) == 8)
    node.unsupported("attribute 'saturate' = 0");
}

static void importCast(NodeImport &node) {
  int64_t to = node.getInt("to");
  if (to <= 0 || to > static_cast<int64_t>(DType::Int4))
    return node.invalid(fmt::format("attribute 'to': unknown type {}", to));
  refuseWrappingCast(node, static_cast<DType>(to));
  node.setOutput(0, node.createCast(node.input(0), static_cast<DType>(to)));
}

static void importCastLike(NodeImport &node) {
  refuseWrappingCast(node, node.inputDType(1));
  node.setOutput(0, node.createCast(node.input(0), node.inputDType(1)));
}

static constexpr OpsetRow kWrittenOut[] = {
    {"BitShift", 11, kNewestOpset, 2, 2, 1, importBitShift},
    {"Cast", 6, kNewestOpset, 1, 1, 1, importCast},
    {"CastLike", 15, kNewestOpset, 2, 2, 1, importCastLike},
    {"Clip", 6, 10, 1, 1, 1, importClip},
    {"Clip", 11, kNewestOpset, 1, 3, 1, importClip},
    {"Max", 6, kNewestOpset, 1, kVariadic, 1, importMax},
    {"Mean", 6, kNewestOpset, 1, kVariadic, 1, importMean},
    {"Min", 6, kNewestOpset, 1, kVariadic, 1, importMin},
    {"Mod", 10, kNewestOpset, 2, 2, 1, importMod},
    {"Pow", 7, kNewestOpset, 2, 2, 1, importPow},
    {"Shrink", 9, kNewestOpset, 1, 1, 1, importShrink},
    {"Sum", 6, kNewestOpset, 1, kVariadic, 1, importSum},
};

std::span<const OpsetRow> quern::onnx::elementwiseImports() {
  static const std::vector<OpsetRow> rows = [] {
    std::vector<OpsetRow> all(std::begin(kWrittenOut), std::end(kWrittenOut));
    for (const nn::ElementwiseInfo *info : nn::elementwiseTable()) {
      std::string_view op(info->onnxName.data(), info->onnxName.size());
      bool writtenOut = llvm::any_of(kWrittenOut, [&](const OpsetRow &r) { return r.op == op; });
      int arity = static_cast<int>(info->arity);
      if (!op.empty() && !writtenOut)
        all.push_back({op, firstOpset(op, info->arity), kNewestOpset, arity, arity, 1, importRow});
    }
    return all;
  }();
  return rows;
}
