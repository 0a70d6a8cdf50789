//===- VisionOps.cpp - rules of sampling, regions and windows -------------===//
#include "ir/VisionOps.h"
#include "ir/TypeRules.h"
#include "runtime/reference/WindowShape.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

//===----------------------------------------------------------------------===//
// grid_sample
//===----------------------------------------------------------------------===//

InferredTypes GridSampleOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireNumbers(*this, getInput(), "input")) ||
      failed(requireFloats(*this, getPoints(), "points")))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput()), points = facts.shapeOf(getPoints());
  if (input && failed(requireRankAtLeast(*this, *input, 3)))
    return failure();
  if (!points)
    return unrankedResult(elementType);
  if (failed(requireRankAtLeast(*this, *points, 2)))
    return failure();
  int64_t last = points->rank() - 1;
  Dim batch = (*points)[0], channels;
  if (input) {
    if (failed(requireDim(*this, (*points)[last], Dim(input->rank() - 2),
                          "the last dimension of points")) ||
        failed(requireDim(*this, batch, (*input)[0], "the batch of points")))
      return failure();
    batch = mergeDims(batch, (*input)[0]);
    channels = (*input)[1];
  }
  DimVector dims = {batch, channels};
  dims.append(points->dims().begin() + 1, points->dims().begin() + last);
  return rankedResult(*this, Shape(std::move(dims)), elementType);
}

//===----------------------------------------------------------------------===//
// roi_pool
//===----------------------------------------------------------------------===//

static LogicalResult verifyRoiAttributes(RoiPoolOp op) {
  ReduceKind kind = op.getKind();
  if (kind != ReduceKind::Max && kind != ReduceKind::Mean)
    return op.emitOpError("kind must be max or mean, found ") << nameOf(kind);
  if (op.getHeight() < 1 || op.getWidth() < 1)
    return op.emitOpError("the size of the result must be positive, found ")
           << op.getHeight() << "x" << op.getWidth();
  if (op.getSamplingRatio() < 0)
    return op.emitOpError("sampling_ratio must not be negative, found ") << op.getSamplingRatio();
  return success();
}

InferredTypes RoiPoolOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(verifyRoiAttributes(*this)) || failed(requireFloats(*this, getInput(), "input")) ||
      failed(requireSameElements(*this, getRois(), "rois", getInput())) ||
      failed(requireIndices(facts, *this, getImages(), "images", /*maxRank=*/1)))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput()), rois = facts.shapeOf(getRois()),
                       images = facts.shapeOf(getImages());
  if (input && input->rank() != 4)
    return emitOpError("input must have rank 4, found ") << input->rank();
  if (rois && rois->rank() != 2)
    return emitOpError("rois must have rank 2, found ") << rois->rank();
  if (images && images->rank() != 1)
    return emitOpError("images must have rank 1, found ") << images->rank();
  if (rois && failed(requireDim(*this, (*rois)[1], Dim(4), "the last dimension of rois")))
    return failure();
  if (rois && images && failed(requireDim(*this, (*images)[0], (*rois)[0], "the size of images")))
    return failure();
  Dim count = rois && images ? mergeDims((*rois)[0], (*images)[0])
              : rois         ? (*rois)[0]
              : images       ? (*images)[0]
                             : Dim();
  DimVector dims = {count, input ? (*input)[1] : Dim(), Dim(getHeight()), Dim(getWidth())};
  return rankedResult(*this, Shape(std::move(dims)), elementTypeOf(getInput()));
}

//===----------------------------------------------------------------------===//
// col2im
//===----------------------------------------------------------------------===//

/// Checks a list of one entry (or two) for each of `axes`, or none.
static LogicalResult verifyEntries(Operation *op, ArrayRef<int64_t> list, StringRef name,
                                   int64_t wanted) {
  auto found = static_cast<int64_t>(list.size());
  if (found != 0 && found != wanted)
    return op->emitOpError() << name << " must have " << wanted << " entries, found " << found;
  return success();
}

/// How often a window fits an axis; unknown where sizes are.
static FailureOr<Dim> positionsAlong(Col2ImOp op, size_t axis, const Dim &image,
                                     std::optional<int64_t> block) {
  size_t axes = op.getPads().size() / 2;
  if (!image.isStatic() || !block)
    return Dim();
  WindowAxis window;
  window.input = image.size();
  window.kernel = *block;
  if (!op.getStrides().empty())
    window.stride = op.getStrides()[axis];
  if (!op.getDilations().empty())
    window.dilation = op.getDilations()[axis];
  if (axes > 0) {
    window.padBegin = op.getPads()[axis];
    window.padEnd = op.getPads()[axes + axis];
  }
  Expected<int64_t> positions = windowOutputSize(window, AutoPad::NotSet, /*ceilMode=*/false);
  if (!positions)
    return op.emitOpError("spatial axis ") << axis << ": " << positions.status().message();
  return Dim(*positions);
}

/// Checks the number of windows where sizes are known.
static LogicalResult verifyPositions(Col2ImOp op, const Shape &input, const DimVector &image,
                                     const std::optional<std::vector<int64_t>> &block) {
  DimVector positions;
  for (size_t axis = 0; axis < image.size(); ++axis) {
    FailureOr<Dim> along =
        positionsAlong(op, axis, image[axis], block ? std::optional((*block)[axis]) : std::nullopt);
    if (failed(along))
      return failure();
    positions.push_back(*along);
  }
  FailureOr<Dim> count = productOf(op, positions);
  if (failed(count))
    return failure();
  return requireDim(op, input[2], *count, "the number of windows");
}

/// The channels of the result, once those of a window's elements are known.
static FailureOr<Dim> channelsOf(Col2ImOp op, const Dim &rows,
                                 const std::optional<std::vector<int64_t>> &block) {
  if (!block)
    return Dim();
  CheckedSize elements(int64_t{1});
  for (int64_t size : *block) {
    if (size < 1)
      return op.emitOpError("block_shape must be positive, found ") << size;
    elements *= CheckedSize(size);
  }
  if (!elements.valid())
    return op.emitOpError("block_shape has too many elements");
  if (rows.isStatic() && rows.size() % elements.value() != 0)
    return op.emitOpError("dimension 1 of the input, ")
           << rows.size() << ", is no multiple of a block of " << elements.value() << " elements";
  return floorDiv(rows, elements.value());
}

InferredTypes Col2ImOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireNumbers(*this, getInput(), "input")) ||
      failed(requireIndices(facts, *this, getImageShape(), "image_shape", /*maxRank=*/1)) ||
      failed(requireIndices(facts, *this, getBlockShape(), "block_shape", /*maxRank=*/1)))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (input && input->rank() != 3)
    return emitOpError("input must have rank 3, found ") << input->rank();
  std::optional<int64_t> axes = facts.lengthOf(getImageShape());
  if (std::optional<int64_t> blockAxes = facts.lengthOf(getBlockShape())) {
    if (axes && *axes != *blockAxes)
      return emitOpError("image_shape and block_shape must have as many entries, found ")
             << *axes << " and " << *blockAxes;
    axes = blockAxes;
  }
  if (!axes)
    return unrankedResult(elementType);
  if (*axes < 1)
    return emitOpError("image_shape must not be empty");
  if (failed(verifyEntries(*this, getStrides(), "strides", *axes)) ||
      failed(verifyEntries(*this, getDilations(), "dilations", *axes)) ||
      failed(verifyEntries(*this, getPads(), "pads", 2 * *axes)))
    return failure();
  std::optional<DimVector> image = facts.dimsIn(getImageShape());
  if (!image)
    image = DimVector(*axes);
  if (std::optional<std::vector<int64_t>> sizes = facts.integersOf(getImageShape()))
    for (int64_t size : *sizes)
      if (size < 0)
        return emitOpError("image_shape must not be negative, found ") << size;
  std::optional<std::vector<int64_t>> block = facts.integersOf(getBlockShape());
  FailureOr<Dim> channels = channelsOf(*this, input ? (*input)[1] : Dim(), block);
  if (failed(channels) || (input && failed(verifyPositions(*this, *input, *image, block))))
    return failure();
  DimVector dims = {input ? (*input)[0] : Dim(), *channels};
  dims.append(*image);
  return rankedResult(*this, Shape(std::move(dims)), elementType);
}

#define GET_OP_CLASSES
#include "ir/VisionOps.cpp.inc"

void NNDialect::registerVisionOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/VisionOps.cpp.inc"
      >();
}
