//===- LowerDataMovement.cpp - copies, slices, transpositions -------------===//
//
// Every op becomes copies between strided views; what shapes the code is left
// to CopyKernels.
//
//===----------------------------------------------------------------------===//
#include "backends/native/emit/ElementTypes.h"
#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/kernels/RangeKernel.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/lowering/MovedParts.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "runtime/values/Strides.h"

#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Which dimensions of `v` are not 1 whatever the sizes: they are dimensions of the
/// code even when they are 1.
static SmallVector<bool> lastingDims(Value v, const LoweringContext &context) {
  SmallVector<bool> lasting(context.sizesOf(v).size());
  for (size_t d = 0; d < lasting.size(); ++d)
    lasting[d] = context.fixedSize(v, static_cast<int64_t>(d)) != 1;
  return lasting;
}

//===----------------------------------------------------------------------===//
// One function per op
//===----------------------------------------------------------------------===//

static LoweringResult lower(nn::ConcatOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  LoweredSteps lowered;
  Value result = op.getResult();
  Sizes strides = rowMajorStrides<Sizes>(context.sizesOf(result));
  int64_t axis = context.values.axisOf(op), at = 0;
  for (Value input : op.getInputs()) {
    copyPart(result, Sizes(context.sizesOf(input)), viewOf(input, context),
             viewOf(result, strides, at * strides[axis]), context, lowered,
             lastingDims(input, context));
    bool isBeginning = at == 0 && lowered.size() == 1 &&
                       strides[axis] * context.sizesOf(input)[axis] == context.elementsOf(input);
    if (isBeginning) {
      lowered.front().copiesWhole = true;
      lowered.front().overwritable = {}; // whose memory is too small
    }
    at += context.sizesOf(input)[axis];
  }
  return lowered;
}

static LoweringResult lower(nn::SplitOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  LoweredSteps lowered;
  Value input = op.getInput();
  Sizes strides = rowMajorStrides<Sizes>(context.sizesOf(input));
  int64_t axis = context.values.axisOf(op), at = 0;
  for (Value result : op.getResults()) {
    copyPart(input, Sizes(context.sizesOf(result)), viewOf(input, strides, at * strides[axis]),
             viewOf(result, context), context, lowered, lastingDims(result, context));
    at += context.sizesOf(result)[axis];
  }
  return lowered;
}

static LoweringResult lower(nn::SliceOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  Sizes sizes = Sizes(context.sizesOf(op.getInput()));
  auto starts = context.values.integersOf(op.getStarts());
  std::optional<SmallVector<int64_t>> axes = op.getCutDimensions(context.values);
  auto steps = !nn::isNone(op.getSteps()) ? context.values.integersOf(op.getSteps())
               : starts                   ? std::optional(std::vector<int64_t>(starts->size(), 1))
                                          : std::nullopt;
  if (!starts || !axes || !steps || axes->size() != starts->size() ||
      steps->size() != starts->size())
    return Reason{ReasonCode::DataDependent, "the bounds of the slice are known only at run time"};
  LoweredSteps lowered;
  if (context.elementsOf(op.getResult()) == 0)
    return lowered;
  Sizes strides = rowMajorStrides<Sizes>(sizes);
  int64_t offset = 0;
  for (size_t i = 0; i < starts->size(); ++i) {
    int64_t axis = (*axes)[i];
    int64_t start = (*starts)[i] < 0 ? (*starts)[i] + sizes[axis] : (*starts)[i];
    offset += std::clamp<int64_t>(start, 0, sizes[axis] - 1) * strides[axis];
    // The step to a second element is within the axis; others may be any number.
    if (context.sizesOf(op.getResult())[axis] > 1)
      strides[axis] *= (*steps)[i];
  }
  appendCopy(Sizes(context.sizesOf(op.getResult())), dtypeOfValue(op.getInput()),
             viewOf(op.getInput(), strides, offset), viewOf(op.getResult(), context), lowered,
             lastingDims(op.getResult(), context));
  return lowered;
}

static LoweringResult lower(nn::TransposeOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  Sizes source = rowMajorStrides<Sizes>(context.sizesOf(op.getInput())), strides;
  SmallVector<int64_t> perm(op.getPerm());
  if (perm.empty())
    for (size_t d = source.size(); d-- > 0;)
      perm.push_back(static_cast<int64_t>(d));
  for (int64_t d : perm)
    strides.push_back(source[d]);
  LoweredSteps lowered;
  appendCopy(Sizes(context.sizesOf(op.getResult())), dtypeOfValue(op.getInput()),
             viewOf(op.getInput(), strides), viewOf(op.getResult(), context), lowered,
             lastingDims(op.getResult(), context));
  return lowered;
}

static LoweringResult lower(nn::ExpandOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  LoweredSteps lowered;
  appendCopy(Sizes(context.sizesOf(op.getResult())), dtypeOfValue(op.getInput()),
             viewOf(op.getInput(), broadcastStrides(op.getInput(), op.getResult(), context)),
             viewOf(op.getResult(), context), lowered, lastingDims(op.getResult(), context));
  return lowered;
}

/// Every dimension becomes two: repeats outside, the input's size inside.
static LoweringResult lower(nn::TileOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  ArrayRef<int64_t> inner = context.sizesOf(op.getInput()), whole = context.sizesOf(op.getResult());
  LoweredSteps lowered;
  if (llvm::is_contained(whole, 0))
    return lowered;
  Sizes sizes, from, to;
  Sizes inputStrides = rowMajorStrides<Sizes>(inner), resultStrides = rowMajorStrides<Sizes>(whole);
  for (size_t d = 0; d < inner.size(); ++d) {
    sizes.insert(sizes.end(), {whole[d] / inner[d], inner[d]});
    from.insert(from.end(), {0, inputStrides[d]});
    to.insert(to.end(), {inner[d] * resultStrides[d], resultStrides[d]});
  }
  appendCopy(sizes, dtypeOfValue(op.getInput()), viewOf(op.getInput(), from),
             viewOf(op.getResult(), to), lowered);
  return lowered;
}

static LoweringResult lowerReshape(Operation *op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  LoweredSteps lowered;
  Value input = op->getOperand(0), result = op->getResult(0);
  appendCopy({context.elementsOf(result)}, dtypeOfValue(result), viewOf(input, {1}),
             viewOf(result, {1}), lowered);
  return lowered;
}

static LoweringResult lower(nn::BitCastOp op, const LoweringContext &context) {
  return lowerReshape(op, context);
}
static LoweringResult lower(nn::ReshapeOp op, const LoweringContext &context) {
  return lowerReshape(op, context);
}
static LoweringResult lower(nn::FlattenOp op, const LoweringContext &context) {
  return lowerReshape(op, context);
}
static LoweringResult lower(nn::SqueezeOp op, const LoweringContext &context) {
  return lowerReshape(op, context);
}
static LoweringResult lower(nn::UnsqueezeOp op, const LoweringContext &context) {
  return lowerReshape(op, context);
}

//===----------------------------------------------------------------------===//
// Padding
//===----------------------------------------------------------------------===//

namespace {
/// Pads axis by axis: first the input moves to its place, then each axis gets
/// its two slabs, which span the axes before it in full.
class PadLowering {
public:
  PadLowering(nn::PadOp op, Sizes pads, const LoweringContext &context)
      : op(op), context(context), pads(std::move(pads)) {
    sizes = Sizes(context.sizesOf(op.getInput()));
    whole = Sizes(context.sizesOf(op.getResult()));
    strides = rowMajorStrides<Sizes>(whole);
  }
  LoweringResult lower();

private:
  size_t rank() const { return sizes.size(); }
  int64_t begin(size_t d) const { return pads[d]; }
  int64_t end(size_t d) const { return pads[d + rank()]; }
  void copyInterior();
  /// Fills `count` elements of `axis` from `at` on; `source` and `step` say where
  /// the first of them comes from and where the next ones do.
  void addSlab(size_t axis, int64_t at, int64_t count, int64_t source, int64_t step);
  int64_t interiorBegin(size_t d) const { return std::max<int64_t>(begin(d), 0); }
  int64_t interiorSize(size_t d) const {
    return sizes[d] + std::min<int64_t>(begin(d), 0) + std::min<int64_t>(end(d), 0);
  }

  nn::PadOp op;
  const LoweringContext &context;
  Sizes pads, sizes, whole, strides;
  LoweredSteps lowered;
};
} // namespace

void PadLowering::copyInterior() {
  Sizes interior, source = rowMajorStrides<Sizes>(sizes);
  int64_t from = 0, to = 0;
  for (size_t d = 0; d < rank(); ++d) {
    interior.push_back(interiorSize(d));
    from += std::max<int64_t>(-begin(d), 0) * source[d];
    to += interiorBegin(d) * strides[d];
  }
  copyPart(op.getResult(), interior, viewOf(op.getInput(), source, from),
           viewOf(op.getResult(), strides, to), context, lowered);
}

void PadLowering::addSlab(size_t axis, int64_t at, int64_t count, int64_t source, int64_t step) {
  if (count <= 0)
    return;
  Sizes slab = whole, from = strides;
  int64_t inner = 0;
  for (size_t d = axis + 1; d < rank(); ++d) {
    slab[d] = interiorSize(d);
    inner += interiorBegin(d) * strides[d];
  }
  slab[axis] = count;
  DType dtype = dtypeOfValue(op.getResult());
  CopySide to = viewOf(op.getResult(), strides, at * strides[axis] + inner);
  if (op.getMode() != PadMode::Constant) {
    from[axis] *= step;
    return copyPart(op.getResult(), slab,
                    viewOf(op.getResult(), from, source * strides[axis] + inner), to, context,
                    lowered);
  }
  StepBuffer value = nn::isNone(op.getValue())
                         ? StepBuffer::weights(Tensor::allocate(dtype, {}).take())
                         : StepBuffer::of(op.getValue());
  fillPart(op.getResult(), slab, value, to, context, lowered);
}

LoweringResult PadLowering::lower() {
  bool reflects = op.getMode() == PadMode::Reflect;
  for (size_t d = 0; d < rank(); ++d) {
    int64_t longest = std::max(begin(d), end(d)), shortest = std::min(begin(d), end(d));
    bool isPlain = shortest >= 0 && sizes[d] > 0 && (!reflects || longest < sizes[d]);
    if (op.getMode() != PadMode::Constant && !isPlain)
      return Reason{ReasonCode::Attributes, "padding that crops or reflects more than once"};
    if (begin(d) < -sizes[d] || end(d) < -sizes[d] || interiorSize(d) < 0)
      return Reason{ReasonCode::Attributes, "padding that crops more than there is"};
  }
  if (llvm::is_contained(whole, 0))
    return lowered;
  copyInterior();
  for (size_t d = 0; d < rank(); ++d) {
    int64_t first = interiorBegin(d), last = first + interiorSize(d) - 1;
    int64_t step = reflects ? -1 : 0;
    addSlab(d, 0, begin(d), reflects ? first + begin(d) : first, step);
    addSlab(d, last + 1, end(d), reflects ? last - 1 : last, step);
  }
  return std::move(lowered);
}

static LoweringResult lower(nn::PadOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseMove(op))
    return *reason;
  auto pads = context.values.integersOf(op.getPads());
  if (!pads || pads->size() != 2 * context.sizesOf(op.getInput()).size())
    return Reason{ReasonCode::DataDependent, "the padding is known only at run time"};
  return PadLowering(op, Sizes(ArrayRef<int64_t>(*pads)), context).lower();
}

//===----------------------------------------------------------------------===//
// Tensors made of numbers
//===----------------------------------------------------------------------===//

static LoweringResult lower(nn::RangeOp op, const LoweringContext &context) {
  DType dtype = dtypeOfValue(op.getResult());
  std::optional<Tensor> start = context.values.tensorOf(op.getStart()),
                        limit = context.values.tensorOf(op.getLimit()),
                        delta = context.values.tensorOf(op.getDelta());
  // The rule of the op has looked at them, and found the size.
  if (!start || !limit || !delta)
    return Reason{ReasonCode::DataDependent, "the size of the result depends on data"};
  bool isNative =
      isWideFloat(dtype) || dtype == DType::Int16 || dtype == DType::Int32 || dtype == DType::Int64;
  if (!isNative)
    return Reason{ReasonCode::ElementType, "no native range of " + std::string(dtypeName(dtype))};
  LoweredSteps lowered;
  appendRange(context.elementsOf(op.getResult()), dtype, StepBuffer::weights(*start),
              StepBuffer::weights(*delta), StepBuffer::of(op.getResult()), lowered);
  return lowered;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::dataMovementLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::ConcatOp, lower>(),    lowered<nn::SplitOp, lower>(),
      lowered<nn::SliceOp, lower>(),     lowered<nn::TransposeOp, lower>(),
      lowered<nn::ExpandOp, lower>(),    lowered<nn::TileOp, lower>(),
      lowered<nn::BitCastOp, lower>(),   lowered<nn::ReshapeOp, lower>(),
      lowered<nn::FlattenOp, lower>(),   lowered<nn::SqueezeOp, lower>(),
      lowered<nn::UnsqueezeOp, lower>(), lowered<nn::PadOp, lower>(),
      lowered<nn::RangeOp, lower>(),
  };
  return rows;
}
