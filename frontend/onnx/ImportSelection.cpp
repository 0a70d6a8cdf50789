//===- ImportSelection.cpp - ops that select by value ---------------------===//
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/SelectionOps.h"

using namespace quern;
using namespace quern::onnx;

/// Thresholds and counts may be given in vectors of one element.
static void importNonMaxSuppression(NodeReader &node) {
  bool isCentered = node.getBool("center_point_box", false);
  node.setOutput(0,
                 node.create<nn::NonMaxSuppressionOp>(node.input(0), node.input(1), node.input(2),
                                                      node.input(3), node.input(4), isCentered));
}

static void importUnique(NodeReader &node) {
  mlir::IntegerAttr axis;
  if (node.hasAttribute("axis"))
    axis = node.builder().getI64IntegerAttr(node.getInt("axis"));
  mlir::BoolAttr sorted = node.builder().getBoolAttr(node.getBool("sorted", true));
  mlir::ResultRange results = node.createMulti<nn::UniqueOp>(4, node.input(0), axis, sorted);
  for (int i = 0; i < 4; ++i)
    node.setOutput(i, results[static_cast<size_t>(i)]);
}

std::span<const OpsetRow> quern::onnx::selectionImports() {
  static constexpr OpsetRow rows[] = {
      {"NonMaxSuppression", 10, kNewestOpset, 2, 5, 1, importNonMaxSuppression},
      {"Unique", 11, kNewestOpset, 1, 1, 4, importUnique},
  };
  return rows;
}
