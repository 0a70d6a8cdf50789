//===- ScanSlices.cpp - cutting operands, joining results -----------------===//
#include "runtime/plan/ScanSlices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

using namespace quern;

/// Copies `outer` runs of `inner` elements; the distances between runs are in elements.
static void copyRuns(DType dtype, void *to, int64_t toDistance, const void *from,
                     int64_t fromDistance, int64_t outer, int64_t inner) {
  if (inner == 0)
    return;
  int64_t size = dtypeBytes(dtype);
  for (int64_t i = 0; i < outer; ++i) {
    auto *target = static_cast<std::byte *>(to) + i * toDistance * size;
    const auto *source = static_cast<const std::byte *>(from) + i * fromDistance * size;
    if (dtype == DType::String)
      std::copy_n(reinterpret_cast<const std::string *>(source), inner,
                  reinterpret_cast<std::string *>(target));
    else
      std::memcpy(target, source, static_cast<size_t>(inner * size));
  }
}

/// The number of elements before and from `axis` on, of sizes that fit a tensor.
static int64_t elementsBetween(const Tensor::Dims &dims, size_t begin, size_t end) {
  return CheckedSize::product(std::span<const int64_t>(dims).subspan(begin, end - begin)).value();
}

//===----------------------------------------------------------------------===//
// Cutting
//===----------------------------------------------------------------------===//

Status SlicedInput::begin(const ScanInput &input, const Frame &caller) {
  operand = caller.operand(input.operand);
  const Tensor *tensor = operand.asTensor();
  int64_t rank = tensor && tensor->isPresent() ? tensor->rank() : 0;
  if (input.axis < -rank || input.axis >= rank)
    return invalidInput(fmt::format("the scanned value is {}, wanted a tensor with an axis {}",
                                    operand.describe(), input.axis));
  auto axis = static_cast<size_t>(input.axis < 0 ? input.axis + rank : input.axis);
  dtype = tensor->dtype();
  base = static_cast<const std::byte *>(tensor->rawData());
  backward = input.backward;
  sliceCount = tensor->dims()[axis];
  sliceDims = tensor->dims();
  sliceDims.erase(sliceDims.begin() + static_cast<ptrdiff_t>(axis));
  outer = elementsBetween(sliceDims, 0, axis);
  inner = elementsBetween(sliceDims, axis, sliceDims.size());
  return Status::ok();
}

Expected<const void *> SlicedInput::elements(int64_t number, Budget &budget) {
  int64_t position = backward ? sliceCount - 1 - number : number;
  // The storage of an empty tensor may be nowhere.
  const std::byte *first = base ? base + position * inner * dtypeBytes(dtype) : nullptr;
  if (outer == 1)
    return static_cast<const void *>(first);
  if (!staging.isPresent()) {
    QUERN_ASSIGN(staging, budget.allocateUninitialized(dtype, sliceDims));
  }
  copyRuns(dtype, staging.mutableRawData(), inner, first, sliceCount * inner, outer, inner);
  return static_cast<const void *>(staging.rawData());
}

Expected<Tensor> SlicedInput::slice(int64_t number, Budget &budget) {
  QUERN_ASSIGN(const void *first, elements(number, budget));
  return Tensor::borrow(dtype, sliceDims, first);
}

Status SlicedInput::bind(int64_t number, Frame &body, size_t input, Budget &budget) {
  const PlanPort &port = body.plan.inputs[input];
  QUERN_ASSIGN(const void *first, elements(number, budget));
  if (port.dynamic)
    return body.holdInSlot(port.slot, Tensor::borrow(dtype, sliceDims, first), budget);
  if (dtype != port.dtype || sliceDims != port.dims)
    return internalError(fmt::format("a slice of {} is passed, planned was {} {}",
                                     operand.describe(), dtypeName(port.dtype),
                                     formatDims(port.dims)));
  body.inputs[input] = const_cast<void *>(first);
  return Status::ok();
}

void SlicedInput::clear() {
  operand = AnyValue();
  staging = Tensor();
}

//===----------------------------------------------------------------------===//
// Joining
//===----------------------------------------------------------------------===//

Tensor::Dims StackedOutput::resultDims(int64_t rows) const {
  Tensor::Dims dims = sliceDims;
  dims.insert(dims.begin() + std::min<int64_t>(axis, static_cast<int64_t>(dims.size())), rows);
  return dims;
}

/// The slices are of these dims from now on.
Status StackedOutput::setSlice(const Tensor::Dims &dims) {
  auto rank = static_cast<int64_t>(dims.size()) + 1;
  if (axis < -rank || axis >= rank)
    return invalidInput(
        fmt::format("slices of shape {} cannot be joined along axis {}", formatDims(dims), axis));
  axis += axis < 0 ? rank : 0;
  sliceDims = dims;
  outer = elementsBetween(dims, 0, static_cast<size_t>(axis));
  inner = elementsBetween(dims, static_cast<size_t>(axis), dims.size());
  knowsSlice = true;
  if (placedDims && resultDims(capacity) != *placedDims)
    return internalError("slices of shape " + formatDims(sliceDims) +
                         " were planned to be joined as " + formatDims(*placedDims));
  return Status::ok();
}

Status StackedOutput::begin(const ScanOutput &output, const Frame &caller, const Count &wanted) {
  axis = output.axis;
  backward = output.backward;
  count = wanted;
  dtype = output.result.dtype;
  knowsSlice = false;
  capacity = 0;
  base = nullptr;
  isPlaced = !output.result.buffer.isDynamic();
  placedDims = isPlaced ? &output.result.dims : nullptr;
  if (isPlaced) {
    auto rank = static_cast<int64_t>(placedDims->size());
    base = static_cast<std::byte *>(caller.resolve(output.result.buffer));
    axis += axis < 0 ? rank : 0;
    capacity = axis >= 0 && axis < rank ? (*placedDims)[static_cast<size_t>(axis)] : 0;
  }
  return Status::ok();
}

/// Makes room for `rows` slices, and for as many again while their number is unknown.
Status StackedOutput::reserve(int64_t rows, Budget &budget) {
  if (rows <= capacity)
    return Status::ok();
  if (isPlaced)
    return internalError(fmt::format("more slices than the {} planned", capacity));
  constexpr int64_t kFirst = 16;
  int64_t wanted = count.exactly.value_or(std::max({kFirst, rows, 2 * capacity}));
  wanted = std::max(rows, std::min(wanted, count.atMost.value_or(wanted)));
  QUERN_ASSIGN(Tensor larger, budget.allocateUninitialized(dtype, resultDims(wanted)));
  // Only along axis 0 does the number grow, where slices are one piece.
  if (capacity > 0)
    copyRuns(dtype, larger.mutableRawData(), 0, base, 0, 1, capacity * inner);
  storage = std::move(larger);
  base = static_cast<std::byte *>(storage.mutableRawData());
  capacity = wanted;
  return Status::ok();
}

std::byte *StackedOutput::slicePosition(int64_t number) const {
  int64_t position = backward ? capacity - 1 - number : number;
  return base ? base + position * inner * dtypeBytes(dtype) : nullptr;
}

/// Checks what a slice is, or learns it from the first one.
Status StackedOutput::acceptSlice(DType found, const Tensor::Dims &dims) {
  if (found != dtype)
    return internalError(
        fmt::format("a slice is {}, planned was {}", dtypeName(found), dtypeName(dtype)));
  if (!knowsSlice)
    return setSlice(dims);
  if (dims == sliceDims)
    return Status::ok();
  return invalidInput("a slice has shape " + formatDims(dims) + ", those before it have " +
                      formatDims(sliceDims));
}

Status StackedOutput::bind(int64_t number, Frame &body, size_t output, Budget &budget) {
  const PlanPort &port = body.plan.outputs[output];
  if (port.dynamic)
    return Status::ok();
  QUERN_TRY(acceptSlice(port.dtype, port.dims));
  QUERN_TRY(reserve(number + 1, budget));
  if (axis > 0 && !staging.isPresent()) {
    QUERN_ASSIGN(staging, budget.allocateUninitialized(dtype, sliceDims));
  }
  body.outputs[output] = axis > 0 ? staging.mutableRawData() : slicePosition(number);
  return Status::ok();
}

Status StackedOutput::add(int64_t number, const Frame &body, size_t output, Budget &budget) {
  const PlanPort &port = body.plan.outputs[output];
  const void *slice = axis > 0 ? staging.rawData() : nullptr;
  if (port.dynamic) {
    const AnyValue &value = body.slots[port.slot];
    const Tensor *tensor = value.asTensor();
    if (!tensor)
      return internalError("a slice is a " + value.describe() + ", planned was a tensor");
    QUERN_TRY(acceptSlice(tensor->dtype(), tensor->dims()));
    QUERN_TRY(reserve(number + 1, budget));
    slice = tensor->rawData();
  }
  if (slice)
    copyRuns(dtype, slicePosition(number), capacity * inner, slice, inner, outer, inner);
  return Status::ok();
}

Status StackedOutput::finish(int64_t rows, const ScanOutput &output, Frame &caller,
                             Budget &budget) {
  if (!knowsSlice)
    QUERN_TRY(setSlice(output.emptySlice));
  if (isPlaced && rows != capacity)
    return internalError(fmt::format("there were {} slices, planned were {}", rows, capacity));
  if (isPlaced)
    return Status::ok();
  if (rows == 0) {
    QUERN_ASSIGN(storage, budget.allocateUninitialized(dtype, resultDims(0)));
  }
  // What is left of the storage behind the last slice goes with it.
  Tensor result = storage;
  if (storage.dims() != resultDims(rows))
    result = Tensor::borrow(dtype, resultDims(rows), storage.rawData(),
                            std::make_shared<const Tensor>(storage));
  storage = Tensor();
  return caller.store(output.result, std::move(result), budget);
}
