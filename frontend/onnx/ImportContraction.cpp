//===- ImportContraction.cpp - matrix products ----------------------------===//
#include "frontend/onnx/ImportContext.h"
#include "frontend/onnx/OpsetTable.h"

using namespace quern;
using namespace quern::onnx;
using llvm::APFloat;

static void importMatMul(NodeImport &node) {
  node.setOutput(0, node.create<nn::MatMulOp>(node.input(0), node.input(1)));
}

static void importGemm(NodeImport &node) {
  if (node.opset() < 11 && !node.hasInput(2))
    return node.invalid("input C is required before opset 11");
  double alpha = node.getFloat("alpha", 1), beta = node.getFloat("beta", 1);
  bool transA = node.getBool("transA", false), transB = node.getBool("transB", false);
  node.setOutput(0, node.create<nn::GemmOp>(node.input(0), node.input(1), node.input(2),
                                            APFloat(alpha), APFloat(beta), transA, transB));
}

std::span<const OpsetRow> quern::onnx::contractionImports() {
  static constexpr OpsetRow rows[] = {
      {"Gemm", 7, kNewestOpset, 2, 3, 1, importGemm},
      {"MatMul", 1, kNewestOpset, 2, 2, 1, importMatMul},
  };
  return rows;
}
