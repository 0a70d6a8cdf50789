//===- EvalConvTranspose.cpp - reference kernel of transposed convolution -===//
#include "runtime/reference/Conv.h"
#include "runtime/reference/Factors.h"
#include "runtime/reference/Indexing.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::reference;

Status reference::checkConvOperands(const OpCall &call, int64_t spatialRank, DType sums) {
  const Tensor &input = call.inputs[0], &weights = call.inputs[1], &bias = call.inputs[2];
  if (weights.rank() != spatialRank + 2)
    return invalidInput("input " + input.describe() + " does not fit weights " +
                        weights.describe());
  if (bias.isPresent() && bias.dtype() != sums)
    return invalidInput(
        fmt::format("the bias is {}, the sums are {}", bias.describe(), dtypeName(sums)));
  int64_t group = call.attributes.getInt("group", 1);
  if (group < 1)
    return invalidInput(fmt::format("group must be positive, found {}", group));
  return Status::ok();
}

Status reference::checkBias(const Tensor &bias, int64_t outputs) {
  if (bias.isPresent() && (bias.rank() != 1 || bias.dim(0) != outputs))
    return invalidInput(fmt::format("bias needs {} elements, found {}", outputs, bias.describe()));
  return Status::ok();
}

/// Computes one output channel of one batch element in wide values. `products`
/// is scratch for one input plane.
template <typename T>
static Status transposeChannel(const ConvSizes &sizes, const ConvOperands<T> &operands, int64_t n,
                               int64_t output, Wide<T> *products, Wide<T> *plane, Budget &budget) {
  using W = Wide<T>;
  int64_t group = output / sizes.outputs;
  int64_t kernel = sizes.windows.kernelElements();
  int64_t inputPlane = sizes.input.plane();
  QUERN_TRY(budget.spend(sizes.result.plane() * 2));
  std::fill_n(plane, sizes.result.plane(), operands.bias ? widen(operands.bias[output]) : W(0));
  for (int64_t k = 0; k < kernel; ++k) {
    std::fill_n(products, inputPlane, W(0));
    QUERN_TRY(budget.spend(kTapsWork + 4 * inputPlane));
    for (int64_t c = group * sizes.channels; c < (group + 1) * sizes.channels; ++c) {
      QUERN_TRY(budget.spend(inputPlane));
      const T *channel = operands.input + sizes.input.offset(n, c);
      W weight = widen(operands.weights[(c * sizes.outputs + output % sizes.outputs) * kernel + k]);
      for (int64_t x = 0; x < inputPlane; ++x)
        products[x] += weight * widen(channel[x * sizes.input.block]);
    }
    scatterAdd(sizes.windows, k, products, plane);
  }
  return Status::ok();
}

template <typename T>
static Status transposeAll(const ConvSizes &sizes, const ConvOperands<T> &operands,
                           Budget &budget) {
  using W = Wide<T>;
  int64_t plane = sizes.result.plane();
  QUERN_TRY(budget.require(CheckedSize::product(sizes.input.dims(sizes.input.block)) *
                           CheckedSize(sizes.outputs) *
                           CheckedSize(sizes.windows.kernelElements())));
  QUERN_ASSIGN(std::span<W> products, budget.scratch<W>(sizes.input.plane()));
  QUERN_ASSIGN(std::span<W> sums, budget.scratch<W>(plane));
  for (int64_t n = 0; n < sizes.result.batch; ++n)
    for (int64_t output = 0; output < sizes.groups * sizes.outputs; ++output) {
      QUERN_TRY(transposeChannel(sizes, operands, n, output, products.data(), sums.data(), budget));
      T *result = operands.result + sizes.result.offset(n, output);
      for (int64_t x = 0; x < plane; ++x)
        result[x * sizes.result.block] = narrow<T>(sums[x]);
    }
  return Status::ok();
}

/// The window that slides over the result, and with it the result's size.
static Expected<WindowSpace> slideOverResult(const Attributes &attributes, const ImageLayout &input,
                                             std::span<const int64_t> kernel) {
  std::vector<int64_t> outputPadding = attributes.getInts("output_padding");
  std::vector<int64_t> outputShape = attributes.getInts("output_shape");
  AutoPad autoPad = attributes.getEnum("auto_pad", AutoPad::NotSet);
  WindowSpace space;
  space.positions = input.spatial;
  QUERN_ASSIGN(space.axes, windowAxes(attributes, input.spatial, kernel));
  if (outputPadding.size() != space.axes.size() ||
      (!outputShape.empty() && outputShape.size() != space.axes.size()))
    return invalidInput(fmt::format(
        "output_padding and output_shape have {} and {} entries for {} spatial dimensions",
        outputPadding.size(), outputShape.size(), space.axes.size()));
  std::vector<int64_t> resultDims;
  for (size_t d = 0; d < space.axes.size(); ++d) {
    std::optional<int64_t> wanted;
    if (!outputShape.empty())
      wanted = outputShape[d];
    WindowAxis &axis = space.axes[d];
    QUERN_ASSIGN(int64_t size, transposedOutputSize(axis, autoPad, outputPadding[d], wanted));
    // From here on the window's input is the result of the op.
    axis.input = size;
    resultDims.push_back(size);
  }
  space.inputStrides = rowMajorStrides(resultDims);
  return space;
}

static Expected<ConvSizes> resolveTransposedSizes(const OpCall &call, DType sums) {
  const Tensor &weights = call.inputs[1];
  ConvSizes sizes;
  sizes.groups = call.attributes.getInt("group", 1);
  QUERN_ASSIGN(sizes.input, imageLayout(call.inputs[0], call.attributes.getInt("input_block")));
  QUERN_TRY(checkConvOperands(call, static_cast<int64_t>(sizes.input.spatial.size()), sums));
  // In the blocked layout the last block may hold padding channels.
  if (ceilDiv(weights.dim(0), sizes.input.block) != sizes.input.blocks ||
      weights.dim(0) % sizes.groups != 0)
    return invalidInput(fmt::format("input {} does not fit weights {} in {} groups",
                                    call.inputs[0].describe(), weights.describe(), sizes.groups));
  sizes.channels = weights.dim(0) / sizes.groups;
  sizes.outputs = weights.dim(1);
  CheckedSize outputs = CheckedSize(sizes.outputs) * CheckedSize(sizes.groups);
  if (!outputs.valid())
    return resourceLimit("the number of output channels overflows");
  QUERN_TRY(checkBias(call.inputs[2], outputs.value()));
  QUERN_ASSIGN(sizes.windows, slideOverResult(call.attributes, sizes.input,
                                              std::span<const int64_t>(weights.dims()).subspan(2)));
  int64_t block = std::max<int64_t>(1, call.attributes.getInt("output_block"));
  sizes.result = {sizes.input.batch, ceilDiv(outputs.value(), block), block, {}};
  for (const WindowAxis &axis : sizes.windows.axes)
    sizes.result.spatial.push_back(axis.input);
  return sizes;
}

Expected<std::vector<Tensor>> reference::evalConvTranspose(const OpCall &call) {
  QUERN_ASSIGN(Factors factors, Factors::of(call));
  QUERN_ASSIGN(ConvSizes sizes, resolveTransposedSizes(call, factors.sums()));
  const Tensor &bias = call.inputs[2];
  // The zeros of the allocation are the padding channels of the last block.
  QUERN_ASSIGN(Tensor result,
               call.allocateResult(0, factors.sums(),
                                   sizes.result.dims(call.attributes.getInt("output_block"))));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_TRY(visitFloat(factors.sums(), [&]<typename T>() {
    return transposeAll<T>(sizes,
                           {factors.a.data<T>(), factors.b.data<T>(),
                            bias.isPresent() ? bias.data<T>() : nullptr, result.mutableData<T>()},
                           call.budget);
  }));
  return std::vector<Tensor>{result};
}
