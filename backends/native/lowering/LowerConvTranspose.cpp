//===- LowerConvTranspose.cpp - transposed convolution, windows summed up -===//
//
// A transposed convolution on plain images is a matrix product, which gives what each pixel of the
// input adds to each element of the window over it, and the sum of these windows. In channel blocks
// it is several convolutions (LowerConvPhases.cpp).
//
//===----------------------------------------------------------------------===//
#include "backends/native/emit/ElementTypes.h"
#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/WindowSumKernel.h"
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "ir/VisionOps.h"
#include "runtime/reference/WindowShape.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
struct TransposedProblem {
  const LoweringContext &context;
  nn::ConvTransposeOp op = {};
  Value input = {}, weights = {};
  DType dtype = DType::Float32;
  int64_t batch = 1, channels = 1, outputs = 1, groups = 1;
  /// Of windows that slide over the result.
  WindowShape3 window{};
  int64_t pixels = 1, kernelPositions = 1;

  /// Of one group: the matrix product's rows and its depth.
  int64_t rows() const { return outputs / groups * kernelPositions; }
  int64_t depth() const { return channels / groups; }
};
} // namespace

std::optional<WindowAxis> native::transposedWindow(nn::ConvTransposeOp op, int64_t axis,
                                                   const LoweringContext &context) {
  Operation *group = nn::groupOf(op);
  ArrayRef<int64_t> input = context.sizesOf(nn::outerValue(group, op.getInput()));
  ArrayRef<int64_t> weights = context.sizesOf(nn::outerValue(group, op.getWeights()));
  auto spatial = static_cast<int64_t>(weights.size()) - 2;
  WindowAxis along{input[2 + axis],         weights[2 + axis],  op.getStrides()[axis],
                   op.getDilations()[axis], op.getPads()[axis], op.getPads()[spatial + axis]};
  std::optional<int64_t> wanted;
  if (!op.getOutputShape().empty())
    wanted = op.getOutputShape()[axis];
  if (!transposedOutputSize(along, op.getAutoPad(), op.getOutputPadding()[axis], wanted))
    return std::nullopt;
  return along;
}

/// Fills the geometry; a reason when there is no native code for it.
static std::optional<Reason> resolveProblem(TransposedProblem &p) {
  if (nn::groupOf(p.op) != p.op)
    return Reason{ReasonCode::Form, "the sum of its windows is not fused with others"};
  ArrayRef<int64_t> input = p.context.sizesOf(p.op.getInput());
  ArrayRef<int64_t> weights = p.context.sizesOf(p.op.getWeights());
  ArrayRef<int64_t> result = p.context.sizesOf(p.op.getResult());
  auto spatial = static_cast<int>(weights.size()) - 2;
  p.input = p.op.getInput();
  p.weights = p.op.getWeights();
  p.dtype = dtypeOfValue(p.op.getResult());
  if (!isWideFloat(p.dtype))
    return Reason{ReasonCode::ElementType,
                  "transposed convolution is native for float32 and float64 only"};
  for (Value factor : {p.input, p.weights})
    if (dtypeOfValue(factor) != p.dtype)
      return Reason{ReasonCode::ElementType,
                    "factors on plain images are narrower than their sums"};
  if (spatial > 3)
    return Reason{ReasonCode::Shape, "more than three spatial dimensions"};
  if (p.context.elementsOf(p.op.getInput()) == 0 || p.context.elementsOf(p.op.getResult()) == 0 ||
      p.context.elementsOf(p.op.getWeights()) == 0)
    return Reason{ReasonCode::Shape, "an operand is empty"};
  p.batch = input[0];
  p.channels = input[1];
  p.outputs = result[1];
  p.groups = p.op.getGroup();
  p.window.channels = p.outputs;
  for (int a = 0; a < 3; ++a) {
    int axis = a - (3 - spatial);
    WindowAxis along;
    along.input = 1;
    if (axis >= 0) {
      std::optional<WindowAxis> resolved = transposedWindow(p.op, axis, p.context);
      if (!resolved)
        return Reason{ReasonCode::Shape, "the window does not fit the result"};
      along = *resolved;
    }
    p.window.input[a] = axis < 0 ? 1 : result[2 + axis];
    p.window.output[a] = along.input;
    p.window.kernel[a] = along.kernel;
    p.window.stride[a] = along.stride;
    p.window.dilation[a] = along.dilation;
    p.window.padBegin[a] = along.padBegin;
    p.pixels *= along.input;
    p.kernelPositions *= along.kernel;
  }
  return std::nullopt;
}

/// C [outputs * kernel, pixels] = weights transposed * input, for a batch of groups.
static DotSpec productSpec(const TransposedProblem &p) {
  TileShape shape = chooseGemmTile(p.context.target, p.dtype, /*columns=*/0);
  DotSpec spec;
  spec.tile.types = DotTypes::all(p.dtype);
  spec.tile.lanes = p.context.target.lanes(p.dtype);
  spec.tile.vectors = shape.vectors;
  // The weights are [channels, outputs * kernel]: rows of A are adjacent, k is not.
  spec.tile.levels = {{DotSpec::kRuntime, DotSpec::kRuntime, 2}};
  spec.tile.rowStrideA = 1;
  spec.tile.packedB = false;
  spec.heights = shape.heights;
  spec.flat = true;
  spec.groupsRepeat = true;
  spec.contiguousColumns = true;
  spec.maskColumns = p.pixels % spec.tile.columns() != 0;
  spec.epilogue.program.inputs = {p.dtype};
  spec.epilogue.program.results = {0};
  return spec;
}

/// The dims of some images: a batch is a group of one.
static DotDims productDims(const TransposedProblem &p, const DotSpec &spec, int64_t images,
                           double flops) {
  DotDims dims;
  dims.columnTiles = ceilDiv(p.pixels, spec.tile.columns());
  dims.tilesPerGroup = dims.columnTiles;
  dims.coverRows(spec, p.rows());
  dims.groups = p.groups;
  dims.splitLines({.batches = images * p.groups, .flops = flops, .threads = p.context.threads});
  dims.batchStrideA = p.depth() * p.rows();
  dims.batchStrideB = p.depth() * p.pixels;
  dims.batchStrideC = p.rows() * p.pixels;
  dims.tileStrideB = spec.tile.columns();
  dims.tileStrideC = spec.tile.columns();
  dims.rowStrideA = 1;
  dims.rowStrideC = p.pixels;
  dims.strideB = p.pixels;
  dims.columns = p.pixels;
  dims.levels[0] = {p.depth(), p.rows()};
  return dims;
}

/// The product for `images` images from `first` on, into `columns`.
static LoweredStep multiply(const TransposedProblem &p, int64_t first, int64_t images,
                            StepBuffer columns) {
  DotSpec spec = productSpec(p);
  double perImage = 2.0 * double(p.pixels) * double(p.rows()) * double(p.channels);
  double flops = perImage * double(images);
  DotDims dims = productDims(p, spec, images, flops);
  int64_t element = dtypeBytes(p.dtype);
  LoweredStep step;
  step.kernel = kernelOf(std::move(spec));
  step.buffers = {StepBuffer::of(p.weights),
                  StepBuffer::of(p.input, first * p.channels * p.pixels * element),
                  std::move(columns)};
  step.dims = flattenDims(dims);
  step.tasks = images * p.groups * dims.columnTiles * dims.lineChunks();
  step.grain = chooseGrain(step.tasks, flops);
  step.share = double(images) / double(p.batch);
  return step;
}

static LoweringResult lower(nn::ConvTransposeOp op, const LoweringContext &context) {
  if (nn::layoutOf(op.getResult()).isBlocked())
    return lowerConvPhases(op, context);
  TransposedProblem p{.context = context};
  p.op = op;
  if (std::optional<Reason> reason = resolveProblem(p))
    return *reason;
  LoweredSteps result;
  int64_t element = dtypeBytes(p.dtype);
  int64_t plane = p.window.input[0] * p.window.input[1] * p.window.input[2];
  CheckedSize bytes = CheckedSize(p.groups) * p.rows() * p.pixels * element;
  int64_t atOnce = chooseImages(p.batch, bytes);
  for (int64_t first = 0; first < p.batch; first += atOnce) {
    int64_t images = std::min(atOnce, p.batch - first);
    StepBuffer columns = StepBuffer::scratchSpace(0, bytes * images);
    result.push_back(multiply(p, first, images, columns));
    WindowSum sum{p.window, images, std::nullopt};
    if (!nn::isNone(op.getBias()))
      sum.bias = StepBuffer::of(op.getBias());
    result.push_back(sumWindows(columns,
                                StepBuffer::of(op.getResult(), first * p.outputs * plane * element),
                                std::move(sum), p.dtype));
    result.back().share = 0;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// col2im
//===----------------------------------------------------------------------===//

static LoweringResult lower(nn::Col2ImOp op, const LoweringContext &context) {
  DType dtype = dtypeOfValue(op.getResult());
  ArrayRef<int64_t> result = context.sizesOf(op.getResult());
  std::optional<std::vector<int64_t>> block = context.values.integersOf(op.getBlockShape());
  auto spatial = static_cast<int>(result.size()) - 2;
  if (!isWideFloat(dtype))
    return Reason{ReasonCode::ElementType,
                  "windows are summed up natively for float32 and float64 only"};
  if (spatial > 3 || !block)
    return Reason{ReasonCode::Shape, "more than three spatial dimensions, or unknown ones"};
  if (context.elementsOf(op.getResult()) == 0 || context.elementsOf(op.getInput()) == 0)
    return Reason{ReasonCode::Shape, "an operand is empty"};
  WindowSum sum{{}, /*images=*/result[0], std::nullopt};
  sum.shape.channels = result[1];
  for (int a = 0; a < 3; ++a) {
    int axis = a - (3 - spatial);
    WindowAxis along;
    along.input = 1;
    if (axis >= 0) {
      along.input = result[2 + axis];
      along.kernel = (*block)[axis];
      if (!op.getStrides().empty())
        along.stride = op.getStrides()[axis];
      if (!op.getDilations().empty())
        along.dilation = op.getDilations()[axis];
      if (!op.getPads().empty()) {
        along.padBegin = op.getPads()[axis];
        along.padEnd = op.getPads()[spatial + axis];
      }
    }
    Expected<int64_t> positions = windowOutputSize(along, AutoPad::NotSet, /*ceilMode=*/false);
    if (!positions)
      return Reason{ReasonCode::Shape, "the window does not fit the result"};
    sum.shape.input[a] = along.input;
    sum.shape.output[a] = *positions;
    sum.shape.kernel[a] = along.kernel;
    sum.shape.stride[a] = along.stride;
    sum.shape.dilation[a] = along.dilation;
    sum.shape.padBegin[a] = along.padBegin;
  }
  return oneStep(sumWindows(StepBuffer::of(op.getInput()), StepBuffer::of(op.getResult()),
                            std::move(sum), dtype));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::windowSumLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::ConvTransposeOp, lower>(),
      lowered<nn::Col2ImOp, lower>(),
  };
  return rows;
}
