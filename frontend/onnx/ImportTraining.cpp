//===- ImportTraining.cpp - steps of optimizers ---------------------------===//
//
// ai.onnx.preview.training: what a step makes of variables, their gradients and the
// averages that the optimizer keeps of these. Inputs are the learning rate, the number
// of updates so far, then all variables, all gradients, and all averages of each kind.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

namespace {
/// One variable during a step; all values have its element type.
struct Variable {
  Value x;
  Value gradient;
  Value rate;
  Value updates;
  /// What the optimizer keeps: for Adam first the average, then that of squares.
  llvm::SmallVector<Value, 2> averages;
};
} // namespace

static Value times(NodeReader &node, Value a, double factor) {
  return node.create<nn::MulOp>(a, constantLike(node, factor, a));
}
static Value times(NodeReader &node, Value a, Value b) { return node.create<nn::MulOp>(a, b); }
static Value plus(NodeReader &node, Value a, Value b) { return node.create<nn::AddOp>(a, b); }
static Value plus(NodeReader &node, Value a, double b) {
  return node.create<nn::AddOp>(a, constantLike(node, b, a));
}
static Value minus(NodeReader &node, Value a, Value b) { return node.create<nn::SubOp>(a, b); }

/// Calls step(variable) for each variable; it leaves there what the variable and the
/// averages are afterwards. `kept` is how many averages there are.
template <typename Step> static void importSteps(NodeReader &node, int kept, Step step) {
  int lists = 2 + kept, count = (node.inputCount() - 2) / lists;
  if (count < 1 || node.inputCount() != 2 + count * lists)
    return node.invalid(fmt::format("has {} inputs, expected 2 and {} for each variable",
                                    node.inputCount(), lists));
  if (node.outputCount() > count * (1 + kept))
    return node.invalid(fmt::format("has {} outputs, expected {} for each of {} variables",
                                    node.outputCount(), 1 + kept, count));
  for (int i = 0; i < count && !node.failed(); ++i) {
    auto list = [&](int number) { return node.input(2 + number * count + i); };
    Variable variable{list(0),
                      list(1),
                      readScalar(node, 0, dtypeOf(list(0))),
                      readScalar(node, 1, dtypeOf(list(0))),
                      {}};
    for (int k = 0; k < kept; ++k)
      variable.averages.push_back(list(2 + k));
    requireFloats(node, 2 + i);
    step(variable);
    node.setOutput(i, variable.x);
    for (int k = 0; k < kept; ++k)
      node.setOutput((1 + k) * count + i, variable.averages[k]);
  }
}

/// The gradient with that of 0.5 * norm * ||x||^2.
static Value regularized(NodeReader &node, const Variable &variable, double norm) {
  return plus(node, times(node, variable.x, norm), variable.gradient);
}

static void importAdagrad(NodeReader &node) {
  double decay = node.getFloat("decay_factor", 0), epsilon = node.getFloat("epsilon", 1e-6);
  double norm = node.getFloat("norm_coefficient", 0);
  importSteps(node, 1, [&](Variable &v) {
    Value slowed = plus(node, times(node, v.updates, decay), 1);
    Value rate = node.create<nn::DivOp>(v.rate, slowed);
    Value gradient = regularized(node, v, norm);
    v.averages[0] = plus(node, v.averages[0], times(node, gradient, gradient));
    Value divisor = plus(node, node.create<nn::SqrtOp>(v.averages[0]), epsilon);
    v.x = minus(node, v.x, node.create<nn::DivOp>(times(node, rate, gradient), divisor));
  });
}

/// What Adam makes of the rate while its averages are young.
static Value adjustedRate(NodeReader &node, const Variable &v, double alpha, double beta) {
  Value one = constantLike(node, 1, v.rate), zero = constantLike(node, 0, v.rate);
  auto remains = [&](double base) { // 1 - base^T
    Value power = node.create<nn::PowOp>(constantLike(node, base, v.rate), v.updates);
    return minus(node, one, power);
  };
  Value factor = node.create<nn::DivOp>(node.create<nn::SqrtOp>(remains(beta)), remains(alpha));
  Value isYoung = createGreater(node, v.updates, zero);
  return node.create<nn::WhereOp>(isYoung, times(node, v.rate, factor), v.rate);
}

static void importAdam(NodeReader &node) {
  double alpha = node.getFloat("alpha", 0.9), beta = node.getFloat("beta", 0.999);
  double epsilon = node.getFloat("epsilon", 1e-6), norm = node.getFloat("norm_coefficient", 0);
  double normPost = node.getFloat("norm_coefficient_post", 0);
  importSteps(node, 2, [&](Variable &v) {
    Value gradient = regularized(node, v, norm);
    auto average = [&](Value old, double weight, Value next) {
      return plus(node, times(node, old, weight), times(node, next, 1 - weight));
    };
    v.averages[0] = average(v.averages[0], alpha, gradient);
    v.averages[1] = average(v.averages[1], beta, times(node, gradient, gradient));
    Value divisor = plus(node, node.create<nn::SqrtOp>(v.averages[1]), epsilon);
    Value move = times(node, adjustedRate(node, v, alpha, beta), v.averages[0]);
    v.x = minus(node, v.x, node.create<nn::DivOp>(move, divisor));
    v.x = times(node, v.x, 1 - normPost);
  });
}

static void importMomentum(NodeReader &node) {
  double alpha = node.getFloat("alpha"), beta = node.getFloat("beta");
  double norm = node.getFloat("norm_coefficient");
  std::string mode = node.getString("mode");
  if (mode != "standard" && mode != "nesterov")
    return node.invalid("attribute 'mode': expected standard or nesterov, found '" + mode + "'");
  importSteps(node, 1, [&](Variable &v) {
    Value gradient = regularized(node, v, norm);
    // The first update takes the whole gradient.
    Value isLater = createGreater(node, v.updates, constantLike(node, 0, v.updates));
    Value weight = node.create<nn::WhereOp>(isLater, constantLike(node, beta, v.x),
                                            constantLike(node, 1, v.x));
    v.averages[0] = plus(node, times(node, v.averages[0], alpha), times(node, weight, gradient));
    Value move = v.averages[0];
    if (mode == "nesterov")
      move = plus(node, gradient, times(node, move, alpha));
    v.x = minus(node, v.x, times(node, v.rate, move));
  });
}

std::span<const OpsetRow> quern::onnx::trainingImports() {
  static constexpr std::string_view kDomain = "ai.onnx.preview.training";
  static constexpr OpsetRow rows[] = {
      {"Adagrad", 1, 1, 5, kVariadic, kVariadic, importAdagrad, kDomain},
      {"Adam", 1, 1, 6, kVariadic, kVariadic, importAdam, kDomain},
      {"Momentum", 1, 1, 5, kVariadic, kVariadic, importMomentum, kDomain},
  };
  return rows;
}
