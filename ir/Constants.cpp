//===- Constants.cpp - values whose elements are known --------------------===//
#include "ir/Constants.h"

#include "ir/NNDialect.h"

#include <cstring>

using namespace mlir;
using namespace quern;
using namespace quern::nn;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

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

// MLIR packs i1 into bits and splats into one element; they are spelled out here.
std::optional<Tensor> nn::tensorOfElements(ElementsAttr attr) {
  auto type = dyn_cast<RankedTensorType>(attr.getShapedType());
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  DType dtype = type ? nn::dtypeOf(type.getElementType()) : DType::Undefined;
  if (!dense || dtype == DType::Undefined)
    return std::nullopt;
  auto tensor = Tensor::allocate(dtype, Tensor::Dims(type.getShape()));
  if (!tensor)
    return std::nullopt;
  if (auto strings = dyn_cast<DenseStringElementsAttr>(attr)) {
    int64_t i = 0;
    for (StringRef s : strings.getValues<StringRef>())
      tensor->mutableData<std::string>()[i++] = s.str();
    return tensor.take();
  }
  if (dtype == DType::Bool) {
    int64_t i = 0;
    for (bool b : dense.getValues<bool>())
      tensor->mutableData<bool>()[i++] = b;
    return tensor.take();
  }
  ArrayRef<char> raw = dense.getRawData();
  if (isSignedInteger(dtype) && dtypeBits(dtype) < 8) { // MLIR leaves the upper bits open
    int64_t i = 0;
    for (const APInt &value : dense.getValues<APInt>())
      static_cast<int8_t *>(tensor->mutableRawData())[i++] =
          static_cast<int8_t>(value.getSExtValue());
    return tensor.take();
  }
  auto *out = static_cast<char *>(tensor->mutableRawData());
  int64_t bytes = dtypeBytes(dtype);
  if (dense.isSplat())
    for (int64_t i = 0; i < tensor->numElements(); ++i)
      std::memcpy(out + i * bytes, raw.data(), bytes);
  else if (!raw.empty())
    std::memcpy(out, raw.data(), raw.size());
  return tensor.take();
}

std::optional<Tensor> nn::constantTensor(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto constant = dyn_cast_or_null<ConstantOp>(op))
    return tensorOfElements(constant.getValue());
  auto weight = dyn_cast_or_null<WeightOp>(op);
  if (!weight)
    return std::nullopt;
  RankedTensorType type = weight.getType();
  auto *dialect = op->getContext()->getLoadedDialect<NNDialect>();
  auto tensor =
      dialect->getWeights().read(weight.getBlob().str(), weight.getOffset(),
                                 nn::dtypeOf(type.getElementType()), Tensor::Dims(type.getShape()));
  return tensor ? std::optional(tensor.take()) : std::nullopt;
}

std::optional<std::vector<int64_t>> nn::integersOf(const Tensor &tensor) {
  // Reading more again and again, for each op it is an operand of, would take long.
  constexpr int64_t kMaxInts = 65536;
  if (tensor.rank() > 1 || tensor.numElements() > kMaxInts)
    return std::nullopt;
  auto read = [&]<typename T>() {
    std::span<const T> elements = tensor.elementsAs<T>();
    return std::vector<int64_t>(elements.begin(), elements.end());
  };
  if (tensor.dtype() == DType::Int64)
    return read.operator()<int64_t>();
  if (tensor.dtype() == DType::Int32)
    return read.operator()<int32_t>();
  return std::nullopt;
}

std::optional<std::vector<int64_t>> nn::constantInts(Value value) {
  std::optional<Tensor> tensor = constantTensor(value);
  return tensor ? integersOf(*tensor) : std::nullopt;
}

/// The number of an `nn.constant` that says it once for all its elements.
static std::optional<Tensor> splatOf(ConstantOp constant) {
  auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!dense || !dense.isSplat() || isa<StringType>(dense.getElementType()))
    return std::nullopt;
  return tensorOfElements(dense.resizeSplat(RankedTensorType::get({}, dense.getElementType())));
}

std::optional<Tensor> nn::onlyNumber(Value value) {
  if (auto constant = value.getDefiningOp<ConstantOp>())
    if (std::optional<Tensor> number = splatOf(constant))
      return number;
  std::optional<WeightSource> weight = weightSource(value);
  if (!weight || weight->dtype() == DType::String || weight->numBytes() == 0)
    return std::nullopt;
  std::optional<Tensor> tensor = weight->viewAtHand();
  auto element = static_cast<size_t>(dtypeBytes(weight->dtype()));
  if (!tensor)
    return std::nullopt;
  auto *bytes = static_cast<const char *>(tensor->rawData());
  if (std::memcmp(bytes, bytes + element, static_cast<size_t>(tensor->numBytes()) - element) != 0)
    return std::nullopt;
  Expected<Tensor> number = Tensor::allocate(weight->dtype(), {});
  if (!number)
    return std::nullopt;
  std::memcpy(number->mutableRawData(), bytes, element);
  return number.take();
}

std::optional<double> nn::onlyReal(Value value) {
  std::optional<Tensor> number = onlyNumber(value);
  if (number && number->dtype() == DType::Float32)
    return number->data<float>()[0];
  if (number && number->dtype() == DType::Float64)
    return number->data<double>()[0];
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Making
//===----------------------------------------------------------------------===//

Value nn::createConstant(OpBuilder &builder, Location loc, const Tensor &tensor, Layout layout) {
  constexpr int64_t kMaxInlineBytes = 1024;
  MLIRContext *context = builder.getContext();
  RankedTensorType type =
      tensorType(Shape::fromSizes(tensor.dims()), elementTypeOf(context, tensor.dtype()), layout);
  if (tensor.dtype() == DType::String) {
    SmallVector<StringRef> strings;
    for (const std::string &s : tensor.elementsAs<std::string>())
      strings.push_back(s);
    return builder.create<ConstantOp>(loc, type, DenseStringElementsAttr::get(type, strings));
  }
  if (tensor.numBytes() <= kMaxInlineBytes &&
      !isa<ComplexType, MiniFloatType>(type.getElementType())) {
    if (tensor.dtype() == DType::Bool)
      return builder.create<ConstantOp>(
          loc, type,
          DenseElementsAttr::get(type, ArrayRef<bool>(tensor.data<bool>(), tensor.numElements())));
    ArrayRef<char> raw(tensor.data<char>(), tensor.numBytes());
    return builder.create<ConstantOp>(loc, type, DenseElementsAttr::getFromRawBuffer(type, raw));
  }
  auto *dialect = context->getOrLoadDialect<NNDialect>();
  return builder.create<WeightOp>(loc, type, dialect->getWeights().addTensor(tensor),
                                  /*offset=*/0);
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
