//===- ImportDataMovement.cpp - shapes, moves and copies ------------------===//
#include "frontend/onnx/ImportContext.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// A list that was an attribute before it became operand `operand`.
static Value attributeOrInput(NodeImport &node, const char *attribute, int operand,
                              bool isAttribute) {
  if (!isAttribute)
    return node.input(operand);
  std::vector<int64_t> values = node.getInts(attribute);
  return values.empty() ? node.graph().none : node.intsConstant(values);
}

static void importConcat(NodeImport &node) {
  int64_t axis = node.getInt("axis");
  node.setOutput(0, node.create<nn::ConcatOp>(node.allInputs(), axis));
}

static void importSplit(NodeImport &node) {
  int64_t axis = node.getInt("axis", 0);
  Value sizes = attributeOrInput(node, "split", 1, node.opset() < 13);
  int64_t parts = node.outputCount();
  if (node.opset() >= 18) {
    parts = node.getInt("num_outputs", parts);
    if (parts != node.outputCount())
      return node.invalid(
          fmt::format("num_outputs is {}, but there are {} outputs", parts, node.outputCount()));
  } else if (auto shape = node.inputShape(0); shape && nn::isNone(sizes)) {
    // Uneven parts came with opset 18.
    int64_t at = axis < 0 ? axis + shape->rank() : axis;
    if (at >= 0 && at < shape->rank() && (*shape)[at].isStatic() &&
        (*shape)[at].size() % parts != 0)
      return node.invalid(fmt::format("dimension {} does not split into {} equal parts",
                                      (*shape)[at].str(), parts));
  }
  auto results =
      node.createMulti<nn::SplitOp>(static_cast<size_t>(parts), node.input(0), sizes, axis);
  for (int i = 0; i < parts; ++i)
    node.setOutput(i, results[i]);
}

/// Slice of opset 1: starts, ends and axes are attributes.
static void importSliceV1(NodeImport &node) {
  std::vector<int64_t> starts = node.getInts("starts"), ends = node.getInts("ends");
  std::vector<int64_t> axes = node.getInts("axes");
  if (starts.empty() || starts.size() != ends.size())
    return node.invalid("attributes 'starts' and 'ends' need the same number of entries");
  Value axesValue = axes.empty() ? node.graph().none : node.intsConstant(axes);
  node.setOutput(0,
                 node.create<nn::SliceOp>(node.input(0), node.intsConstant(starts),
                                          node.intsConstant(ends), axesValue, node.graph().none));
}

static void importSlice(NodeImport &node) {
  node.setOutput(0, node.create<nn::SliceOp>(node.input(0), node.input(1), node.input(2),
                                             node.input(3), node.input(4)));
}

static void importReshape(NodeImport &node) {
  bool allowZero = node.opset() >= 14 && node.getBool("allowzero", false);
  node.setOutput(0, node.create<nn::ReshapeOp>(node.input(0), node.input(1), allowZero));
}

static void importFlatten(NodeImport &node) {
  int64_t axis = node.getInt("axis", 1);
  node.setOutput(0, node.create<nn::FlattenOp>(node.input(0), axis));
}

static void importTranspose(NodeImport &node) {
  std::vector<int64_t> perm = node.getInts("perm");
  node.setOutput(0, node.create<nn::TransposeOp>(node.input(0), perm));
}

static void importSqueeze(NodeImport &node) {
  Value axes = attributeOrInput(node, "axes", 1, node.opset() < 13);
  node.setOutput(0, node.create<nn::SqueezeOp>(node.input(0), axes));
}

static void importUnsqueeze(NodeImport &node) {
  Value axes = attributeOrInput(node, "axes", 1, node.opset() < 13);
  if (nn::isNone(axes))
    return node.invalid("axes are missing");
  node.setOutput(0, node.create<nn::UnsqueezeOp>(node.input(0), axes));
}

template <typename Op> static void importWithShape(NodeImport &node) {
  node.setOutput(0, node.create<Op>(node.input(0), node.input(1)));
}

static void importGather(NodeImport &node) {
  int64_t axis = node.getInt("axis", 0);
  node.setOutput(0, node.create<nn::GatherOp>(node.input(0), node.input(1), axis));
}

static void importShape(NodeImport &node) {
  int64_t start = 0;
  mlir::IntegerAttr end;
  if (node.opset() >= 15) {
    start = node.getInt("start", 0);
    if (node.hasAttribute("end"))
      end = node.builder().getI64IntegerAttr(node.getInt("end"));
  }
  node.setOutput(
      0, node.create<nn::ShapeOp>(node.input(0), node.builder().getI64IntegerAttr(start), end));
}

static void importSize(NodeImport &node) {
  node.setOutput(0, node.create<nn::SizeOp>(node.input(0)));
}

static void importRange(NodeImport &node) {
  node.setOutput(0, node.create<nn::RangeOp>(node.input(0), node.input(1), node.input(2)));
}

static void importNonZero(NodeImport &node) {
  node.setOutput(0, node.create<nn::NonZeroOp>(node.input(0)));
}

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

static PadMode readPadMode(NodeImport &node) { return node.getEnum("mode", PadMode::Constant); }

/// Pad of opset 2: pads and value are attributes.
static void importPadV2(NodeImport &node) {
  PadMode mode = readPadMode(node);
  std::vector<int64_t> pads = node.getInts("pads");
  double value = node.getFloat("value", 0);
  if (pads.empty())
    return node.invalid("required attribute 'pads' is missing");
  node.setOutput(0, node.create<nn::PadOp>(node.input(0), node.intsConstant(pads),
                                           node.scalarConstant(value, node.inputDType(0)), mode));
}

/// The pads of all axes, when those of some `axes` (opset 18) are given.
static Value padsOfAllAxes(NodeImport &node) {
  if (!node.hasInput(3))
    return node.input(1);
  auto given = nn::constantInts(node.input(1)), axes = nn::constantInts(node.input(3));
  auto shape = node.inputShape(0);
  if (!given || !axes || !shape) {
    node.unsupported("axes, when pads, axes or the rank of the data are unknown");
    return node.input(1);
  }
  if (given->size() != 2 * axes->size())
    node.invalid(fmt::format("pads have {} entries, need {}", given->size(), 2 * axes->size()));
  int64_t rank = shape->rank();
  std::vector<int64_t> pads(2 * rank, 0);
  for (size_t i = 0; i < axes->size() && !node.failed(); ++i) {
    int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + rank : (*axes)[i];
    if (axis < 0 || axis >= rank) {
      node.invalid(fmt::format("axis {} is not in [-{}, {})", (*axes)[i], rank, rank));
      break;
    }
    pads[axis] = (*given)[i];
    pads[rank + axis] = (*given)[axes->size() + i];
  }
  return node.intsConstant(pads);
}

static void importPad(NodeImport &node) {
  PadMode mode = readPadMode(node);
  Value pads = padsOfAllAxes(node);
  node.setOutput(0, node.create<nn::PadOp>(node.input(0), pads, node.input(2), mode));
}

std::span<const OpsetRow> quern::onnx::dataMovementImports() {
  static constexpr OpsetRow rows[] = {
      {"Concat", 4, kNewestOpset, 1, kVariadic, 1, importConcat},
      {"Expand", 8, kNewestOpset, 2, 2, 1, importWithShape<nn::ExpandOp>},
      {"Flatten", 1, kNewestOpset, 1, 1, 1, importFlatten},
      {"Gather", 1, kNewestOpset, 2, 2, 1, importGather},
      {"Pad", 2, 10, 1, 1, 1, importPadV2},
      {"Pad", 11, 17, 2, 3, 1, importPad},
      {"Pad", 18, kNewestOpset, 2, 4, 1, importPad},
      {"Range", 11, kNewestOpset, 3, 3, 1, importRange},
      {"NonZero", 9, kNewestOpset, 1, 1, 1, importNonZero},
      {"Reshape", 5, kNewestOpset, 2, 2, 1, importReshape},
      {"Shape", 1, kNewestOpset, 1, 1, 1, importShape},
      {"Size", 1, kNewestOpset, 1, 1, 1, importSize},
      {"Slice", 1, 9, 1, 1, 1, importSliceV1},
      {"Slice", 10, kNewestOpset, 3, 5, 1, importSlice},
      {"Split", 2, 12, 1, 1, kVariadic, importSplit},
      {"Split", 13, kNewestOpset, 1, 2, kVariadic, importSplit},
      {"Squeeze", 1, 12, 1, 1, 1, importSqueeze},
      {"Squeeze", 13, kNewestOpset, 1, 2, 1, importSqueeze},
      {"Tile", 6, kNewestOpset, 2, 2, 1, importWithShape<nn::TileOp>},
      {"Transpose", 1, kNewestOpset, 1, 1, 1, importTranspose},
      {"Unsqueeze", 1, 12, 1, 1, 1, importUnsqueeze},
      {"Unsqueeze", 13, kNewestOpset, 2, 2, 1, importUnsqueeze},
  };
  return rows;
}
