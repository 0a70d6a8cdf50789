//===- ImportContraction.cpp - matrix products ----------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

using namespace quern;
using namespace quern::onnx;
using llvm::APFloat;

static void importMatMul(NodeReader &node) {
  node.setOutput(0, node.create<nn::MatMulOp>(node.input(0), node.input(1)));
}

/// A factor of FusedMatMul, transposed as its attributes say: `transBatch` moves the
/// first dimension behind the other batch dimensions, `trans` swaps the last two.
static mlir::Value readFactor(NodeReader &node, int i, const char *trans, const char *transBatch) {
  bool swapsLast = node.getBool(trans, false), movesFirst = node.getBool(transBatch, false);
  if (!swapsLast && !movesFirst)
    return node.input(i);
  std::optional<nn::Shape> shape = node.inputShape(i);
  if (!shape) {
    node.unsupported(fmt::format("transposing input {}, whose rank is unknown", i));
    return node.input(i);
  }
  std::vector<int64_t> perm(static_cast<size_t>(shape->rank()));
  if (perm.size() < 2) // a vector is its own transpose
    return node.input(i);
  std::iota(perm.begin(), perm.end(), 0);
  if (movesFirst)
    std::rotate(perm.begin(), perm.begin() + 1, perm.end() - 1);
  if (swapsLast)
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return node.create<nn::TransposeOp>(node.input(i), perm);
}

static void importFusedMatMul(NodeReader &node) {
  double alpha = node.getFloat("alpha", 1);
  mlir::Value a = readFactor(node, 0, "transA", "transBatchA");
  mlir::Value b = readFactor(node, 1, "transB", "transBatchB");
  mlir::Value product = node.create<nn::MatMulOp>(a, b);
  if (alpha != 1)
    product = node.create<nn::MulOp>(product, constantLike(node, alpha, product));
  node.setOutput(0, product);
}

static mlir::Value createGemm(NodeReader &node) {
  double alpha = node.getFloat("alpha", 1), beta = node.getFloat("beta", 1);
  bool transA = node.getBool("transA", false), transB = node.getBool("transB", false);
  return node.create<nn::GemmOp>(node.input(0), node.input(1), node.input(2), APFloat(alpha),
                                 APFloat(beta), transA, transB);
}

static void importGemm(NodeReader &node) {
  if (node.opset() < 11 && !node.hasInput(2))
    return node.invalid("input C is required before opset 11");
  if (node.opset() < 7) // what it allowed is always so since
    node.ignoreAttribute("broadcast");
  node.setOutput(0, createGemm(node));
}

static void importFusedGemm(NodeReader &node) {
  std::string activation = node.getString("activation", "");
  llvm::SmallVector<double> params;
  for (const char *name : {"activation_alpha", "activation_beta", "activation_gamma"})
    if (node.hasAttribute(name))
      params.push_back(node.getFloat(name));
  node.setOutput(0, createActivation(node, activation, createGemm(node), params));
}

std::span<const OpsetRow> quern::onnx::contractionImports() {
  static constexpr OpsetRow rows[] = {
      {"FusedGemm", 1, 1, 2, 3, 1, importFusedGemm, kMicrosoftDomain},
      {"FusedMatMul", 1, 1, 2, 2, 1, importFusedMatMul, kMicrosoftDomain},
      {"Gemm", 1, kNewestOpset, 2, 3, 1, importGemm},
      {"MatMul", 1, kNewestOpset, 2, 2, 1, importMatMul},
      // What FusedMatMul was called before.
      {"TransposeMatMul", 1, 1, 2, 2, 1, importFusedMatMul, kMicrosoftDomain},
  };
  return rows;
}
