//===- ConvOps.cpp - rules of convolution ---------------------------------===//
#include "ir/NNDialect.h"
#include "ir/Types.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

/// Output size of one windowed axis; unknown when the input size is.
static Dim windowedDim(const Dim &input, int64_t kernel, int64_t stride, int64_t dilation,
                       int64_t padBegin, int64_t padEnd, bool same) {
  if (!input.isStatic())
    return stride == 1 && same ? input : Dim();
  if (same)
    return Dim((input.size() + stride - 1) / stride);
  int64_t room = input.size() + padBegin + padEnd - ((kernel - 1) * dilation + 1);
  return Dim(room < 0 ? 0 : room / stride + 1);
}

FailureOr<SmallVector<Type>> ConvOp::inferResultTypes() {
  Type elementType = cast<TensorType>(getInput().getType()).getElementType();
  auto input = shapeOf(getInput().getType());
  auto weights = shapeOf(getWeights().getType());
  if (!input || !weights)
    return SmallVector<Type>{UnrankedTensorType::get(elementType)};
  int64_t spatial = weights->rank() - 2;
  bool blockedInput = getInputBlock() > 0;
  if (spatial < 1 || input->rank() != spatial + 2 + (blockedInput ? 1 : 0))
    return emitOpError("input rank ") << input->rank() << " does not fit weights of rank "
                                      << weights->rank();
  if ((int64_t)getStrides().size() != spatial || (int64_t)getDilations().size() != spatial ||
      (int64_t)getPads().size() != 2 * spatial)
    return emitOpError("strides, dilations and pads must have ")
           << spatial << ", " << spatial << " and " << 2 * spatial << " entries";
  if (llvm::any_of(getStrides(), [](int64_t s) { return s <= 0; }) ||
      llvm::any_of(getDilations(), [](int64_t d) { return d <= 0; }))
    return emitOpError("strides and dilations must be positive");
  if (getGroup() < 1)
    return emitOpError("group must be positive, found ") << getGroup();
  const Dim &channels = (*input)[1], &perGroup = (*weights)[1], &outputs = (*weights)[0];
  if (channels.isStatic() && perGroup.isStatic() && !blockedInput &&
      channels.size() != perGroup.size() * (int64_t)getGroup())
    return emitOpError("input has ") << channels.size() << " channels, weights expect "
                                     << perGroup.size() << " x group " << getGroup();
  if (outputs.isStatic() && outputs.size() % (int64_t)getGroup() != 0)
    return emitOpError("output channels ") << outputs.size() << " are not a multiple of group "
                                           << getGroup();
  std::vector<Dim> dims = {(*input)[0], outputs};
  bool same = getAutoPad() != "NOTSET";
  for (int64_t i = 0; i < spatial; ++i) {
    const Dim &kernel = (*weights)[2 + i];
    if (!kernel.isStatic()) {
      dims.push_back(Dim());
      continue;
    }
    dims.push_back(windowedDim((*input)[2 + i], kernel.size(), getStrides()[i], getDilations()[i],
                               getPads()[i], getPads()[spatial + i], same));
  }
  if (int64_t block = getOutputBlock(); block > 0) {
    dims[1] = outputs.isStatic() ? Dim((outputs.size() + block - 1) / block) : Dim();
    dims.push_back(Dim(block));
  }
  return SmallVector<Type>{tensorType(Shape(std::move(dims)), elementType)};
}
