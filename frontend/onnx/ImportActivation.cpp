//===- ImportActivation.cpp - activations made of other ops ---------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// Sets result 0 to f of input 0 (plus input 1, where the node has one).
template <typename F> static void setActivation(NodeReader &node, F f) {
  requireFloats(node, 0);
  requireBroadcastsToFirst(node, 1);
  Value x = widen(node, node.input(0));
  if (node.hasInput(1))
    x = node.create<nn::AddOp>(x, widen(node, node.input(1)));
  node.setOutput(0, convert(node, f(x), node.inputDType(0)));
}

/// x times the normal distribution function: exact, or by tanh of a polynomial.
static void setGelu(NodeReader &node, bool byTanh) {
  setActivation(node, [&](Value x) {
    auto number = [&](double value) { return constantLike(node, value, x); };
    Value inner = node.create<nn::MulOp>(x, number(std::numbers::sqrt2 / 2));
    if (byTanh) { // sqrt(2 / pi) * (x + 0.044715 x^3)
      Value cubic = node.create<nn::MulOp>(node.create<nn::MulOp>(x, x), number(0.044715));
      Value factor = node.create<nn::AddOp>(cubic, number(1));
      Value scaled = node.create<nn::MulOp>(x, number(std::sqrt(2 / std::numbers::pi)));
      inner = node.create<nn::MulOp>(scaled, factor);
    }
    Value odd = byTanh ? node.create<nn::TanhOp>(inner) : node.create<nn::ErfOp>(inner);
    Value half = node.create<nn::MulOp>(x, number(0.5));
    return node.create<nn::MulOp>(half, node.create<nn::AddOp>(odd, number(1)));
  });
}

static void importGelu(NodeReader &node) {
  std::string approximate = node.getString("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return node.invalid("attribute 'approximate': expected none or tanh, found '" + approximate +
                        "'");
  setGelu(node, approximate == "tanh");
}
static void importExactGelu(NodeReader &node) { setGelu(node, /*byTanh=*/false); }
static void importFastGelu(NodeReader &node) { setGelu(node, /*byTanh=*/true); }

static void importMish(NodeReader &node) {
  setActivation(node, [&](Value x) {
    Value gate = node.create<nn::TanhOp>(node.create<nn::SoftplusOp>(x));
    return node.create<nn::MulOp>(x, gate);
  });
}

static void importSwish(NodeReader &node, double defaultAlpha) {
  double alpha = node.getFloat("alpha", defaultAlpha);
  setActivation(node, [&](Value x) {
    Value scaled = alpha == 1 ? x : node.create<nn::MulOp>(x, constantLike(node, alpha, x));
    return node.create<nn::MulOp>(x, node.create<nn::SigmoidOp>(scaled));
  });
}

/// An activation that fused nodes may end with as well.
static void setComposed(NodeReader &node, llvm::ArrayRef<double> params) {
  setActivation(node,
                [&](Value x) { return createActivation(node, std::string(node.op()), x, params); });
}

static void importCelu(NodeReader &node) { setComposed(node, node.getFloat("alpha", 1)); }
static void importHardSwish(NodeReader &node) { setComposed(node, {}); }

/// The defaults had fewer digits before opset 6.
static void importSelu(NodeReader &node) {
  bool isOld = node.opset() < 6;
  double alpha = node.getFloat("alpha", isOld ? 1.6732 : 1.67326319217681884765625);
  double gamma = node.getFloat("gamma", isOld ? 1.0507 : 1.05070102214813232421875);
  setComposed(node, {alpha, gamma});
}

/// Swish of input 0, times input 1.
static void importSwiGlu(NodeReader &node) {
  double alpha = node.getFloat("alpha", 1);
  requireFloats(node, 0);
  std::optional<nn::Shape> gate = node.inputShape(0), linear = node.inputShape(1);
  auto fit = [](const nn::Dim &a, const nn::Dim &b) { return a.compatibleWith(b); };
  if (gate && linear && !llvm::equal(gate->dims(), linear->dims(), fit))
    return node.invalid(
        fmt::format("inputs of different shapes: {}, {}", gate->str(), linear->str()));
  Value x = widen(node, node.input(0));
  Value scaled = alpha == 1 ? x : node.create<nn::MulOp>(x, constantLike(node, alpha, x));
  Value swish = node.create<nn::MulOp>(x, node.create<nn::SigmoidOp>(scaled));
  Value y = node.create<nn::MulOp>(swish, widen(node, node.input(1)));
  node.setOutput(0, convert(node, y, node.inputDType(0)));
}
static void importSwish24(NodeReader &node) { importSwish(node, 1); }
static void importQuickGelu(NodeReader &node) { importSwish(node, 1.702); }

std::span<const OpsetRow> quern::onnx::activationImports() {
  static constexpr OpsetRow rows[] = {
      {"BiasGelu", 1, 1, 2, 2, 1, importExactGelu, kMicrosoftDomain},
      {"Celu", 12, kNewestOpset, 1, 1, 1, importCelu},
      {"FastGelu", 1, 1, 1, 2, 1, importFastGelu, kMicrosoftDomain},
      {"Gelu", 1, 1, 1, 1, 1, importExactGelu, kMicrosoftDomain},
      {"Gelu", 20, kNewestOpset, 1, 1, 1, importGelu},
      {"HardSwish", 14, kNewestOpset, 1, 1, 1, importHardSwish},
      {"Mish", 18, kNewestOpset, 1, 1, 1, importMish},
      {"QuickGelu", 1, 1, 1, 1, 1, importQuickGelu, kMicrosoftDomain},
      {"Selu", 1, kNewestOpset, 1, 1, 1, importSelu},
      {"SwiGLU", 28, kNewestOpset, 2, 2, 1, importSwiGlu},
      {"Swish", 24, kNewestOpset, 1, 1, 1, importSwish24},
  };
  return rows;
}
