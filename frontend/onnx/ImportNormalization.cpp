//===- ImportNormalization.cpp - normalizations ---------------------------===//
#include "frontend/onnx/ImportContext.h"
#include "frontend/onnx/OpsetTable.h"

using namespace quern;
using namespace quern::onnx;
using llvm::APFloat;

static void importBatchNormalization(NodeImport &node) {
  double epsilon = node.getFloat("epsilon", 1e-5);
  node.ignoreAttribute("momentum"); // weighs the running statistics in training
  if (node.opset() < 9 && node.getInt("spatial", 1) != 1)
    return node.unsupported("attribute 'spatial' = 0");
  bool training = node.opset() >= 14 && node.getBool("training_mode", false);
  for (int i = 1; i < node.outputCount(); ++i)
    training |= node.hasOutput(i);
  if (training)
    return node.unsupported("training mode");
  node.setOutput(0, node.create<nn::BatchNormOp>(node.input(0), node.input(1), node.input(2),
                                                 node.input(3), node.input(4), APFloat(epsilon)));
}

static void importInstanceNormalization(NodeImport &node) {
  double epsilon = node.getFloat("epsilon", 1e-5);
  node.setOutput(0, node.create<nn::InstanceNormOp>(node.input(0), node.input(1), node.input(2),
                                                    APFloat(epsilon)));
}

static void importLrn(NodeImport &node) {
  double alpha = node.getFloat("alpha", 1e-4), beta = node.getFloat("beta", 0.75);
  double bias = node.getFloat("bias", 1);
  int64_t size = node.getInt("size");
  node.setOutput(
      0, node.create<nn::LrnOp>(node.input(0), APFloat(alpha), APFloat(beta), APFloat(bias), size));
}

std::span<const OpsetRow> quern::onnx::normalizationImports() {
  static constexpr OpsetRow rows[] = {
      {"BatchNormalization", 7, kNewestOpset, 5, 5, 5, importBatchNormalization},
      {"InstanceNormalization", 6, kNewestOpset, 3, 3, 1, importInstanceNormalization},
      {"LRN", 1, kNewestOpset, 1, 1, 1, importLrn},
  };
  return rows;
}
