//===- LowerResize.cpp - resizing -----------------------------------------===//
//
// All modes are separable: one step for each axis that changes, the last first, with
// what its elements are made of as constants of the plan.
//
//===----------------------------------------------------------------------===//
#include "backends/native/emit/ElementTypes.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/kernels/ResampleKernel.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/NNDialect.h"
#include "runtime/reference/ResizeTaps.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;
using reference::ResizeAxis;
using reference::ResizeRule;
using reference::ResizeTap;

/// An unsigned integer as wide as the elements, of which copies are made.
static DType copiedType(DType dtype) {
  switch (dtypeBits(dtype)) {
  case 8:
    return DType::UInt8;
  case 16:
    return DType::UInt16;
  case 32:
    return DType::UInt32;
  case 64:
    return DType::UInt64;
  default:
    return DType::Undefined;
  }
}

/// The axes for the sizes at hand; nullopt when a number of the operands is unknown.
static std::optional<std::vector<ResizeAxis>> resolveAxes(nn::ResizeOp op,
                                                          const LoweringContext &context) {
  reference::ResizeOperands operands;
  auto read = [&](Value value, Tensor &tensor) {
    if (nn::isNone(value))
      return true;
    std::optional<Tensor> known = context.values.tensorOf(value);
    if (known)
      tensor = *known;
    return known.has_value();
  };
  bool crops = op.getCoordinateTransformationMode() == ResizeCoordinates::TfCropAndResize;
  if (!read(op.getScales(), operands.scales) || !read(op.getSizes(), operands.sizes) ||
      (crops && !read(op.getRoi(), operands.roi)))
    return std::nullopt;
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  auto axes = reference::resizeAxes(Tensor::Dims(sizes.begin(), sizes.end()), operands, crops);
  if (!axes)
    return std::nullopt;
  return axes.take();
}

/// Bytes that the tables of an op may have: they are small beside images, but longer than a
/// tensor that is all one axis.
static constexpr int64_t kMaxTableBytes = int64_t{32} << 20;

/// Fills the tables for one axis; a reason when there is no native code for it.
static std::optional<Reason> fillTables(const ResizeRule &rule, const ResizeAxis &axis,
                                        int64_t bytesLeft, Resampling &r) {
  Reason tooLarge{ReasonCode::Limit, "so long an axis is resized without tables"};
  std::vector<ResizeTap> taps;
  if (rule.mode != ResizeMode::Nearest) {
    Expected<int64_t> most = reference::mostTaps(rule, axis);
    constexpr int64_t kMostTaps = int64_t{1} << 16;
    if (!most || *most > kMostTaps)
      return Reason{ReasonCode::Limit, "too many elements are interpolated"};
    taps.resize(static_cast<size_t>(*most));
    r.begins.push_back(0);
  }
  // An element at least for each result.
  if (axis.output > bytesLeft / static_cast<int64_t>(sizeof(int64_t)))
    return tooLarge;
  for (int64_t i = 0; i < axis.output; ++i) {
    if (reference::isOutside(rule, axis, i))
      return Reason{ReasonCode::Attributes, "values are extrapolated"};
    if (rule.mode == ResizeMode::Nearest) {
      r.elements.push_back(reference::nearestElement(rule, axis, i));
    } else {
      for (const ResizeTap &tap : reference::sampleAt(rule, axis, i, taps).taps) {
        r.elements.push_back(tap.element);
        r.weights.push_back(tap.weight);
      }
      r.begins.push_back(static_cast<int64_t>(r.elements.size()));
    }
    if (r.tableBytes() > bytesLeft)
      return tooLarge;
  }
  return std::nullopt;
}

static ResizeRule ruleOf(nn::ResizeOp op) {
  return {op.getMode(),           op.getCoordinateTransformationMode(),
          op.getNearestMode(),    op.getCubicCoeffA().convertToDouble(),
          op.getExcludeOutside(), op.getAntialias()};
}

/// The axes that change, the last first, with their tables; a reason when there is no native
/// code for one.
static std::optional<Reason> planPasses(const ResizeRule &rule, const std::vector<ResizeAxis> &axes,
                                        std::vector<Resampling> &passes) {
  int64_t inner = 1, outer = 1, bytesLeft = kMaxTableBytes;
  for (const ResizeAxis &axis : axes)
    outer *= axis.input;
  for (size_t d = axes.size(); d-- > 0;) {
    const ResizeAxis &axis = axes[d];
    outer /= axis.input;
    if (!reference::isIdentity(rule, axis)) {
      Resampling pass{outer, axis.input, axis.output, inner, d + 1 == axes.size(), {}, {}, {}};
      if (std::optional<Reason> reason = fillTables(rule, axis, bytesLeft, pass))
        return reason;
      bytesLeft -= pass.tableBytes();
      passes.push_back(std::move(pass));
    }
    inner *= axis.output;
  }
  return std::nullopt;
}

static LoweringResult lower(nn::ResizeOp op, const LoweringContext &context) {
  ResizeRule rule = ruleOf(op);
  DType dtype = dtypeOfValue(op.getResult());
  bool sums = rule.mode != ResizeMode::Nearest;
  if (sums && !isWideFloat(dtype))
    return Reason{ReasonCode::ElementType, "interpolation is native for float32 and float64 only"};
  if (!sums)
    dtype = copiedType(dtype);
  if (dtype == DType::Undefined)
    return Reason{ReasonCode::ElementType, "elements of this type are not copied natively"};
  if (context.elementsOf(op.getResult()) == 0)
    return Reason{ReasonCode::Shape, "the result is empty"};
  std::optional<std::vector<ResizeAxis>> axes = resolveAxes(op, context);
  if (!axes)
    return Reason{ReasonCode::DataDependent, "scales, sizes or roi are known only at run time"};
  std::vector<Resampling> passes;
  if (std::optional<Reason> reason = planPasses(rule, *axes, passes))
    return *reason;
  StepBuffer from = StepBuffer::of(op.getInput());
  if (passes.empty())
    return oneStep(copyBytes(from, StepBuffer::of(op.getResult()),
                             context.elementsOf(op.getResult()) * dtypeBytes(dtype)));
  LoweredSteps result;
  double all = 0;
  for (const Resampling &pass : passes)
    all += pass.reads();
  for (size_t i = 0; i < passes.size(); ++i) {
    const Resampling &pass = passes[i];
    CheckedSize bytes = CheckedSize(pass.outer) * pass.output * pass.inner * dtypeBytes(dtype);
    StepBuffer to = i + 1 == passes.size() ? StepBuffer::of(op.getResult())
                                           : StepBuffer::scratchSpace(i % 2, bytes);
    result.push_back(resample(from, to, pass, dtype));
    result.back().share = pass.reads() / all;
    from = to;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::resizeLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::ResizeOp, lower>(),
  };
  return rows;
}
