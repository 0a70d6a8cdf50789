//===- LowerPlainConv.cpp - convolution of plain images -------------------===//
//
// C [outputs, pixels] = weights [outputs, depth] * image [depth, pixels], per image and group: of
// the image itself where the window is one pixel, else of its unfolding.
//
//===----------------------------------------------------------------------===//
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// A flat space: outputs are rows and pixels columns. The number of pixels does not
/// shape the code, but for whether tiles end at the last one.
static DotSpec plainSpec(ConvProblem &p, const Target &target) {
  TileShape shape = chooseGemmTile(target, p.dtype, /*columns=*/0);
  DotSpec spec;
  spec.tile.types = {p.weightsType, p.inputType, p.dtype, p.resultType()};
  spec.tile.lanes = target.lanes(p.dtype);
  spec.tile.vectors = shape.vectors;
  spec.tile.levels = {{DotSpec::kRuntime, 1, 2}};
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

/// The dims of some images: a batch is a group of one.
static DotDims plainDims(const ConvProblem &p, const DotSpec &spec, int64_t images) {
  int64_t depth = p.channelsPerGroup() * p.kernelPositions(), pixels = p.outputPixels();
  DotDims dims;
  dims.columnTiles = ceilDiv(pixels, spec.tile.columns());
  dims.tilesPerGroup = dims.columnTiles;
  dims.coverRows(spec, p.outputsPerGroup());
  dims.groups = p.groups;
  dims.splitLines(images * p.groups, p.flops * double(images) / double(p.batch), p.context.threads);
  dims.batchStrideA = p.outputsPerGroup() * depth;
  dims.batchStrideB = depth * pixels;
  dims.batchStrideC = p.outputsPerGroup() * pixels;
  dims.batchStrideBias = p.outputsPerGroup();
  dims.tileStrideB = spec.tile.columns();
  dims.tileStrideC = spec.tile.columns();
  dims.rowStrideA = depth;
  dims.rowStrideC = pixels;
  dims.strideB = pixels;
  dims.columns = pixels;
  dims.levels[0] = {depth, 1};
  return dims;
}

/// The images from `first` on, as the product reads them.
static StepBuffer imagesFrom(const ConvProblem &p, int64_t first) {
  return StepBuffer::of(p.input, first * p.channels * p.inputPixels() * dtypeBytes(p.dtype));
}

/// The product of `images` images from `first` on, which `columns` holds.
static LoweredStep multiply(const ConvProblem &p, const DotSpec &spec, const KernelSpec &kernel,
                            int64_t first, int64_t images, StepBuffer columns) {
  ConvProduct product{.a = StepBuffer::of(p.weights),
                      .b = std::move(columns),
                      .batches = images * p.groups,
                      .firstResult = first * p.outputs * p.outputPixels(),
                      .share = double(images) / double(p.batch)};
  if (p.bias)
    product.bias = StepBuffer::of(p.bias);
  return makeConvStep(p, kernel, plainDims(p, spec, images), std::move(product));
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
  KernelSpec kernel = kernelOf(spec);
  return oneStep(multiply(p, spec, kernel, 0, p.batch, imagesFrom(p, 0)));
}

static double costPointwise(const ConvProblem &p, const StepCost &whole) {
  return costAfterPasses(p, whole, 0);
}

const ConvWay native::kPointwiseConv = {refusePointwise, costPointwise, lowerPointwise};

//===----------------------------------------------------------------------===//
// Unfolded
//===----------------------------------------------------------------------===//

static LoweringResult lowerUnfolded(ConvProblem &p) {
  DotSpec spec = plainSpec(p, p.context.target);
  KernelSpec kernel = kernelOf(spec);
  int64_t atOnce = chooseImages(p.batch, p.unfoldedBytes());
  LoweredSteps result;
  for (int64_t first = 0; first < p.batch; first += atOnce) {
    int64_t images = std::min(atOnce, p.batch - first);
    StepBuffer columns = StepBuffer::scratchSpace(0, p.unfoldedBytes() * images);
    WindowShape3 window = p.window;
    // The rows of one image follow those of the one before.
    window.channels *= images;
    result.push_back(unfoldWindows(imagesFrom(p, first), columns, window, p.inputType));
    result.push_back(multiply(p, spec, kernel, first, images, std::move(columns)));
  }
  return result;
}

/// The unfolding is written and read.
static double costUnfolded(const ConvProblem &p, const StepCost &whole) {
  double bytes = 2.0 * double(p.batch) * double(p.channels) * double(p.kernelPositions()) *
                 double(p.outputPixels()) * double(dtypeBytes(p.inputType));
  return costAfterPasses(p, whole, bytes);
}

const ConvWay native::kUnfoldedConv = {refusePlain, costUnfolded, lowerUnfolded};
