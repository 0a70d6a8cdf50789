//===- IntegerFactors.cpp - operands of products on 8-bit integers --------===//
#include "passes/IntegerFactors.h"

#include "passes/QuantizedValues.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

/// What lies between int8 and uint8.
static constexpr int64_t kShift = 128;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// The elements of a constant of 8-bit integers.
static std::optional<std::vector<int>> bytesOf(Value value) {
  std::optional<WeightSource> source = weightSource(value);
  std::optional<Tensor> tensor;
  if (source) {
    if (Expected<Tensor> view = source->view())
      tensor = view.take();
  } else {
    tensor = constantTensor(value);
  }
  if (!tensor || (tensor->dtype() != DType::Int8 && tensor->dtype() != DType::UInt8))
    return std::nullopt;
  std::vector<int> elements;
  elements.reserve(static_cast<size_t>(tensor->numElements()));
  const auto *bytes = static_cast<const uint8_t *>(tensor->rawData());
  for (int64_t i = 0; i < tensor->numElements(); ++i)
    elements.push_back(tensor->dtype() == DType::Int8 ? static_cast<int8_t>(bytes[i]) : bytes[i]);
  return elements;
}

std::optional<Reason> passes::refuseWeights(Value weights, Value zero, int64_t axis) {
  std::optional<Shape> shape = shapeOf(weights.getType());
  if (!isConstant(weights) || !shape || !shape->isStatic())
    return Reason{ReasonCode::NotConstant, "the weights are no constants"};
  if (!isNone(zero) && !isConstant(zero))
    return Reason{ReasonCode::NotConstant, "the zero points of the weights are no constants"};
  if (elementTypeOf(weights).isSignlessInteger(8) && knownNumber(zero) == 0)
    return std::nullopt;
  std::optional<std::vector<int>> elements = bytesOf(weights);
  std::vector<int> zeros = {0};
  if (std::optional<std::vector<int>> read = isNone(zero) ? std::nullopt : bytesOf(zero))
    zeros = *read;
  if (!elements || zeros.empty())
    return Reason{ReasonCode::Missing, "the weights are not at hand"};
  int64_t channels = (*shape)[axis].size(), inner = 1;
  for (int64_t d = axis + 1; d < shape->rank(); ++d)
    inner *= (*shape)[d].size();
  if (zeros.size() != 1 && static_cast<int64_t>(zeros.size()) != channels)
    return Reason{ReasonCode::Broadcast, "the weights have zero points for something else than "
                                         "the channels of the result"};
  for (size_t i = 0; i < elements->size(); ++i) {
    int zeroPoint =
        zeros.size() == 1 ? zeros[0] : zeros[static_cast<int64_t>(i) / inner % channels];
    int centred = (*elements)[i] - zeroPoint;
    if (centred < INT8_MIN || centred > INT8_MAX)
      return Reason{ReasonCode::ElementType, "weights less their zero points do not fit into int8"};
  }
  return std::nullopt;
}

Value passes::centredWeights(Composer &make, Value weights, Value zero, int64_t axis) {
  Type narrow = make.builder().getI8Type(), wide = make.builder().getI32Type();
  if (elementTypeOf(weights) == narrow && knownNumber(zero) == 0)
    return weights;
  Value value = make.convert(weights, wide);
  if (!isNone(zero)) {
    Value placed = make.convert(zero, wide);
    int64_t count = *shapeOf(zero.getType())->numElements();
    SmallVector<int64_t> dims(shapeOf(weights.getType())->rank(), 1);
    dims[axis] = count;
    placed = make.create<ReshapeOp>(placed, make.ints(count == 1 ? ArrayRef<int64_t>() : dims),
                                    /*allowzero=*/true);
    value = make.create<SubOp>(value, placed);
  }
  return make.convert(value, narrow);
}

Value passes::sumsOfWeights(Composer &make, Value weights, int64_t axis) {
  SmallVector<int64_t> summed = {-2};
  if (axis >= 0) {
    summed.clear();
    for (int64_t d = 0, rank = shapeOf(weights.getType())->rank(); d < rank; ++d)
      if (d != axis)
        summed.push_back(d);
  }
  return make.create<ReduceOp>(make.convert(weights, make.builder().getI32Type()),
                               make.ints(summed), ReduceKind::Sum, /*keepdims=*/axis < 0,
                               /*noop_with_empty_axes=*/true);
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

static bool isUnsigned(Value bytes) { return elementTypeOf(bytes).isUnsignedInteger(8); }

/// What bytes of the type of `x` are shifted by to become those of the other one.
static int64_t shiftFrom(Value x) { return isUnsigned(x) ? -kShift : kShift; }

static Value shiftOf(Composer &make, Value x) {
  return make.constant(Tensor::of<int32_t>({}, {static_cast<int32_t>(shiftFrom(x))}));
}

static Value asBytes(Composer &make, Value x, bool wantsUnsigned) {
  if (isUnsigned(x) == wantsUnsigned)
    return x;
  Type narrow = wantsUnsigned ? make.builder().getIntegerType(8, /*isSigned=*/false)
                              : make.builder().getI8Type();
  Value wide = make.convert(x, make.builder().getI32Type());
  return make.convert(make.create<AddOp>(wide, shiftOf(make, x)), narrow);
}

static Value zeroOfBytes(Composer &make, Value x, Value zero, bool wantsUnsigned) {
  bool isShifted = isUnsigned(x) != wantsUnsigned;
  if (!isShifted && knownNumber(zero) == 0)
    return {};
  if (isNone(zero))
    return shiftOf(make, x);
  if (isShifted && knownNumber(zero) == -shiftFrom(x))
    return {};
  Value wide = make.convert(zero, make.builder().getI32Type());
  return isShifted ? make.create<AddOp>(wide, shiftOf(make, x)) : wide;
}

Value passes::asUnsigned(Composer &make, Value x) { return asBytes(make, x, true); }
Value passes::asSigned(Composer &make, Value x) { return asBytes(make, x, false); }

Value passes::unsignedZero(Composer &make, Value x, Value zero) {
  return zeroOfBytes(make, x, zero, true);
}
Value passes::signedZero(Composer &make, Value x, Value zero) {
  return zeroOfBytes(make, x, zero, false);
}

Value passes::shiftedFrom(Value value) {
  auto narrowed = value.getDefiningOp<CastOp>();
  auto add = narrowed ? narrowed.getInput().getDefiningOp<AddOp>() : AddOp();
  auto widened = add ? add.getA().getDefiningOp<CastOp>() : CastOp();
  Value bytes = widened ? widened.getInput() : Value();
  bool isShift = bytes && elementTypeOf(bytes).isInteger(8) && elementTypeOf(value).isInteger(8) &&
                 isUnsigned(bytes) != isUnsigned(value) &&
                 elementTypeOf(add.getA()).isSignlessInteger(32) &&
                 knownNumber(add.getB()) == shiftFrom(bytes);
  return isShift ? bytes : Value();
}
