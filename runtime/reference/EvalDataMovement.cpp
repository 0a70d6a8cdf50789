//===- EvalDataMovement.cpp - reference kernels of moves and copies -------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/DataMovement.h"
#include "runtime/reference/Enumerations.h"
#include "runtime/reference/Gather.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/StridedCopy.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

using namespace quern;
using namespace quern::reference;

/// The box that is a whole tensor.
static StridedBox wholeBox(const Tensor &tensor) { return {0, rowMajorStrides(tensor.dims())}; }

//===----------------------------------------------------------------------===//
// Concat and split
//===----------------------------------------------------------------------===//

/// The input shapes joined along `axis`.
static Expected<std::vector<int64_t>> concatDims(const TensorList &inputs, int64_t axis) {
  std::vector<int64_t> dims = inputs[0].dims();
  for (size_t i = 1; i < inputs.size(); ++i) {
    const Tensor &input = inputs[i];
    bool fits = input.dtype() == inputs[0].dtype() && input.rank() == inputs[0].rank();
    for (int64_t d = 0; fits && d < input.rank(); ++d)
      fits = d == axis || input.dim(d) == dims[d];
    if (!fits)
      return invalidInput(fmt::format("cannot concatenate {} and {} along axis {}",
                                      inputs[0].describe(), input.describe(), axis));
    CheckedSize joined = CheckedSize(dims[axis]) + CheckedSize(input.dim(axis));
    if (!joined.valid())
      return resourceLimit("the concatenated size overflows");
    dims[axis] = joined.value();
  }
  return dims;
}

static Expected<std::vector<Tensor>> evalConcat(const OpCall &call) {
  if (call.inputs.empty())
    return invalidInput("there is nothing to concatenate");
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis"), call.inputs[0].rank()));
  QUERN_ASSIGN(std::vector<int64_t> dims, concatDims(call.inputs, axis));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, call.inputs[0].dtype(), dims));
  StridedBox to = wholeBox(result);
  for (const Tensor &input : call.inputs) {
    QUERN_TRY(copyBox(result, to, input, wholeBox(input), input.dims(), call.budget));
    to.offset += input.dim(axis) * to.strides[axis];
  }
  return std::vector<Tensor>{result};
}

/// The sizes of the parts: those given, or equal ones of which the last may be smaller.
static Expected<std::vector<int64_t>> partSizes(const OpCall &call, int64_t total) {
  auto count = static_cast<int64_t>(call.resultTypes.size());
  if (!call.inputs[1].isPresent()) {
    int64_t equal = ceilDiv(total, count);
    std::vector<int64_t> parts;
    for (int64_t i = 0; i < count; ++i) {
      parts.push_back(std::min(equal, total));
      total -= parts.back();
    }
    return parts;
  }
  QUERN_ASSIGN(std::vector<int64_t> parts, readInts(call.inputs[1], "sizes"));
  CheckedSize sum(0);
  for (int64_t part : parts)
    sum += CheckedSize(part);
  if (static_cast<int64_t>(parts.size()) != count || !sum.valid() || sum.value() != total)
    return invalidInput(fmt::format("parts of sizes {} do not divide a size of {} into {} results",
                                    formatDims(parts), total, count));
  return parts;
}

static Expected<std::vector<Tensor>> evalSplit(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  if (call.resultTypes.empty())
    return invalidInput("there is no result to split into");
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis"), input.rank()));
  QUERN_ASSIGN(std::vector<int64_t> parts, partSizes(call, input.dim(axis)));
  std::vector<Tensor> results;
  StridedBox from = wholeBox(input);
  for (int64_t part : parts) {
    std::vector<int64_t> dims = input.dims();
    dims[axis] = part;
    QUERN_ASSIGN(Tensor result,
                 call.allocateResultUninitialized(results.size(), input.dtype(), dims));
    QUERN_TRY(copyBox(result, wholeBox(result), input, from, dims, call.budget));
    from.offset += part * from.strides[axis];
    results.push_back(std::move(result));
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Slice and gather
//===----------------------------------------------------------------------===//

namespace {
/// The elements start, start + step, ... of an axis.
struct AxisSlice {
  int64_t start;
  int64_t count;
};
} // namespace

/// The ONNX rule: negative bounds count from the end, then both are clamped.
static AxisSlice clampSlice(int64_t start, int64_t end, int64_t step, int64_t size) {
  if (size == 0)
    return {0, 0};
  start += start < 0 ? size : 0;
  end += end < 0 ? size : 0;
  bool forward = step > 0;
  start = std::clamp<int64_t>(start, 0, forward ? size : size - 1);
  end = std::clamp<int64_t>(end, forward ? 0 : -1, forward ? size : size - 1);
  int64_t distance = forward ? end - start : start - end;
  // Unsigned, because the smallest int64 has no positive counterpart.
  uint64_t stride = forward ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  if (distance <= 0)
    return {0, 0};
  return {start, static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / stride) + 1};
}

static Expected<std::vector<Tensor>> evalSlice(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(std::vector<int64_t> starts, readInts(call.inputs[1], "starts"));
  QUERN_ASSIGN(std::vector<int64_t> ends, readInts(call.inputs[2], "ends"));
  std::vector<int64_t> axes(starts.size()), steps(starts.size(), 1);
  for (size_t i = 0; i < axes.size(); ++i)
    axes[i] = static_cast<int64_t>(i);
  if (call.inputs[3].isPresent()) {
    QUERN_ASSIGN(axes, readInts(call.inputs[3], "axes"));
  }
  if (call.inputs[4].isPresent()) {
    QUERN_ASSIGN(steps, readInts(call.inputs[4], "steps"));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    return invalidInput(fmt::format("starts, ends, axes and steps differ in length: {}, {}, {}, {}",
                                    starts.size(), ends.size(), axes.size(), steps.size()));
  QUERN_ASSIGN(axes, resolveAxes(axes, input.rank()));
  StridedBox from = wholeBox(input);
  std::vector<int64_t> dims = input.dims();
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t axis = axes[i];
    if (steps[i] == 0)
      return invalidInput(fmt::format("the step of axis {} is 0", axis));
    AxisSlice slice = clampSlice(starts[i], ends[i], steps[i], input.dim(axis));
    from.offset += slice.start * from.strides[axis];
    // The step to a second element is within the axis; others may be any number.
    if (slice.count > 1)
      from.strides[axis] *= steps[i];
    dims[axis] = slice.count;
  }
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), dims));
  QUERN_TRY(copyBox(result, wholeBox(result), input, from, dims, call.budget));
  return std::vector<Tensor>{result};
}

static Expected<std::vector<Tensor>> evalGather(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis"), input.rank()));
  QUERN_ASSIGN(Tensor indices, checkedIndices(call.inputs[1], input.dim(axis), call.budget));
  std::span<const int64_t> dims = input.dims();
  std::vector<int64_t> resultDims(dims.begin(), dims.begin() + axis);
  resultDims.insert(resultDims.end(), indices.dims().begin(), indices.dims().end());
  resultDims.insert(resultDims.end(), dims.begin() + axis + 1, dims.end());
  QUERN_TRY(checkRank(resultDims.size(), call.budget));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), resultDims));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  int64_t outer = countOf(dims.first(axis)), inner = countOf(dims.subspan(axis + 1));
  QUERN_TRY(visitStorage(input.dtype(), [&]<typename T>() {
    T *out = result.mutableData<T>();
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t index : indices.elementsAs<int64_t>()) {
        QUERN_TRY(call.budget.spend(inner + 4));
        out = std::copy_n(input.data<T>() + (o * dims[axis] + index) * inner, inner, out);
      }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Transpose, expand, tile
//===----------------------------------------------------------------------===//

static Expected<std::vector<Tensor>> evalTranspose(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  std::vector<int64_t> perm = call.attributes.getInts("perm");
  if (perm.empty())
    for (int64_t axis = input.rank() - 1; axis >= 0; --axis)
      perm.push_back(axis);
  QUERN_ASSIGN(std::vector<int64_t> axes, resolveAxes(perm, input.rank()));
  if (static_cast<int64_t>(axes.size()) != input.rank())
    return invalidInput(fmt::format("perm has {} entries for {}", axes.size(), input.describe()));
  StridedBox from;
  std::vector<int64_t> strides = rowMajorStrides(input.dims()), dims;
  for (int64_t axis : axes) {
    dims.push_back(input.dim(axis));
    from.strides.push_back(strides[axis]);
  }
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), dims));
  QUERN_TRY(copyBox(result, wholeBox(result), input, from, dims, call.budget));
  return std::vector<Tensor>{result};
}

static Expected<std::vector<Tensor>> evalExpand(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(std::vector<int64_t> shape, readInts(call.inputs[1], "shape"));
  QUERN_TRY(checkRank(shape.size(), call.budget));
  QUERN_ASSIGN(std::vector<int64_t> dims, broadcastDims(input.dims(), shape));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), dims));
  QUERN_TRY(copyBox(result, wholeBox(result), input, {0, broadcastStrides(input.dims(), dims)},
                    dims, call.budget));
  return std::vector<Tensor>{result};
}

static Expected<std::vector<Tensor>> evalTile(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(std::vector<int64_t> repeats, readInts(call.inputs[1], "repeats"));
  if (static_cast<int64_t>(repeats.size()) != input.rank())
    return invalidInput(
        fmt::format("repeats has {} entries for {}", repeats.size(), input.describe()));
  std::vector<int64_t> dims = input.dims();
  for (size_t d = 0; d < dims.size(); ++d) {
    CheckedSize size = CheckedSize(dims[d]) * CheckedSize(repeats[d]);
    if (!size.valid())
      return invalidInput(
          fmt::format("repeating a dimension of {} {} times is not possible", dims[d], repeats[d]));
    dims[d] = size.value();
  }
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), dims));
  // Each dimension becomes two: the repetition, which stands still in the input,
  // and the element.
  std::vector<int64_t> own = rowMajorStrides(input.dims()), out = rowMajorStrides(dims), box;
  StridedBox to, from;
  for (size_t d = 0; d < dims.size(); ++d) {
    box.insert(box.end(), {repeats[d], input.dim(d)});
    to.strides.insert(to.strides.end(), {input.dim(d) * out[d], out[d]});
    from.strides.insert(from.strides.end(), {0, own[d]});
  }
  QUERN_TRY(copyBox(result, to, input, from, box, call.budget));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

/// The padded size of each dimension.
static Expected<std::vector<int64_t>> paddedDims(std::span<const int64_t> dims,
                                                 std::span<const int64_t> pads) {
  if (pads.size() != 2 * dims.size())
    return invalidInput(fmt::format("pads has {} entries for rank {}", pads.size(), dims.size()));
  std::vector<int64_t> result(dims.size());
  for (size_t d = 0; d < dims.size(); ++d) {
    int64_t begin = pads[d], end = pads[dims.size() + d];
    constexpr int64_t limit = int64_t{1} << 60;
    bool sane = std::abs(begin / 2) < limit && std::abs(end / 2) < limit && dims[d] < limit;
    result[d] = sane ? dims[d] + begin + end : -1;
    if (result[d] < 0)
      return invalidInput(
          fmt::format("pads of {} and {} do not fit a dimension of {}", begin, end, dims[d]));
  }
  return result;
}

/// Surrounds the input, or what negative pads leave of it, with `value`.
static Status padConstant(const Tensor &input, std::span<const int64_t> pads, const Tensor &value,
                          Tensor &result, Budget &budget) {
  if (value.isPresent()) {
    if (value.dtype() != input.dtype() || value.numElements() != 1)
      return invalidInput(fmt::format("the pad value must be one {}, found {}",
                                      dtypeName(input.dtype()), value.describe()));
    QUERN_TRY(fillWith(result, value, budget));
  }
  size_t rank = input.dims().size();
  StridedBox from = wholeBox(input), to = wholeBox(result);
  std::vector<int64_t> kept(rank);
  for (size_t d = 0; d < rank; ++d) {
    int64_t begin = std::max<int64_t>(0, -pads[d]);
    int64_t end = input.dim(d) + std::min<int64_t>(0, pads[rank + d]);
    kept[d] = std::max<int64_t>(0, end - begin);
    from.offset += begin * from.strides[d];
    to.offset += (begin + pads[d]) * to.strides[d];
  }
  return copyBox(result, to, input, from, kept, budget);
}

/// The element of an axis that stands at a coordinate beside it.
static int64_t mirrored(int64_t coordinate, int64_t size) {
  if (size == 1)
    return 0;
  int64_t period = 2 * (size - 1);
  int64_t phase = (coordinate % period + period) % period;
  return phase < size ? phase : period - phase;
}

/// Repeats or mirrors the elements of the input.
static Status padWithElements(const Tensor &input, std::span<const int64_t> pads, bool mirror,
                              Tensor &result, Budget &budget) {
  if (result.numElements() == 0)
    return Status::ok();
  std::vector<int64_t> strides = rowMajorStrides(input.dims());
  std::vector<Tensor> offsets;
  for (int64_t d = 0; d < input.rank(); ++d) {
    int64_t size = input.dim(d);
    if (size == 0)
      return invalidInput("an empty dimension has no elements to pad with");
    QUERN_ASSIGN(Tensor axis, budget.allocateUninitialized(DType::Int64, {result.dim(d)}));
    QUERN_TRY(budget.spend(result.dim(d) * 4));
    for (int64_t i = 0; i < result.dim(d); ++i) {
      int64_t coordinate = i - pads[d];
      int64_t element =
          mirror ? mirrored(coordinate, size) : std::clamp<int64_t>(coordinate, 0, size - 1);
      axis.mutableData<int64_t>()[i] = element * strides[d];
    }
    offsets.push_back(std::move(axis));
  }
  return takeByOffsets(result, input, offsets, budget);
}

static Expected<std::vector<Tensor>> evalPad(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  PadMode mode = call.attributes.getEnum("mode", PadMode::Constant);
  QUERN_ASSIGN(std::vector<int64_t> pads, readInts(call.inputs[1], "pads"));
  QUERN_ASSIGN(std::vector<int64_t> dims, paddedDims(input.dims(), pads));
  // The zeros of the allocation are the padding when no value is given.
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), dims));
  if (mode == PadMode::Constant)
    QUERN_TRY(padConstant(input, pads, call.inputs[2], result, call.budget));
  else
    QUERN_TRY(padWithElements(input, pads, mode == PadMode::Reflect, result, call.budget));
  return std::vector<Tensor>{result};
}

/// Whether a number of type `whole` is two of type `part`.
static bool isPairOf(DType whole, DType part) {
  return (whole == DType::Complex64 && part == DType::Float32) ||
         (whole == DType::Complex128 && part == DType::Float64);
}

static Expected<std::vector<Tensor>> evalBitCast(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  DType to = call.attributes.getDType("to"), from = input.dtype();
  Tensor::Dims dims = input.dims();
  bool isKnown = to != DType::String && from != DType::String;
  if (isPairOf(from, to))
    dims.push_back(2);
  else if (isPairOf(to, from) && !dims.empty() && dims.back() == 2)
    dims.pop_back();
  else
    isKnown = isKnown && dtypeBytes(from) == dtypeBytes(to);
  if (!isKnown)
    return invalidInput(
        fmt::format("cannot read the bits of {} as {}", input.describe(), dtypeName(to)));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, to, dims));
  const auto *source = static_cast<const std::byte *>(input.rawData());
  auto *bytes = static_cast<std::byte *>(result.mutableRawData());
  QUERN_TRY(call.budget.forParts(input.numBytes(), 1, [&](int64_t begin, int64_t end) {
    std::copy(source + begin, source + end, bytes + begin);
  }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::dataMovementEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.bitcast", evalBitCast}, {"nn.cast", evalCast},           {"nn.concat", evalConcat},
      {"nn.expand", evalExpand},   {"nn.flatten", evalFlatten},     {"nn.gather", evalGather},
      {"nn.pad", evalPad},         {"nn.range", evalRange},         {"nn.nonzero", evalNonZero},
      {"nn.reshape", evalReshape}, {"nn.resize", evalResize},       {"nn.shape", evalShape},
      {"nn.slice", evalSlice},     {"nn.split", evalSplit},         {"nn.squeeze", evalSqueeze},
      {"nn.tile", evalTile},       {"nn.transpose", evalTranspose}, {"nn.unsqueeze", evalUnsqueeze},
  };
  return rows;
}
