//===- ImportLinearAlgebra.cpp - of matrices as such ----------------------===//
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/LinearAlgebraOps.h"

using namespace quern;
using namespace quern::onnx;

static void importDet(NodeReader &node) {
  node.setOutput(0, node.create<nn::DetOp>(node.input(0)));
}

std::span<const OpsetRow> quern::onnx::linearAlgebraImports() {
  static constexpr OpsetRow rows[] = {
      {"Det", 11, kNewestOpset, 1, 1, 1, importDet},
  };
  return rows;
}
