//===- LowerPlainConv.cpp - convolution of plain images -------------------===//
//
// C [outputs, pixels] = weights [outputs, depth] * image [depth, pixels], per image and group: of
// the image itself where the window is one pixel, else of its unfolding. Tiles of matrices multiply
// what they serve, the weights' rows as those of A.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/TiledDotKernel.h"
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Of the product: what an output is the sum of.
static int64_t depthOf(const ConvProblem &p) { return p.channelsPerGroup() * p.kernelPositions(); }

/// Elements along k that tiles take at once.
static int64_t stepOf(const DotSpec &spec) {
  return TileUnit::kRowBytes / dtypeBytes(spec.tile.types.a);
}

/// A flat space: outputs are rows and pixels columns. The number of pixels does not
/// shape the code, but for whether tiles end at the last one.
static DotSpec plainSpec(ConvProblem &p, const Target &target) {
  TileShape shape = chooseGemmTile(target, p.dtype, /*columns=*/0);
  DotSpec spec;
  spec.tile.types = {p.weightsType, p.inputType, p.dtype, p.resultType()};
  spec.tile.lanes = target.lanes(p.dtype);
  spec.tile.vectors = shape.vectors;
  // Groups of two lie side by side in the weights, and are packed of the image.
  if (spec.tile.types.group() == 2)
    spec.tile.group = 2;
  spec.tile.partialGroup = depthOf(p) % spec.tile.group != 0;
  spec.tile.levels = {{DotSpec::kRuntime, spec.tile.group, 2}};
  spec.tile.packedB = false;
  spec.heights = shape.heights;
  spec.flat = true;
  spec.groupsRepeat = true;
  spec.contiguousColumns = true;
  spec.maskColumns = p.outputPixels() % spec.tile.columns() != 0;
  if (p.bias)
    spec.bias = OperandAccess::PerRow;
  spec.epilogue = EpilogueCode(p.epilogue);
  return spec;
}

/// Whether tiles of matrices multiply them in less time than vectors.
static bool isTiled(const ConvProblem &p, const DotSpec &spec) {
  return spec.tile.group > 1 && TileUnit::has(p.context.target, spec.tile.types) &&
         tilesPay(spec.tile.types, p.outputsPerGroup(), ceilDiv(depthOf(p), stepOf(spec)),
                  TileUnit::kRowBytes);
}

/// What is packed of `images` images, [depth, pixels] of each group, where groups of k are.
static PackShape packShape(const ConvProblem &p, const DotSpec &spec, int64_t images) {
  int64_t depth = depthOf(p), pixels = p.outputPixels();
  PackShape shape{images * p.groups,   depth * pixels, depth, pixels, pixels, 1,
                  spec.tile.columns(), spec.tile.group};
  if (isTiled(p, spec))
    shape.step = stepOf(spec);
  return shape;
}

/// The dims of some images: a batch is a group of one.
static DotDims plainDims(const ConvProblem &p, const DotSpec &spec, int64_t images) {
  int64_t depth = depthOf(p), pixels = p.outputPixels(), group = spec.tile.group;
  DotDims dims;
  dims.columnTiles = ceilDiv(pixels, spec.tile.columns());
  dims.tilesPerGroup = dims.columnTiles;
  dims.coverRows(spec, p.outputsPerGroup());
  dims.groups = p.groups;
  dims.splitLines({.batches = images * p.groups,
                   .flops = p.flops * double(images) / double(p.batch),
                   .threads = p.context.threads});
  dims.batchStrideA = p.outputsPerGroup() * depth;
  dims.batchStrideB = depth * pixels;
  dims.batchStrideC = p.outputsPerGroup() * pixels;
  dims.batchStrideBias = p.outputsPerGroup();
  dims.tileStrideB = spec.tile.columns();
  dims.strideB = pixels;
  if (group > 1) {
    PackShape packed = packShape(p, spec, 1);
    dims.strideB = packed.tileColumns * group;
    dims.tileStrideB = packed.paddedK() * packed.tileColumns;
    dims.batchStrideB = dims.columnTiles * dims.tileStrideB;
  }
  dims.tileStrideC = spec.tile.columns();
  dims.rowStrideA = depth;
  dims.rowStrideC = pixels;
  dims.columns = pixels;
  dims.levels[0] = {depth / group, group};
  dims.leftOver = depth % group;
  return dims;
}

static LoweredStep stepOfTiles(const ConvProblem &p, DotSpec spec, int64_t images,
                               ConvProduct product) {
  TiledDotDims all;
  all.dot = plainDims(p, spec, images);
  int64_t step = stepOf(spec), depth = depthOf(p);
  TiledDotSpec tiled{std::move(spec), /*partialStep=*/depth % step != 0};
  tiled.dot.tile.partialGroup = false;
  tiled.dot.tile.levels = {{}};
  tiled.dot.heights = {};
  all.dot.levels[0] = {depth / step, step};
  all.stepElements = step;
  all.leftOver = depth % step;
  all.coverRows(tiled, /*lines=*/1, p.outputsPerGroup(), TileUnit::kRowBytes);
  double flops = p.flops * product.share;
  all.splitLines({.batches = images * p.groups, .flops = flops, .threads = p.context.threads});
  all.splitK(tiled);
  int64_t scratchBytes = all.bytesOfPartialSums(tiled);
  LoweredStep result = makeConvStep(p, kernelOf(std::move(tiled)), all.dot, std::move(product));
  result.scratchBytes = scratchBytes;
  result.dims = flattenDims(all);
  result.grain = grainOfTiles(result.tasks, {.flops = flops});
  return result;
}

/// The images from `first` on, as the product reads them.
static StepBuffer imagesFrom(const ConvProblem &p, int64_t first) {
  return StepBuffer::of(p.input, first * p.channels * p.inputPixels() * dtypeBytes(p.inputType));
}

/// The product of `images` images from `first` on, which `columns` holds, packed before if it is by
/// groups.
static void multiply(const ConvProblem &p, const DotSpec &spec, int64_t first, int64_t images,
                     StepBuffer columns, LoweredSteps &steps) {
  if (spec.tile.group > 1) {
    PackShape shape = packShape(p, spec, images);
    // Number 0 may be the unfolding.
    StepBuffer packed =
        StepBuffer::scratchSpace(1, shape.packedElements() * dtypeBytes(p.inputType));
    steps.push_back(packColumns(std::move(columns), packed, shape, p.inputType));
    columns = std::move(packed);
  }
  ConvProduct product{.a = StepBuffer::of(p.weights),
                      .b = std::move(columns),
                      .batches = images * p.groups,
                      .firstResult = first * p.outputs * p.outputPixels(),
                      .share = double(images) / double(p.batch)};
  if (p.bias)
    product.bias = StepBuffer::of(p.bias);
  steps.push_back(isTiled(p, spec) ? stepOfTiles(p, spec, images, std::move(product))
                                   : makeConvStep(p, kernelOf(spec), plainDims(p, spec, images),
                                                  std::move(product)));
}

static std::optional<Reason> refusePlain(const ConvProblem &p) {
  if (p.isBlocked())
    return Reason{ReasonCode::Layout, "the result is in blocks"};
  if (p.inputBlock > 0)
    return Reason{ReasonCode::Layout, "a blocked input with a plain result"};
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Pointwise
//===----------------------------------------------------------------------===//

static std::optional<Reason> refusePointwise(const ConvProblem &p) {
  if (std::optional<Reason> reason = refusePlain(p))
    return reason;
  if (!p.isPointwise())
    return Reason{ReasonCode::Attributes, "the window is more than the pixel itself"};
  return std::nullopt;
}

static LoweringResult lowerPointwise(ConvProblem &p) {
  DotSpec spec = plainSpec(p, p.context.target);
  LoweredSteps steps;
  multiply(p, spec, 0, p.batch, imagesFrom(p, 0), steps);
  return steps;
}

const ConvWay native::kPointwiseConv = {refusePointwise, lowerPointwise};

//===----------------------------------------------------------------------===//
// Unfolded
//===----------------------------------------------------------------------===//

static LoweringResult lowerUnfolded(ConvProblem &p) {
  DotSpec spec = plainSpec(p, p.context.target);
  int64_t atOnce = chooseImages(p.batch, p.unfoldedBytes());
  LoweredSteps result;
  for (int64_t first = 0; first < p.batch; first += atOnce) {
    int64_t images = std::min(atOnce, p.batch - first);
    StepBuffer columns = StepBuffer::scratchSpace(0, p.unfoldedBytes() * images);
    WindowShape3 window = p.window;
    // The rows of one image follow those of the one before.
    window.channels *= images;
    result.push_back(unfoldWindows(imagesFrom(p, first), columns, window, p.inputType));
    multiply(p, spec, first, images, std::move(columns), result);
  }
  return result;
}

const ConvWay native::kUnfoldedConv = {refusePlain, lowerUnfolded};
