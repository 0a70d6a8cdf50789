//===- Weights.cpp - values that are weights ------------------------------===//
#include "ir/Weights.h"

#include "ir/NNDialect.h"
#include "ir/Types.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

bool nn::isConstant(Value value) {
  return isa_and_nonnull<ConstantOp, WeightOp>(value.getDefiningOp());
}

std::optional<WeightSource> nn::weightSource(Value value) {
  auto weight = dyn_cast_or_null<WeightOp>(value.getDefiningOp());
  if (!weight) {
    std::optional<Tensor> constant = constantTensor(value);
    return constant ? std::optional(WeightSource::of(*constant)) : std::nullopt;
  }
  RankedTensorType type = weight.getType();
  auto *dialect = weight->getContext()->getLoadedDialect<NNDialect>();
  auto found =
      dialect->getWeights().find(weight.getBlob().str(), weight.getOffset(),
                                 nn::dtypeOf(type.getElementType()), Tensor::Dims(type.getShape()));
  return found ? std::optional(found.take()) : std::nullopt;
}

Value nn::createWeight(OpBuilder &builder, Location loc, const WeightSource &weight,
                       Layout layout) {
  constexpr int64_t kMaxInlineBytes = 1024;
  if (weight.numBytes() <= kMaxInlineBytes || weight.dtype() == DType::String)
    if (Expected<Tensor> elements = weight.load())
      return createConstant(builder, loc, *elements, layout);
  MLIRContext *context = builder.getContext();
  RankedTensorType type =
      tensorType(Shape::fromSizes(weight.dims()), elementTypeOf(context, weight.dtype()), layout);
  auto *dialect = context->getOrLoadDialect<NNDialect>();
  return builder.create<WeightOp>(loc, type, dialect->getWeights().add(weight), /*offset=*/0);
}
